// What is known of one upstream origin: whether it is worth a question. Three states:
//   up           it is asked.
//   unreachable  no connection, no answer, or none in time. It is looked for in the background, at nobody's cost; any answer to a look is enough.
//   failing      it answers 5xx, three times in a row, or it is back after it has kept a client waiting. `GET /v2/` proves nothing then (it may
//                well answer 200 while manifests do not): only a real question does, one at a time, after pauses that grow.
// 401, 403 and 429 are answers of a doorkeeper: they show that somebody is there, and neither end a failing state nor lead to it.
//
// Who holds something does not come here while `up` is false. Who holds nothing (a cold miss) asks all the same, but never pays for the
// outage: `enter` has it looked for at once, for all who wait in one go, and gives up after COLD_PATIENCE. Where it is failing one question of
// a repository is tried at a time, and a few in all: one repository that is ill keeps no other from its turn. What has just failed is not
// asked again at once, for anybody, and a success lets everybody in.

import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { upTo } from "../lib/lru.ts";
import { jittered, stepOf } from "../lib/pauses.ts";
import { Trial } from "../lib/trial.ts";
import { OciError } from "../oci/error.ts";
import type { Standing } from "../oci/standing.ts";
import { Holds, repositoryIn } from "./holds.ts";
import { Lookout } from "./lookout.ts";
import { parseRetryAfter } from "./retry-after.ts";

const LOOKS_MS = [250, 500, 1_000, 2_000, 5_000];
const TRIES_MS = [500, 1_000, 2_000, 5_000, 10_000, 30_000];
/** Failures in a row that are an outage: one alone may be the thing that was asked for. */
const IN_A_ROW = 3;
/** How long a client without anything held waits for a known outage to be over. Milliseconds. */
const COLD_PATIENCE = 1_000;
/** Repositories of which one question each is tried at the same time. */
const TRIED_AT_ONCE = 4;
/** The same question that has just failed waits no longer than this for its next try. Milliseconds. */
const SAME_AGAIN = 1_000;
/** A question that has waited for so long makes upstream late when its client loses patience. Milliseconds. */
const LATE = 1_500;

/** `look`: our own, by which an upstream that is away is found again. `question`: a manifest, a list, a HEAD. `blob`: the body of one. `pass`: a client's own. `upload`: a write of ours. */
export type Kind = "look" | "ping" | "token" | "question" | "blob" | "pass" | "upload";

export interface BreakerOptions {
  readonly site: string;
  readonly name: string;
  /** For the Lookout. */
  readonly look: () => Promise<unknown>;
  readonly log: Logger;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** That dates which upstream says are held against. */
  readonly clock: Clock;
  readonly random?: () => number;
}

export interface Heard {
  readonly status: number;
  /** A captive portal. */
  readonly isPage: boolean;
  readonly retryAfter: string | undefined;
  /** What the answer is about, where it is about one. */
  readonly repository?: string | undefined;
}

export class Breaker {
  readonly #options: BreakerOptions;
  /** By repository, of those that run. */
  readonly #trials = new Map<string, Trial>();
  readonly #lookout: Lookout;
  readonly #holds: Holds;
  /** Question → until when it is not asked again. */
  readonly #justFailed = new LRUCache<string, number>(upTo(1_000));
  readonly #unanswered = new Set<{ readonly since: number }>();
  /** When a question was last answered well. */
  #wellAt = Number.NEGATIVE_INFINITY;
  #state: Standing["state"] = "up";
  #since = 0;
  #why = "";
  #failures = 0;
  #inARow = 0;
  #tries = 0;
  #nextTry = 0;
  #pingFails = false;
  /** The question that is tried is so after the pause, not in its midst. */
  #isDue = false;
  /** It took questions and kept them: that it answers a look is not enough. */
  #isSilent = false;

