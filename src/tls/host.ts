// Host names and addresses as certificates hold them.
import { isIP } from "node:net";

// RFC 1123 2.1 labels, and "_", which registries on private networks do have.
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/** An exact host name in plain form: never a wildcard, never with an empty label. */
export const isHostName = (name: string): boolean =>
  name.length <= 253 && isIP(name) === 0 && name.split(".").every((label) => LABEL.test(label));

/** The 4 or 16 octets of an iPAddress (RFC 5280 4.2.1.6). Takes only what `isIP` accepts. */
export const addressBytes = (address: string): Buffer => {
  if (isIP(address) === 4) return Buffer.from(address.split(".").map(Number));
  const [head = "", tail] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split("::");
  const left = words(head);
  const right = words(tail ?? "");
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return Buffer.from([...left, ...zeros, ...right].flatMap((word) => [word >> 8, word & 255]));
};

const words = (part: string): number[] => (part === "" ? [] : part.split(":").map((word) => Number.parseInt(word, 16)));
