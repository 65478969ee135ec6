// Answers of the resolvers kept for their time, and beyond it for when none can be had (RFC 8767). Whole messages by question: nothing
// in an answer is believed of another name. It is given again as it came, but for its id, its TTLs and the case of the question.
import { performance } from "node:perf_hooks";
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { Forwarder } from "./answer.ts";
import { canonical, keyOf } from "./canonical.ts";
import type { Query } from "./prescreen.ts";
import { type Records, readRecords, ttlAt } from "./records.ts";
import { EXTENDED_ERROR, isBusy, withExtendedError } from "./reply.ts";
import { FLAG, flagsOf, HEADER, RCODE, rcodeOf } from "./wire.ts";

export interface CacheOptions {
  /** Octets, of messages and what keeping them takes. Default 4 MiB. */
  readonly maxSize?: number;
  /** Milliseconds that a client who could have an old answer waits for a new one. Default 1800 (RFC 8767 5). */
  readonly patienceMs?: number;
  /** Monotonic milliseconds. */
  readonly now?: Clock;
}

interface Held extends Omit<Records, "life"> {
  /** Its octets as latin1: a third of what a Buffer of its own takes. */
  readonly reply: string;
  readonly since: number;
  readonly freshUntil: number;
  readonly usableUntil: number;
  /** Resolvers that failed or are slow are not asked again before, while there is this. */
  askAgainAt: number;
}

const MAX_SIZE = 4 * 1024 * 1024;
/** What V8 and the map need beside the octets: with it the number of entries is bounded too. */
const ENTRY_SIZE = 512;
const MAX_REPLY = 16_384;
const PATIENCE_MS = 1_800;
const SECOND = 1_000;
/** Seconds. */
const MAX_LIFE = 3_600;
const MAX_NEGATIVE_LIFE = 900;
const STALE_TTL = 30;
/** RFC 9520 3.2: at least a second, for a resolver in need. */
const FAILURE_MS = 3 * SECOND;
const ASK_AGAIN_MS = 30 * SECOND;
const USABLE_MS = 24 * 3_600 * SECOND;

export const cached = (resolvers: Forwarder, options: CacheOptions = {}): Forwarder => new AnswerCache(resolvers, options);

class AnswerCache implements Forwarder {
  readonly #resolvers: Forwarder;
  readonly #held: LRUCache<string, Held>;
  readonly #asked = new Set<string>();
  readonly #patienceMs: number;
  readonly #now: Clock;

  constructor(resolvers: Forwarder, options: CacheOptions) {
    const { maxSize = MAX_SIZE, patienceMs = PATIENCE_MS, now = () => performance.now() } = options;
    this.#resolvers = resolvers;
    this.#patienceMs = patienceMs;
    this.#now = now;
    this.#held = new LRUCache({ maxSize, sizeCalculation: ({ reply }, key) => ENTRY_SIZE + reply.length + key.length });
  }

  forward(query: Query, client?: string): Promise<Buffer> | Buffer {
    // Who asks a resolver not to ask wants to know what that very one knows.
    if (!query.rd) return this.#resolvers.forward(query, client);
    const key = keyOf(query);
    const held = this.#held.get(key);
    const now = this.#now();
    if (held === undefined || now >= held.usableUntil) return this.#ask(key, query, client);
    if (now < held.freshUntil) return aged(held, query, Math.floor((now - held.since) / SECOND));
    if (now < held.askAgainAt) return stale(held, query);
    return this.#renew(key, held, query, client);
  }

  async #renew(key: string, held: Held, query: Query, client: string | undefined): Promise<Buffer> {
    const { promise: tired, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#patienceMs);
    const reply = await Promise.race([this.#ask(key, query, client), tired]).finally(() => clearTimeout(timer));
    if (Buffer.isBuffer(reply) && !isFailure(reply)) return reply;
    held.askAgainAt = this.#now() + ASK_AGAIN_MS;
    return stale(held, query);
  }

  /** Who asks the same is told the same: resolvers see to that. One of them is enough to keep it. */
  async #ask(key: string, query: Query, client: string | undefined): Promise<Buffer> {
    const isFirst = !this.#asked.has(key);
    this.#asked.add(key);
    try {
      const reply = await this.#resolvers.forward(canonical(query), client);
      if (isFirst) this.#keep(key, reply, query);
      return asAsked(Buffer.from(reply), query);
    } finally {
      if (isFirst) this.#asked.delete(key);
    }
  }

  #keep(key: string, reply: Buffer, query: Query): void {
    const now = this.#now();
    const records = readRecords(reply, query.questionEnd, query.qtype);
    if (isFailure(reply)) {
      const held = this.#held.peek(key);
      if (held !== undefined && now < held.usableUntil) return;
      if (records !== undefined && rcodeOf(reply) === RCODE.SERVFAIL && !isBusy(reply))
        this.#set(key, reply, records, FAILURE_MS, 0);
      return;
    }
    const life = records?.life === undefined || isCut(reply) || reply.length > MAX_REPLY ? 0 : records.life;
    if (records === undefined || life === 0) this.#held.delete(key);
    else this.#set(key, reply, records, Math.min(life, longest(reply)) * SECOND, USABLE_MS);
  }

  #set(key: string, reply: Buffer, { ttls, lastOpt }: Records, freshMs: number, staleMs: number): void {
    const since = this.#now();
    const freshUntil = since + freshMs;
    this.#held.set(key, {
      reply: reply.toString("latin1"),
      ttls,
      lastOpt,
      since,
      freshUntil,
      usableUntil: freshUntil + staleMs,
      askAgainAt: 0,
    });
  }
}

const isCut = (reply: Buffer): boolean => (flagsOf(reply) & FLAG.TC) !== 0;

const isFailure = (reply: Buffer): boolean => {
  const rcode = rcodeOf(reply);
  return rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN;
};

const longest = (reply: Buffer): number =>
  rcodeOf(reply) === RCODE.NXDOMAIN || reply.readUInt16BE(6) === 0 ? MAX_NEGATIVE_LIFE : MAX_LIFE;

const aged = ({ reply, ttls }: Held, query: Query, seconds: number): Buffer => {
  const copy = Buffer.from(reply, "latin1");
  for (const at of ttls) copy.writeUInt32BE(Math.max(0, ttlAt(copy, at) - seconds), at);
  return asAsked(copy, query);
};

const stale = ({ reply, ttls, lastOpt }: Held, query: Query): Buffer => {
  const copy = Buffer.from(reply, "latin1");
  for (const at of ttls) copy.writeUInt32BE(STALE_TTL, at);
  const why = rcodeOf(copy) === RCODE.NXDOMAIN ? EXTENDED_ERROR.STALE_NXDOMAIN : EXTENDED_ERROR.STALE;
  return asAsked(lastOpt === undefined ? copy : withExtendedError(copy, lastOpt, why), query);
};

/** Names that point to the question take its case over. */
const asAsked = (reply: Buffer, { message, question }: Query): Buffer => {
  message.copy(reply, 0, 0, 2);
  question.copy(reply, HEADER);
  return reply;
};
