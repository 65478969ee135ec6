// Where an address leads, however it is written, and how far it reaches: the whole internet, a network of somebody's own, or nowhere that a connection
// on others' behalf has any business.
import { isIP } from "node:net";
import { parsePrefixes, plainAddress } from "./prefixes.ts";

export type Reach = "public" | "private" | "never";

/** This network, link-local (a cloud's metadata is there), multicast, reserved, and IPv6 forms that hide an IPv4 address. */
const never = parsePrefixes([
  ...["0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4"],
  ...["::/128", "::ffff:0:0:0/96", "fe80::/10", "fec0::/10", "ff00::/8", "2001::/32", "2002::/16"],
]);

/** Besides what DESIGN calls private: shared address space (RFC 6598), protocol assignments, benchmarking, documentation, local NAT64 (RFC 8215). */
const own = parsePrefixes([
  ...["private", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"],
  ...["2001:db8::/32", "64:ff9b:1::/48", "100::/64"],
]);

/** `::a.b.c.d` and the well-known NAT64 prefix (RFC 6052) lead where the IPv4 address in them does. */
const carriers = parsePrefixes(["64:ff9b::/96", "::/96"]);

/** Its one spelling, as of the addresses of this machine's interfaces: of what carries an IPv4 address that one, and no zone. */
export const leadingTo = (address: string): string => {
  const plain = plainAddress(address);
  if (isIP(plain) !== 6) return plain;
  const short = new URL(`http://[${plain}]`).hostname.slice(1, -1);
  return short === "::" || short === "::1" || !carriers(short) ? short : lastFour(short);
};

/** Of an address in text form; what is none reaches nowhere. */
export const reachOf = (address: string): Reach => {
  const plain = leadingTo(address);
  if (isIP(plain) === 0 || never(plain)) return "never";
  return own(plain) ? "private" : "public";
};

/** Of a short spelling. */
const lastFour = (address: string): string => {
  const [high = "", low = ""] = address.split(":").slice(-2);
  const word = Number.parseInt(high || "0", 16) * 65_536 + Number.parseInt(low || "0", 16);
  return [24, 16, 8, 0].map((shift) => (word >>> shift) & 255).join(".");
};
