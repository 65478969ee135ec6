// What is not ours goes to the resolvers and back as the very octets that came, but for the id: records of types yet unknown,
// signatures and options pass. Resolvers are tried in order; none is waited for twice that has just shown to be dead.
import { randomInt } from "node:crypto";
import { performance } from "node:perf_hooks";
import { Headcount } from "../lib/headcount.ts";
import type { Logger } from "../lib/log.ts";
import type { Forwarder } from "./answer.ts";
import { NoAnswer, type Question } from "./exchange.ts";
import type { Query } from "./prescreen.ts";
import { isWhole } from "./records.ts";
import { busyReply, cutReply, EXTENDED_ERROR, type ExtendedError, emptyReply } from "./reply.ts";
import type { Resolver } from "./resolver.ts";
import { ResolverOrder } from "./resolver-order.ts";
import { FLAG, flagsOf, RCODE, rcodeOf } from "./wire.ts";

export interface RelayOptions {
  /** At least one; asked in this order. */
  readonly resolvers: readonly Resolver[];
  readonly log: Logger;
  /** Milliseconds for one attempt (default 1500) and for all of them together (default 4500: stubs give up after 5 s). */
  readonly attemptMs?: number;
  readonly totalMs?: number;
  /** How long a resolver that failed is left alone, in milliseconds. Default 5000. */
  readonly probeEvery?: number;
  /** Queries under way, beyond which SERVFAIL is answered; one client has half of them at the most. Default 1024. */
  readonly maxInFlight?: number;
}

export interface Relay extends Forwarder {
  forward(query: Query, client?: string): Promise<Buffer>;
  /** Ends what is under way with SERVFAIL. */
  close(): void;
}

/** No address of any client's. */
const OURSELVES = "";

/** A reply that settles the matter, or one that another resolver may better, or none. */
type Outcome =
  | { readonly kind: "final"; readonly reply: Buffer }
  | { readonly kind: "poor"; readonly reply: Buffer | undefined }
  | { readonly kind: "late" };

interface Sent {
  returned: boolean;
}

export const createRelay = (options: RelayOptions): Relay => new ResolverRelay(options);

class ResolverRelay implements Relay {
  readonly #log: Logger;
  readonly #order: ResolverOrder<Resolver>;
  readonly #attemptMs: number;
  readonly #totalMs: number;
  readonly #closing = new AbortController();
  /** Same octets but for the id: same answer, asked for once (RFC 5452 5: several in flight make guessing easier). */
  readonly #running = new Map<string, Promise<Buffer>>();
  /**
   * What we have sent, by its octets. When it comes back to us, a resolver leads here, or a client has chosen the same id. Either
   * way it joins the question under way, which ends a loop; that it was one is known when no other answer has come.
   */
  readonly #sent = new Map<string, Sent>();
  readonly #waiting: Headcount;

  constructor({ resolvers, log, attemptMs = 1_500, totalMs = 4_500, probeEvery = 5_000, maxInFlight = 1_024 }: RelayOptions) {
    this.#log = log;
    this.#order = new ResolverOrder(resolvers, probeEvery);
    this.#totalMs = totalMs;
    this.#attemptMs = Math.min(attemptMs, Math.max(totalMs / resolvers.length, totalMs / 10));
    this.#waiting = new Headcount({ all: maxInFlight, each: Math.ceil(maxInFlight / 2) });
  }

