// Who a client is by address: lists of prefixes from the configuration, turned into one predicate.
import { BlockList, isIP, isIPv4 } from "node:net";

// RFC 1918, RFC 4193, loopback and link-local (RFC 3927, RFC 4291 2.5.6): what DESIGN calls "private".
const PRIVATE = [
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.0.0/16",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "::1/128",
  "fc00::/7",
  "fe80::/10",
];

/** Its message says what was expected and what was found. */
export class PrefixError extends Error {
  constructor(found: string) {
    super(`expected "all", "private", an address or a prefix such as 10.1.0.0/16, found ${JSON.stringify(found)}`);
    this.name = "PrefixError";
  }
}

/** `::ffff:10.0.0.1` (RFC 4291 2.5.5.2), in any of its spellings, is 10.0.0.1; a zone such as `%eth0` is left out. */
export const plainAddress = (address: string): string => {
  const [bare = ""] = address.split("%");
  const mapped = /^[0:]*:ffff:(?:(\d+\.\d+\.\d+\.\d+)|([0-9a-f]{1,4}):([0-9a-f]{1,4}))$/i.exec(bare);
  if (!mapped || isIP(bare) !== 6) return bare;
  if (mapped[1] !== undefined) return mapped[1];
  const high = Number.parseInt(mapped[2]!, 16);
  const low = Number.parseInt(mapped[3]!, 16);
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
};

/**
 * A predicate on an address in text form. An empty list holds nobody; what is no address is in no list.
 * Throws PrefixError for an entry that is none.
 */
export const parsePrefixes = (entries: readonly string[]): ((address: string) => boolean) => {
  const names = entries.map((entry) => entry.trim().toLowerCase());
  const subnets = names.filter((name) => name !== "all").flatMap((name) => (name === "private" ? PRIVATE : [name]));
  const everyone = names.includes("all");
  // One list for each family: a single BlockList takes an IPv4 address to be within ::/0.
  const lists = { 4: new BlockList(), 6: new BlockList() };
  for (const subnet of subnets) addSubnet(lists, subnet);
  return (address) => {
    const plain = plainAddress(address);
    const family = isIP(plain);
    if (family === 0) return false;
    return everyone || (family === 4 ? lists[4].check(plain, "ipv4") : lists[6].check(plain, "ipv6"));
  };
};

const addSubnet = (lists: Record<4 | 6, BlockList>, entry: string): void => {
  const { address, length, family } = parsePrefix(entry);
  if (family === 4) lists[4].addSubnet(address, length, "ipv4");
  else lists[6].addSubnet(address, length, "ipv6");
};

/** An address alone is a prefix of its whole length. Throws PrefixError for what is no prefix, "all" and "private" among it. */
export const prefixLength = (entry: string): number => parsePrefix(entry.trim()).length;

const parsePrefix = (entry: string): { address: string; length: number; family: 4 | 6 } => {
  const [, text = "", bits] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? [];
  if (isIP(text) === 0) throw new PrefixError(entry);
  const address = plainAddress(text);
  // A prefix over v4-mapped addresses counts the 96 bits before the IPv4 part.
  const shift = address === text ? 0 : 96;
  const family = isIPv4(address) ? 4 : 6;
  const width = family === 4 ? 32 : 128;
  const length = bits === undefined ? width : Number(bits) - shift;
  if (length < 0 || length > width) throw new PrefixError(entry);
  return { address, length, family };
};
