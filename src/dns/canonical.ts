// One spelling for all queries that want the same answer: lower case, our own OPT. EDNS goes from hop to hop (RFC 6891 6.1.1), so that
// cookies, padding and the client's own network (ECS, RFC 7871 12) stay here; and an answer made for one client is right for another.
import type { Query } from "./prescreen.ts";
import { optRecord } from "./reply.ts";
import { FLAG, flagsOf, HEADER } from "./wire.ts";

/** The same for two queries exactly when their canonical forms differ in nothing but their ids. */
export const keyOf = ({ qname, qtype, qclass, message, edns }: Query): string =>
  `${qname} ${qtype} ${qclass} ${flagsOf(message) & ASKED} ${edns === undefined ? "-" : Number(edns.do)}`;

/** AD in a query asks for AD in the answer (RFC 6840 5.7). */
const ASKED = FLAG.RD | FLAG.CD | FLAG.AD;

export const canonical = (query: Query): Query => {
  const { message, questionEnd, edns } = query;
  const opt = edns === undefined ? [] : [optRecord(edns.do, 0)];
  const octets = Buffer.concat([message.subarray(0, questionEnd), ...opt]);
  octets.writeUInt16BE(flagsOf(message) & ASKED, 2);
  octets.writeUInt16BE(opt.length, 10);
  // Lengths of labels are below "A", and type and class lie behind the name.
  for (let at = HEADER; at < questionEnd - 4; at += 1) {
    if (octets[at]! >= 0x41 && octets[at]! <= 0x5a) octets[at]! += 0x20;
  }
  return { ...query, message: octets, question: octets.subarray(HEADER, questionEnd) };
};
