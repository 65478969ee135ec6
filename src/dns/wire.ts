// The few facts of the DNS wire format (RFC 1035 4.1) that raw messages are judged by. Nothing here follows a compression
// pointer, so every walk is linear in the message.

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
  DS: 43,
  DNSKEY: 48,
  SVCB: 64,
  HTTPS: 65,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  CAA: 257,
} as const;

export const RCODE = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 } as const;
export type Rcode = (typeof RCODE)[keyof typeof RCODE];

export const CLASS_IN = 1;
/** Octets in the header; the first question starts here. */
export const HEADER = 12;

/** Bits of the second 16-bit word (RFC 1035 4.1.1, RFC 4035 3.2). */
export const FLAG = { QR: 0x8000, AA: 0x0400, TC: 0x0200, RD: 0x0100, RA: 0x0080, AD: 0x0020, CD: 0x0010 } as const;

const TYPE_NAMES = new Map<number, string>(Object.entries(TYPE).map(([name, code]) => [code, name]));

/** `AAAA`; `TYPE65400` for what has no name here (RFC 3597 5). */
export const typeName = (type: number): string => TYPE_NAMES.get(type) ?? `TYPE${type}`;

export const rcodeName = (rcode: number): string =>
  Object.entries(RCODE).find(([, code]) => code === rcode)?.[0] ?? `RCODE${rcode}`;

export const flagsOf = (message: Buffer): number => message.readUInt16BE(2);
/** The four bits in the header; the upper ones in an OPT record are left out. */
export const rcodeOf = (message: Buffer): number => message[3]! & 0x0f;
export const opcodeOf = (message: Buffer): number => (message[2]! >> 3) & 0x0f;

/**
 * An uncompressed name: lower case, no trailing dot, the root as "". What is not a plain character is escaped as in master
 * files (RFC 1035 5.1), so that a dot within a label cannot pass for one between labels. Undefined when it is malformed.
 */
export const readName = (message: Buffer, start: number): { name: string; end: number } | undefined => {
  const labels: string[] = [];
  let at = start;
  for (let length = message[at]; length !== 0; length = message[at]) {
    if (length === undefined || length > 63) return undefined; // torn, or a pointer or reserved form
    const next = at + 1 + length;
    if (next >= message.length || next - start >= 255) return undefined; // 255 octets with the root (RFC 1035 2.3.4)
    labels.push(readLabel(message, at + 1, next));
    at = next;
  }
  return { name: labels.join("."), end: at + 1 };
};

const PLAIN = /^[!-[\]-~]*$/;

const readLabel = (message: Buffer, from: number, to: number): string => {
  const label = message.toString("latin1", from, to).toLowerCase();
  if (PLAIN.test(label) && !label.includes(".")) return label;
  return [...message.subarray(from, to)].map(escapeOctet).join("");
};

const escapeOctet = (octet: number): string => {
  if (octet === 0x2e || octet === 0x5c) return `\\${String.fromCharCode(octet)}`;
  if (octet <= 0x20 || octet >= 0x7f) return `\\${octet.toString().padStart(3, "0")}`;
  return String.fromCharCode(octet).toLowerCase();
};

/** The offset behind a name, whose compression pointer, if any, is stepped over. Undefined when it is malformed. */
export const skipName = (message: Buffer, start: number): number | undefined => {
  let at = start;
  for (let length = message[at]; length !== undefined; length = message[at]) {
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    if (length > 63) return undefined;
    at += 1 + length;
  }
  return undefined;
};
