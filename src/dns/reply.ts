// Replies made by hand: errors, truncated ones, and the OPT that goes with them. The question goes back octet by octet as it came.
import type { Query } from "./prescreen.ts";
import { FLAG, flagsOf, HEADER, RCODE, type Rcode, TYPE } from "./wire.ts";

/** What we take, and at most send, over UDP (DNS flag day 2020). */
export const UDP_SIZE = 1232;
/** RFC 1035 4.2.1. */
const PLAIN_UDP_SIZE = 512;
const OPCODE = 0x7800;

/** A header alone, for a message whose question cannot be read; at least 12 octets of it are there. */
export const headerReply = (message: Buffer, rcode: Rcode): Buffer => {
  const kept = flagsOf(message) & (OPCODE | FLAG.RD);
  return header(message.readUInt16BE(0), FLAG.QR | FLAG.RA | kept | rcode, 0, 0);
};

/** Why there is no better answer (RFC 8914 4), for who sent an OPT. */
export const EXTENDED_ERROR = { OTHER: 0, STALE: 3, STALE_NXDOMAIN: 19, NO_REACHABLE_AUTHORITY: 22, NETWORK_ERROR: 23 } as const;
export type ExtendedError = (typeof EXTENDED_ERROR)[keyof typeof EXTENDED_ERROR];

/** No records, only `rcode`; with an OPT if the query had one (RFC 6891 6.1.1). */
export const emptyReply = (query: Query, rcode: Rcode, why?: ExtendedError): Buffer => {
  const kept = flagsOf(query.message) & (FLAG.RD | FLAG.CD);
  const reply = questionReply(query, FLAG.QR | FLAG.RA | kept | (rcode & 0x0f), rcode >> 4);
  return why === undefined || query.edns === undefined ? reply : withExtendedError(reply, reply.length - 2, why);
};

/** For want of room, at this moment. */
export const busyReply = (query: Query): Buffer => {
  const reply = emptyReply(query, RCODE.SERVFAIL, EXTENDED_ERROR.OTHER);
  busy.add(reply);
  return reply;
};

/** Whether this very reply is one: of the name it says nothing. */
export const isBusy = (reply: Buffer): boolean => busy.has(reply);

const busy = new WeakSet<Buffer>();

/** `lengthAt` is where the length stands of the OPT's data, which ends the reply. */
export const withExtendedError = (reply: Buffer, lengthAt: number, why: ExtendedError): Buffer => {
  const longer = Buffer.concat([reply, Buffer.from([0, EDE, 0, 2, 0, why])]);
  longer.writeUInt16BE(longer.readUInt16BE(lengthAt) + 6, lengthAt);
  return longer;
};

const EDE = 15;

/** The largest reply that the client takes over UDP, in octets. */
export const udpLimit = ({ edns }: Query): number =>
  edns === undefined ? PLAIN_UDP_SIZE : Math.min(Math.max(edns.size, PLAIN_UDP_SIZE), UDP_SIZE);

/** `reply` if it fits; else the question alone with TC, so that the client asks again over TCP. */
export const fitUdp = (query: Query, reply: Buffer): Buffer =>
  reply.length <= udpLimit(query) ? reply : questionReply(query, flagsOf(reply) | FLAG.TC, 0);

/** No answer, but where to get it: over TCP. */
export const cutReply = (query: Query): Buffer =>
  questionReply(query, FLAG.QR | FLAG.RA | FLAG.TC | (flagsOf(query.message) & (FLAG.RD | FLAG.CD)), 0);

/** With authority, and records of ours. */
export const ownReply = (query: Query, rcode: Rcode, { answers = [], authorities = [] }: Sections): Buffer => {
  const kept = flagsOf(query.message) & (FLAG.RD | FLAG.CD);
  return questionReply(query, FLAG.QR | FLAG.AA | FLAG.RA | kept | rcode, 0, { answers, authorities });
};

interface Sections {
  readonly answers?: readonly Buffer[];
  readonly authorities?: readonly Buffer[];
}

const questionReply = (
  query: Query,
  flags: number,
  extendedRcode: number,
  { answers = [], authorities = [] }: Sections = {},
): Buffer => {
  const opt = query.edns === undefined ? [] : [optRecord(query.edns.do, extendedRcode)];
  const head = header(query.id, flags, 1, opt.length);
  head.writeUInt16BE(answers.length, 6);
  head.writeUInt16BE(authorities.length, 8);
  return Buffer.concat([head, query.question, ...answers, ...authorities, ...opt]);
};

const header = (id: number, flags: number, questions: number, additional: number): Buffer => {
  const octets = Buffer.alloc(HEADER);
  octets.writeUInt16BE(id, 0);
  octets.writeUInt16BE(flags, 2);
  octets.writeUInt16BE(questions, 4);
  octets.writeUInt16BE(additional, 10);
  return octets;
};

/** Ours: no options. */
export const optRecord = (dnssecOk: boolean, extendedRcode: number): Buffer => {
  const octets = Buffer.alloc(11);
  octets.writeUInt16BE(TYPE.OPT, 1);
  octets.writeUInt16BE(UDP_SIZE, 3);
  octets[5] = extendedRcode;
  octets[7] = dnssecOk ? 0x80 : 0;
  return octets;
};
