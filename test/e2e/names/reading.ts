// DNS messages taken apart, so that two can be compared record by record: names spelled out and in lower case, also within data.
// Throws on whatever does not add up; never the code under test.
import { TYPES } from "./zone.ts";

export interface Read {
  readonly id: number;
  readonly rcode: number;
  /** Of AA TC RD RA AD CD, those that are set. */
  readonly flags: string;
  readonly question: string;
  /** Sorted, without TTLs: sets. */
  readonly answers: readonly string[];
  readonly authorities: readonly string[];
  readonly additionals: readonly string[];
  /** Of the answers, in seconds. */
  readonly ttls: readonly number[];
  /** "-", or "opt" and " do"; its options as hexadecimal. */
  readonly edns: string;
  readonly options: string;
  readonly size: number;
  /** Where the TTLs stand that change with age. */
  readonly ttlsAt: readonly number[];
}

const FLAGS = { AA: 0x0400, TC: 0x0200, RD: 0x0100, RA: 0x0080, AD: 0x0020, CD: 0x0010 };
/** Octets before the names of a type's data, and how many names: all others are octets only. */
const NAMED: Readonly<Record<number, readonly [number, number]>> = {
  [TYPES.NS]: [0, 1],
  [TYPES.CNAME]: [0, 1],
  [TYPES.SOA]: [0, 2],
  [TYPES.PTR]: [0, 1],
  [TYPES.MX]: [2, 1],
  [TYPES.SRV]: [6, 1],
  [TYPES.DNAME]: [0, 1],
  [TYPES.RRSIG]: [18, 1],
  [TYPES.NSEC]: [0, 1],
};

export const read = (message: Buffer): Read => new Reader(message).message();

class Reader {
  readonly #octets: Buffer;
  #at = 12;

  constructor(octets: Buffer) {
    this.#octets = octets;
  }

  message(): Read {
    const octets = this.#octets;
    const word = octets.readUInt16BE(2);
    const question = octets.readUInt16BE(4) === 0 ? "" : `${this.#name()} ${this.#hex(4)}`;
    const sections = [6, 8, 10].map((at) => Array.from({ length: octets.readUInt16BE(at) }, () => this.#record()));
    if (this.#at !== octets.length) throw new Error(`${octets.length - this.#at} octets are left over`);
    const all = sections.flat();
    const opts = all.filter(({ type }) => type === TYPES.OPT);
    if (opts.length > 1 || (opts.length === 1 && opts[0] !== all.at(-1))) throw new Error("OPT is not the last record alone");
    const texts = sections.map((records) => records.filter(({ type }) => type !== TYPES.OPT).map(({ text }) => text));
    const [answers, authorities, additionals] = texts.map((section) => section.toSorted()) as [string[], string[], string[]];
    const opt = opts[0];
    return {
      id: octets.readUInt16BE(0),
      rcode: (word & 15) | (opt ? (opt.ttl >>> 24) << 4 : 0),
      flags: Object.entries(FLAGS)
        .filter(([, bit]) => (word & bit) !== 0)
        .map(([name]) => name)
        .join(" "),
      question,
      answers,
      authorities,
      additionals,
      ttls: sections[0]!.map(({ ttl }) => ttl),
      edns: opt ? `opt${(opt.ttl & 0x8000) === 0 ? "" : " do"}` : "-",
      options: opt?.data ?? "",
      size: octets.length,
      ttlsAt: all.filter(({ type }) => type !== TYPES.OPT).map(({ ttlAt }) => ttlAt),
    };
  }

  #record() {
    const owner = this.#name();
    const [type, klass] = [this.#octets.readUInt16BE(this.#at), this.#octets.readUInt16BE(this.#at + 2)];
    const ttlAt = this.#at + 4;
    const ttl = this.#octets.readUInt32BE(ttlAt);
    const end = ttlAt + 6 + this.#octets.readUInt16BE(ttlAt + 4);
    this.#at = ttlAt + 6;
    const [before, names] = NAMED[type] ?? [0, 0];
    const head = this.#hex(before);
    const named = Array.from({ length: names }, () => this.#name());
    const data = this.#hex(end - this.#at);
    return { type, ttl, ttlAt, data, text: [owner, type, klass, head, ...named, data].filter((part) => part !== "").join(" ") };
  }

  #hex(octets: number): string {
    this.#at += octets;
    if (octets < 0 || this.#at > this.#octets.length) throw new Error("a record ends behind the message");
    return this.#octets.toString("hex", this.#at - octets, this.#at);
  }

  /** Pointers lead backwards only. */
  #name(): string {
    const labels: string[] = [];
    let [at, before] = [this.#at, this.#at];
    let isBehind = false;
    for (;;) {
      const length = this.#octets[at];
      if (length === undefined || (length > 63 && length < 0xc0)) throw new Error("a name is malformed");
      const isPointer = length >= 0xc0;
      if (!isBehind) this.#at = at + (isPointer ? 2 : 1 + length);
      if (length === 0) return `${labels.join(".")}.`;
      if (isPointer) {
        at = this.#octets.readUInt16BE(at) & 0x3fff;
        if (at >= before) throw new Error("a pointer leads forwards");
        [before, isBehind] = [at, true];
        continue;
      }
      const label = this.#octets.toString("latin1", at + 1, at + 1 + length).toLowerCase();
      labels.push(label.replace(/[^a-z0-9_*-]/g, (octet) => `\\${octet.charCodeAt(0)}`));
      at += 1 + length;
    }
  }
}
