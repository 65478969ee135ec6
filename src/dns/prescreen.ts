// Raw bytes to a question, or to what is wrong with them. Everything behind it (the zone, dns2's parser, the relay) sees
// only messages that passed: one question, no pointers, at most one OPT, nothing left over. Costs one walk over the bytes.
import { CLASS_IN, FLAG, flagsOf, HEADER, opcodeOf, RCODE, type Rcode, readName, skipName, TYPE } from "./wire.ts";

/** No question of a stub resolver is longer, with its EDNS options and padding. */
export const MAX_QUERY = 1232;

export interface Edns {
  /** What the client says that it can take over UDP, in octets, as it came. */
  readonly size: number;
  readonly do: boolean;
  readonly version: number;
}

export interface Query {
  /** As it came. */
  readonly message: Buffer;
  readonly id: number;
  readonly opcode: number;
  readonly rd: boolean;
  readonly cd: boolean;
  /** Lower case, no trailing dot, odd characters escaped; the root is "". */
  readonly qname: string;
  readonly qtype: number;
  readonly qclass: number;
  /** The offset behind the question. */
  readonly questionEnd: number;
  /** Name in the client's own case (draft-vixie-dnsext-dns0x20), type and class. */
  readonly question: Buffer;
  readonly edns: Edns | undefined;
}

/** `drop`: to be left unanswered. `error`: to be answered with `rcode`, and with the question if that could be read. */
export type Screened =
  | { readonly verdict: "query"; readonly query: Query }
  | { readonly verdict: "error"; readonly rcode: Rcode; readonly query?: Query }
  | { readonly verdict: "drop" };

const DROP: Screened = { verdict: "drop" };
const FORMERR: Screened = { verdict: "error", rcode: RCODE.FORMERR };

/** Takes a message without TCP's length octets. Never throws. */
export const prescreen = (message: Buffer): Screened => {
  // An answer to an answer makes two servers talk for ever.
  if (message.length < HEADER || (flagsOf(message) & FLAG.QR) !== 0) return DROP;
  if (opcodeOf(message) !== 0) return { verdict: "error", rcode: RCODE.NOTIMP };
  if (message.length > MAX_QUERY || !countsFit(message)) return FORMERR;
  const query = readQuery(message);
  if (query === undefined || query.qtype === TYPE.OPT) return FORMERR;
  const rcode = refusal(query);
  return rcode === undefined ? { verdict: "query", query } : { verdict: "error", rcode, query };
};

/** One question, no answers, no authority: only an IXFR has that, which is refused anyway. */
const countsFit = (message: Buffer): boolean =>
  message.readUInt16BE(4) === 1 && message.readUInt16BE(6) === 0 && message.readUInt16BE(8) === 0;

const readQuery = (message: Buffer): Query | undefined => {
  const name = readName(message, HEADER);
  if (name === undefined || name.end + 4 > message.length) return undefined;
  const questionEnd = name.end + 4;
  const additional = readAdditional(message, questionEnd);
  if (additional === undefined) return undefined;
  return {
    message,
    id: message.readUInt16BE(0),
    opcode: 0,
    rd: (flagsOf(message) & FLAG.RD) !== 0,
    cd: (flagsOf(message) & FLAG.CD) !== 0,
    qname: name.name,
    qtype: message.readUInt16BE(name.end),
    qclass: message.readUInt16BE(name.end + 2),
    questionEnd,
    question: message.subarray(HEADER, questionEnd),
    edns: additional.edns,
  };
};

/** The records after the question, up to the very end; more than one OPT is an error (RFC 6891 6.1.1). */
const readAdditional = (message: Buffer, start: number): { edns: Edns | undefined } | undefined => {
  let edns: Edns | undefined;
  let at = start;
  for (let left = message.readUInt16BE(10); left > 0; left -= 1) {
    const fixed = skipName(message, at);
    if (fixed === undefined || fixed + 10 > message.length) return undefined;
    if (message.readUInt16BE(fixed) === TYPE.OPT) {
      if (edns !== undefined || message[at] !== 0) return undefined;
      edns = readOpt(message, fixed);
    }
    at = fixed + 10 + message.readUInt16BE(fixed + 8);
    if (at > message.length) return undefined;
  }
  return at === message.length ? { edns } : undefined;
};

/** RFC 6891 6.1.3: the class is the size; the TTL is extended rcode, version, DO and zeros. */
const readOpt = (message: Buffer, fixed: number): Edns => ({
  size: message.readUInt16BE(fixed + 2),
  version: message[fixed + 5]!,
  do: (message[fixed + 6]! & 0x80) !== 0,
});

const refusal = ({ edns, qclass, qtype }: Query): Rcode | undefined => {
  if (edns !== undefined && edns.version > 0) return RCODE.BADVERS;
  // CH and HS are nothing to pass on, and class ANY would find a hijacked name's real address.
  if (qclass !== CLASS_IN) return RCODE.REFUSED;
  // Zone transfers, TKEY and TSIG.
  return qtype >= TYPE.TKEY && qtype <= TYPE.AXFR ? RCODE.REFUSED : undefined;
};
