// The names under which addresses are looked up (RFC 1035 3.5, RFC 3596 2.5).
import { isIPv4 } from "node:net";
import { plainAddress } from "../lib/prefixes.ts";
import { canonical6 } from "./host-network.ts";

/** `10.0.0.5` → `5.0.0.10.in-addr.arpa`. */
export const reverseName = (address: string): string => {
  const plain = plainAddress(address);
  if (isIPv4(plain)) return `${plain.split(".").reverse().join(".")}.in-addr.arpa`;
  const [head = "", tail] = canonical6(plain).split("::");
  const [before, after] = [head, tail ?? ""].map((part) => part.split(":").filter((group) => group !== ""));
  const zeros = Array<string>(8 - before!.length - after!.length).fill("0");
  const digits = [...before!, ...zeros, ...after!].map((group) => group.padStart(4, "0")).join("");
  return `${digits.split("").reverse().join(".")}.ip6.arpa`;
};