  constructor(options: BreakerOptions) {
    this.#options = options;
    this.#holds = new Holds(options.now);
    this.#lookout = new Lookout(options.look, (isThere) => {
      if (isThere) this.#reached();
      else if (this.isUnreachable) this.#lookLater();
    });
  }

  /** Whether one who can be served otherwise should ask. */
  get up(): boolean {
    if (this.#state === "failing") return this.#options.now() >= this.#nextTry && this.#trials.size === 0;
    return this.#state === "up";
  }

  /** Whether `GET /v2/` is likely to be answered: it may be while nothing else is. */
  get answersPings(): boolean {
    return this.#state === "up" || (this.#state === "failing" && !this.#pingFails);
  }

  get isUnreachable(): boolean {
    return this.#state === "unreachable";
  }

  get standing(): Standing {
    if (this.#state === "up") return { origin: this.#options.name, state: "up" };
    const now = this.#options.now();
    return {
      origin: this.#options.name,
      state: this.#state,
      why: this.#why,
      forMs: Math.round(now - this.#since),
      nextTryInMs: Math.max(0, Math.round(this.#nextTry - now)),
    };
  }

  /** Before the question `key`. Gives what to call when it is over. Throws UPSTREAM_UNREACHABLE while upstream is known to be away. */
  async enter(key: string, signal: AbortSignal): Promise<() => void> {
    const until = this.#options.now() + COLD_PATIENCE;
    await this.reach(signal);
    const repository = repositoryIn(key);
    const held = this.#holds.of(repository);
    if (this.#options.now() < held) throw this.#away(held);
    while (this.#state === "failing") {
      if (this.#isHeld(key)) throw this.#away();
      const other = this.#trials.get(repository ?? "") ?? (this.#trials.size < TRIED_AT_ONCE ? undefined : this.#oldestTrial);
      if (other === undefined) return this.#try(key, repository);
      if (!(await other.isOver(until - this.#options.now(), signal))) throw this.#away();
    }
    return () => undefined;
  }

  /** Waits for one look where it cannot be reached. Throws UPSTREAM_UNREACHABLE when that does not find it. */
  async reach(signal: AbortSignal): Promise<void> {
    if (this.#state !== "unreachable") return;
    this.look();
    await this.#lookout.end(COLD_PATIENCE, signal);
    if (this.isUnreachable) throw this.#away();
  }

  /** Looks for an upstream that cannot be reached, at once. */
  look(): void {
    if (this.isUnreachable) this.#lookout.now();
  }

  /** A request goes out. Gives what to say when its answer is over, or when there is none. */
  sent(kind: Kind): () => void {
    if (kind !== "question" && kind !== "ping") return () => undefined;
    const question = { since: this.#options.now() };
    this.#unanswered.add(question);
    return () => void this.#unanswered.delete(question);
  }

  /** The head of an answer has come. */
  answered(kind: Kind, heard: Heard): void {
    const { status, isPage, retryAfter, repository } = heard;
    const isFailure = (status >= 500 && status !== 501) || (isPage && kind !== "ping" && kind !== "look");
    if (kind === "ping" || kind === "look") this.#pingFails = isFailure;
    if (!isFailure) {
      if (kind === "question" && !isDoorkeeper(status)) this.#wellAt = this.#options.now();
      if (kind === "question" || kind === "blob") this.#heardWell(heard);
      else this.#reached();
    } else if (kind === "question" || kind === "blob" || kind === "ping") {
      this.#failed(
        isPage ? "it answers with an HTML page" : `it answers ${status}`,
        repository,
        parseRetryAfter(retryAfter, this.#options.clock()),
      );
    }
  }

  /** There was no answer. */
  unreachable(error: Error): void {
    if ((error.cause as NodeJS.ErrnoException | undefined)?.code === "UND_ERR_HEADERS_TIMEOUT") {
      this.#silent();
      return;
    }
    this.#gone(error.message);
  }

  /** A client has lost its patience. Where others have been answered meanwhile it is the thing that was asked for that is slow. */
  late(): void {
    const until = this.#options.now() - LATE;
    const isSilent = [...this.#unanswered].some(({ since }) => since <= until && since >= this.#wellAt);
    if (!this.isUnreachable && isSilent) this.#silent();
  }

  close(): void {
    this.#lookout.close();
  }

  #heardWell({ status, repository }: Heard): void {
    if (isDoorkeeper(status)) {
      this.#reached();
      return;
    }
    this.#inARow = 0;
    this.#tries = 0;
    this.#holds.well(repository);
    this.#pingFails = false;
    this.#isSilent = false;
    this.#to("up", "");
  }

  /** Pauses go on growing until something is answered well: an origin may take connections and still be of no use. */
  #reached(): void {
    if (!this.isUnreachable) return;
    if (this.#isSilent) this.#fail(this.#why);
    else this.#to("up", "");
  }

  #silent(): void {
    this.#isSilent = true;
    this.#gone("it does not answer in time");
  }

  #gone(why: string): void {
    this.#failures += 1;
    this.#to("unreachable", why);
    if (this.#lookout.isIdle) this.#lookLater();
  }

  #failed(why: string, repository: string | undefined, retryAfterMs = 0): void {
    this.#failures += 1;
    this.#inARow += 1;
    const isHeld = retryAfterMs > 0 && this.#holds.said(repository, retryAfterMs);
    if (!isHeld && this.#state === "up" && this.#inARow < IN_A_ROW) return;
    // what was under way when it began to fail is no reason for a longer pause, nor is what somebody asks who cannot wait for its end: one
    // thing that always fails must not keep all others stale
    if (this.#state === "failing" && !this.#isDue) this.#nextTry = Math.max(this.#nextTry, this.#holds.all);
    else this.#fail(why);
  }

  #fail(why: string): void {
    const pause = jittered(stepOf(TRIES_MS, this.#tries), this.#options.random);
    this.#tries += 1;
    this.#isDue = false;
    this.#nextTry = Math.max(this.#options.now() + pause, this.#holds.all);
    this.#to("failing", why);
  }

  /** What upstream itself asked for is kept to by all. */
  #isHeld(key: string): boolean {
    const now = this.#options.now();
    return now < this.#holds.all || now < (this.#justFailed.get(key) ?? 0);
  }

  get #oldestTrial(): Trial | undefined {
    const [oldest] = this.#trials.values();
    return oldest;
  }

  #try(key: string, repository = ""): () => void {
    const trial = new Trial();
    this.#trials.set(repository, trial);
    const end = trial.begin();
    const isDue = this.#options.now() >= this.#nextTry;
    if (isDue) this.#isDue = true;
    const before = this.#failures;
    return () => {
      const pause = Math.min(SAME_AGAIN, this.#nextTry - this.#options.now());
      if (this.#failures > before) this.#justFailed.set(key, this.#options.now() + pause);
      if (isDue) this.#isDue = false;
      if (this.#trials.get(repository) === trial) this.#trials.delete(repository);
      end();
    };
  }

  #to(state: Standing["state"], why: string): void {
    const { site, name, log, now } = this.#options;
    this.#why = why;
    if (state === this.#state) return;
    if (state === "up") log.warn({ site, upstream: name }, "upstream answers again");
    else if (this.#state === "up") log.warn({ site, upstream: name, err: why }, "upstream is away");
    if (this.#state === "up") this.#since = now();
    this.#state = state;
    if (state !== "unreachable") this.#lookout.rest();
  }

  #lookLater(): void {
    const pause = jittered(stepOf(LOOKS_MS, this.#tries), this.#options.random);
    this.#tries += 1;
    this.#nextTry = this.#options.now() + pause;
    this.#lookout.later(pause);
  }

  #away(until = this.#nextTry): OciError {
    const { name, now } = this.#options;
    const retryAfterMs = Math.max(1_000, Math.ceil(until - now()));
    const why = this.#state === "up" ? "it asks to be left alone for this repository" : this.#why;
    return new OciError("UPSTREAM_UNREACHABLE", `${name} is away: ${why}`, { retryAfterMs });
  }
}

const isDoorkeeper = (status: number): boolean => status === 401 || status === 403 || status === 429;
