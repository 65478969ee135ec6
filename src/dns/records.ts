// The records of a reply, walked but not decoded: how long the whole may be kept, and where the octets are that change with its age.
// One walk, linear in the message; whatever does not add up to the very last octet is not kept.
import { canonical6 } from "./host-network.ts";
import { HEADER, RCODE, rcodeOf, skipName, TYPE } from "./wire.ts";

export interface Records {
  /** Seconds: the least TTL of all records, for a negative answer bounded by its SOA too. Undefined: not to be kept. */
  readonly life: number | undefined;
  /** Offsets of the TTLs of all records but OPT, whose TTL is none. */
  readonly ttls: readonly number[];
  /** The offset of an OPT's data length, where an OPT without data or with is the last record. */
  readonly lastOpt: number | undefined;
}

interface Entry {
  readonly section: "answer" | "authority" | "additional";
  readonly type: number;
  /** Behind the owner's name: type, class, TTL, length, data. */
  readonly fixed: number;
  readonly end: number;
}

/** Undefined when it is malformed. `questionEnd` and `qtype` are those of the query, which the reply's question equals. Never throws. */
export const readRecords = (reply: Buffer, questionEnd: number, qtype: number): Records | undefined => {
  const entries = readEntries(reply, questionEnd);
  if (entries === undefined) return undefined;
  const kept = entries.filter(({ type }) => type !== TYPE.OPT);
  const last = entries.at(-1);
  return {
    life: isPositive(reply, kept, qtype) ? leastTtl(reply, kept) : negativeLife(reply, kept),
    ttls: kept.map(({ fixed }) => fixed + 4),
    lastOpt: last?.type === TYPE.OPT ? last.fixed + 8 : undefined,
  };
};

/** Whether all the records that the header counts are there to their ends; what comes behind them is of no interest. Names are not looked into. */
export const isWhole = (reply: Buffer, questionEnd: number): boolean => walk(reply, questionEnd) !== undefined;

/** The addresses in the answer, whatever aliases led to them; none when it is malformed. `type` is A or AAAA. */
export const readAddresses = (reply: Buffer, questionEnd: number, type: number): { address: string; ttl: number }[] => {
  const entries = readEntries(reply, questionEnd) ?? [];
  const octets = type === TYPE.A ? 4 : 16;
  return entries
    .filter((entry) => entry.section === "answer" && entry.type === type && entry.end - entry.fixed === 10 + octets)
    .map(({ fixed, end }) => ({ address: addressIn(reply.subarray(fixed + 10, end)), ttl: ttlAt(reply, fixed + 4) }));
};

const addressIn = (octets: Buffer): string =>
  octets.length === 4 ? octets.join(".") : canonical6(octets.toString("hex").match(/.{4}/g)!.join(":"));

const readEntries = (reply: Buffer, questionEnd: number): Entry[] | undefined => {
  const walked = walk(reply, questionEnd);
  return walked?.end === reply.length ? walked.entries : undefined;
};

const walk = (reply: Buffer, questionEnd: number): { entries: Entry[]; end: number } | undefined => {
  if (reply.length < Math.max(HEADER, questionEnd)) return undefined;
  const entries: Entry[] = [];
  let at = questionEnd;
  for (const [section, countAt] of [["answer", 6] as const, ["authority", 8] as const, ["additional", 10] as const]) {
    for (let left = reply.readUInt16BE(countAt); left > 0; left -= 1) {
      const fixed = skipName(reply, at);
      if (fixed === undefined || fixed + 10 > reply.length) return undefined;
      at = fixed + 10 + reply.readUInt16BE(fixed + 8);
      if (at > reply.length) return undefined;
      entries.push({ section, type: reply.readUInt16BE(fixed), fixed, end: at });
    }
  }
  return { entries, end: at };
};

/** RFC 2308 2.2: an alias without what it leads to is no answer yet, or none. */
const isPositive = (reply: Buffer, entries: readonly Entry[], qtype: number): boolean =>
  rcodeOf(reply) === RCODE.NOERROR &&
  entries.some(({ section, type }) => section === "answer" && (type === qtype || qtype === TYPE.ANY));

/** RFC 2308 5: without a SOA nobody says how long. A referral has none either. */
const negativeLife = (reply: Buffer, entries: readonly Entry[]): number | undefined => {
  const soa = entries.find(({ section, type }) => section === "authority" && type === TYPE.SOA);
  // The last of its five numbers, behind two names.
  if (soa === undefined || soa.end - soa.fixed < 10 + SOA_LEAST) return undefined;
  return Math.min(leastTtl(reply, entries), ttlAt(reply, soa.end - 4));
};

/** Two names of one octet, five numbers of four. */
const SOA_LEAST = 22;

const leastTtl = (reply: Buffer, entries: readonly Entry[]): number =>
  Math.min(...entries.map(({ fixed }) => ttlAt(reply, fixed + 4)));

/** RFC 2181 8: with the topmost bit set it means zero. */
export const ttlAt = (reply: Buffer, at: number): number => {
  const ttl = reply.readUInt32BE(at);
  return ttl > 0x7fff_ffff ? 0 : ttl;
};
