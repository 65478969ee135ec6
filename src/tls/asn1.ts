// The few DER words (ITU-T X.690) that certificates are written in, over node-forge's ASN.1. Bytes are Buffers on this side.
import type forge from "node-forge";
import asn1 from "node-forge/lib/asn1.js";

export type Node = forge.asn1.Asn1;
const { Class, Type } = asn1;

const universal = (type: forge.asn1.Type, value: string | Node[]): Node =>
  asn1.create(Class.UNIVERSAL, type, typeof value !== "string", value);
const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

export const sequence = (...parts: Node[]): Node => universal(Type.SEQUENCE, parts);
export const set = (...parts: Node[]): Node => universal(Type.SET, parts);
export const oid = (dotted: string): Node => universal(Type.OID, asn1.oidToDer(dotted).getBytes());
/** Big-endian two's complement. */
export const integer = (bytes: Uint8Array): Node => universal(Type.INTEGER, binary(bytes));
export const boolean = (value: boolean): Node => universal(Type.BOOLEAN, value ? "\xff" : "\0");
export const nothing = (): Node => universal(Type.NULL, "");
export const octets = (bytes: Uint8Array): Node => universal(Type.OCTETSTRING, binary(bytes));
export const bits = (bytes: Uint8Array, unused = 0): Node =>
  universal(Type.BITSTRING, String.fromCharCode(unused) + binary(bytes));
/** Always UTF8String: Go refuses to parse a PrintableString that holds more than its alphabet. */
export const text = (value: string): Node => universal(Type.UTF8, binary(Buffer.from(value, "utf8")));
/** Context-specific: `[tag]`, primitive for bytes, constructed for nodes. */
export const tagged = (tag: number, value: Uint8Array | Node[]): Node =>
  Array.isArray(value)
    ? asn1.create(Class.CONTEXT_SPECIFIC, tag, true, value)
    : asn1.create(Class.CONTEXT_SPECIFIC, tag, false, binary(value));

/** Milliseconds, cut to the second. UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280 4.1.2.5). */
export const time = (ms: number): Node => {
  const date = new Date(ms);
  if (date.getUTCFullYear() < 2050) return universal(Type.UTCTIME, asn1.dateToUtcTime(date));
  return universal(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));
};

export const encode = (node: Node): Buffer => Buffer.from(asn1.toDer(node).getBytes(), "latin1");
/** Throws Error for what is no DER. */
export const decode = (der: Uint8Array): Node => asn1.fromDer(binary(der), { strict: true, decodeBitStrings: false });

/** What a constructed node holds; nothing for a primitive one. */
export const parts = (node: Node | undefined): readonly Node[] => (Array.isArray(node?.value) ? node.value : []);
/** What a primitive node holds; nothing for a constructed one. */
export const content = (node: Node | undefined): Buffer =>
  Buffer.from(typeof node?.value === "string" ? node.value : "", "latin1");
/** The node under `[tag]`, if it is there. */
export const contextual = (nodes: readonly Node[], tag: number): Node | undefined =>
  nodes.find((node) => node.tagClass === Class.CONTEXT_SPECIFIC && Number(node.type) === tag);
export const dotted = (node: Node | undefined): string => asn1.derToOid(content(node).toString("latin1"));