  async forward(query: Query, client = OURSELVES): Promise<Buffer> {
    const own = this.#sent.get(fingerprint(query.message));
    if (own) own.returned = true;
    const leave = this.#waiting.enter(client);
    if (leave === undefined) return busyReply(query);
    try {
      return withId(await this.#share(query), query.id);
    } finally {
      leave();
    }
  }

  close(): void {
    this.#closing.abort();
    for (const resolver of this.#order.order()) resolver.close();
  }

  #share(query: Query): Promise<Buffer> {
    const key = query.message.toString("latin1", 2);
    const running = this.#running.get(key);
    if (running) return running;
    const reply = this.#resolve(query).finally(() => this.#running.delete(key));
    this.#running.set(key, reply);
    return reply;
  }

  async #resolve(query: Query): Promise<Buffer> {
    for (const resolver of this.#order.takeProbes()) void this.#attempt(resolver, query, this.#attemptMs);
    const deadline = performance.now() + this.#totalMs;
    const queue = this.#order.order();
    let poor: Buffer | undefined;
    let why: ExtendedError = EXTENDED_ERROR.NO_REACHABLE_AUTHORITY;
    for (let resolver = queue.shift(); resolver && !this.#closing.signal.aborted; resolver = queue.shift()) {
      const left = deadline - performance.now();
      if (left <= 0) break;
      const outcome = await this.#attempt(resolver, query, Math.min(this.#attemptMs, left));
      if (outcome.kind === "final") return outcome.reply;
      if (outcome.kind !== "late") why = EXTENDED_ERROR.NETWORK_ERROR;
      if (outcome.kind === "poor") poor ??= outcome.reply;
      // A packet may have been lost: again after the others, unless there is something to answer with.
      else if (poor === undefined) queue.push(resolver);
    }
    return poor ?? emptyReply(query, RCODE.SERVFAIL, why);
  }

  /** Never rejects; keeps account of the resolver's health. */
  async #attempt(resolver: Resolver, query: Query, ms: number): Promise<Outcome> {
    const question = { query, message: withId(query.message, randomInt(0x1_0000)) };
    const mark = fingerprint(question.message);
    const sent: Sent = { returned: false };
    this.#sent.set(mark, sent);
    try {
      return await this.#ask(resolver, question, ms, sent);
    } catch (error) {
      this.#blame(resolver, sent.returned ? "it asks Layover itself" : reasonOf(error));
      return error instanceof NoAnswer && error.late ? { kind: "late" } : { kind: "poor", reply: undefined };
    } finally {
      this.#sent.delete(mark);
    }
  }

  async #ask(resolver: Resolver, question: Question, ms: number, sent: Sent): Promise<Outcome> {
    const reply = await resolver.ask(question, { ms, signal: this.#closing.signal });
    // An answer that we gave ourselves shows nothing of the resolver.
    if (!sent.returned && this.#order.answered(resolver)) this.#log.info({ resolver: resolver.name }, "resolver answers again");
    return verdictOn(reply, question.query);
  }

  #blame(resolver: Resolver, reason: string): void {
    if (this.#closing.signal.aborted || !this.#order.failed(resolver)) return;
    this.#log.warn({ resolver: resolver.name, reason }, "resolver does not answer; the others are asked first");
  }
}

/** A resolver that fails or refuses leaves the word to the next; a refusal is never given on. NXDOMAIN is an answer. */
const verdictOn = (reply: Buffer, query: Query): Outcome => {
  const isReadable = isWhole(reply, query.questionEnd);
  // Where TCP is blocked, half an answer is still better than none.
  if ((flagsOf(reply) & FLAG.TC) !== 0) return { kind: "poor", reply: isReadable ? reply : cutReply(query) };
  // Nobody is given what cannot be read. It may be the name's own servers' doing: no reason to leave the resolver alone.
  if (!isReadable) return { kind: "poor", reply: undefined };
  const rcode = rcodeOf(reply);
  if (rcode === RCODE.REFUSED) return { kind: "poor", reply: undefined };
  return rcode === RCODE.SERVFAIL ? { kind: "poor", reply } : { kind: "final", reply };
};

const reasonOf = (error: unknown): string => {
  const cause = error instanceof NoAnswer ? (error.cause ?? error) : error;
  return cause instanceof Error ? cause.message : String(cause);
};

const fingerprint = (message: Buffer): string => message.toString("latin1");

const withId = (message: Buffer, id: number): Buffer => {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
};
