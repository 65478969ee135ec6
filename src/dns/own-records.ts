// Records of ours as octets, whatever octets the question's name has: owners point into the question, and so take its case over.
import type { Query } from "./prescreen.ts";
import { CLASS_IN, HEADER, TYPE } from "./wire.ts";

/** From the name that was asked for to `name`, a plain one. */
export const pointerRecord = (name: string, ttl: number): Buffer => record(HEADER, TYPE.PTR, ttl, plainName(name));

/** As the zones have it that every resolver serves locally (RFC 6303 3). `apex` is the name that was asked for, or one above it; a plain one. */
export const soaRecord = ({ questionEnd, qname }: Query, apex: string, ttl: number): Buffer => {
  const owner = apex === qname ? HEADER : questionEnd - 4 - (apex.length + 2);
  const numbers = Buffer.alloc(20);
  for (const [i, number] of [1, 3_600, 1_200, 604_800, ttl].entries()) numbers.writeUInt32BE(number, 4 * i);
  return record(owner, TYPE.SOA, ttl, Buffer.concat([pointer(owner), plainName("nobody.invalid"), numbers]));
};

const record = (owner: number, type: number, ttl: number, data: Buffer): Buffer => {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(CLASS_IN, 2);
  fixed.writeUInt32BE(ttl, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([pointer(owner), fixed, data]);
};

const pointer = (at: number): Buffer => Buffer.from([0xc0 | (at >> 8), at & 0xff]);

/** Labels of at most 63 plain octets each. */
export const plainName = (name: string): Buffer =>
  Buffer.concat([...name.split(".").map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`, "latin1")), ROOT]);

const ROOT = Buffer.from([0]);
