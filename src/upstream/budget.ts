// What one payer may still ask of one origin. After a 429 nothing is asked until its Retry-After is over, or a pause of our own that grows
// where it says none; then one question at a time finds out, and the first answer that is none ends it for all.
import { jittered, stepOf } from "../lib/pauses.ts";
import { Trial } from "../lib/trial.ts";
import { OciError, type UpstreamAnswer } from "../oci/error.ts";
import type { RateLimit } from "../oci/rate-limit.ts";
import type { BudgetStanding } from "../oci/standing.ts";

const PAUSES_MS = [1_000, 2_000, 5_000, 10_000, 30_000, 60_000];
/** Whatever upstream says: one question an hour finds out whether that was so. Milliseconds. */
const HOLD_AT_MOST = 3_600_000;
/** How long others wait for the one question that finds out. Milliseconds. */
const PATIENCE = 1_000;
/** Whoever asks for no client leaves it to clients for so long to find out. Milliseconds. */
const OURS_LATER = 30_000;
/** For how long a count without a window is believed. Milliseconds. */
const WINDOW = 3_600_000;
/** Where upstream says what remains but not of how much. */
const LIMIT = 50;
const MAX_WORDS = 4_096;

export interface BudgetOptions {
  readonly name: string;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  readonly random?: () => number;
}

/** What is asked for: GETs of manifests are what registries count, so that nothing less shows that they are answered again. */
export type Weight = "light" | "full";

/** One question's leave to be asked. */
export interface Admission {
  /** Its place among all questions and 429s. */
  readonly nth: number;
  /** Whether it is the one that finds out. */
  readonly finds: boolean;
  readonly end: () => void;
}

export class Budget {
  /** Whose it is by upstream's own word. */
  source: string | undefined;
  readonly #options: BudgetOptions;
  readonly #trial = new Trial();
  #counted: RateLimit | undefined;
  #countedAt = 0;
  #isThrottled = false;
  #until = 0;
  #pauses = 0;
  /** The place of the last 429: the answer to a question that was asked before it does not end it. */
  #nth = 0;
  #weight: Weight = "full";
  #words: UpstreamAnswer | undefined;

  constructor(options: BudgetOptions) {
    this.#options = options;
  }

  /** Throws TOOMANYREQUESTS where it is no use to ask. `isOurs`: for no client, who comes first where little is left. */
  async enter(isOurs: boolean, signal: AbortSignal): Promise<Admission> {
    const { now } = this.#options;
    const isLeft = this.#isLow() || (this.#isThrottled && now() < this.#until + OURS_LATER);
    if (isOurs && isLeft) throw this.#held("what is left of it is for clients");
    const until = now() + PATIENCE;
    while (this.#isThrottled) {
      if (now() < this.#until) throw this.#held();
      if (!this.#trial.isRunning) return { nth: next(), finds: true, end: this.#trial.begin() };
      if (!(await this.#trial.isOver(until - now(), signal))) throw this.#held();
    }
    return { nth: next(), finds: false, end: () => undefined };
  }

  /** Just before a question goes out that may have waited since `enter`. Throws as it does. */
  check({ nth, finds }: Admission): void {
    if (!finds && this.#isThrottled && nth < this.#nth) throw this.#held();
  }

  count(limit: RateLimit): void {
    if (limit.remaining === undefined && limit.limit === undefined) return;
    this.#counted = limit;
    this.#countedAt = this.#options.now();
  }

  throttle({ nth }: Admission, weight: Weight, retryAfterMs: number | undefined): void {
    const { now, random } = this.#options;
    // all that were under way are told the same: that is one reason to wait longer, not many
    if (nth > this.#nth) this.#pauses += 1;
    const own = jittered(stepOf(PAUSES_MS, Math.max(0, this.#pauses - 1)), random);
    const pause = retryAfterMs === undefined || retryAfterMs === 0 ? own : Math.min(retryAfterMs, HOLD_AT_MOST);
    this.#until = Math.max(this.#isThrottled ? this.#until : 0, now() + pause);
    this.#isThrottled = true;
    this.#weight = weight;
    this.#nth = next();
  }

  /** Upstream's own words for it. */
  say(words: UpstreamAnswer): void {
    this.#words = { ...words, body: words.body.length > MAX_WORDS ? "" : words.body, challenges: [] };
  }

  /** An answer that is no 429. */
  free({ nth }: Admission, weight: Weight, { remaining }: RateLimit): void {
    if (!this.#isThrottled || nth < this.#nth) return;
    // where HEADs and blobs cost nothing they say nothing of what does
    if (this.#weight === "full" && weight === "light" && !(remaining !== undefined && remaining > 0)) return;
    this.#isThrottled = false;
    this.#pauses = 0;
    this.#words = undefined;
  }

  /** Takes over what another knows that turns out to be the same. */
  merge(other: Budget): void {
    if (!other.#isThrottled || (this.#isThrottled && this.#until >= other.#until)) return;
    this.#isThrottled = true;
    this.#until = other.#until;
    this.#pauses = Math.max(this.#pauses, other.#pauses);
    this.#weight = other.#weight;
    this.#words = other.#words;
    this.#nth = Math.max(this.#nth, other.#nth);
  }

  get standing(): BudgetStanding | undefined {
    const counted = this.#isCounted() ? this.#counted : undefined;
    if (!this.#isThrottled && counted === undefined) return undefined;
    return {
      ...(counted?.limit === undefined ? {} : { limit: counted.limit }),
      ...(counted?.remaining === undefined ? {} : { remaining: counted.remaining }),
      ...(this.#isThrottled ? { retryInMs: this.#left() } : {}),
    };
  }

  #left(): number {
    return Math.max(0, Math.ceil(this.#until - this.#options.now()));
  }

  #isCounted(): boolean {
    return this.#counted !== undefined && this.#options.now() - this.#countedAt < (this.#counted.window ?? WINDOW);
  }

  #isLow(): boolean {
    const { remaining, limit = LIMIT } = this.#counted ?? {};
    return remaining !== undefined && this.#isCounted() && remaining <= Math.max(2, Math.ceil(limit / 5));
  }

  /** 429 as upstream said it, with what is left of the time. */
  #held(why = "it has had enough questions for now"): OciError {
    const retryAfterMs = Math.max(1_000, this.#left());
    const retryAfter = String(Math.ceil(retryAfterMs / 1_000));
    const words = this.#words;
    return new OciError("TOOMANYREQUESTS", `${this.#options.name} is not asked: ${why}`, {
      retryAfterMs,
      ...(words === undefined ? {} : { upstream: { ...words, retryAfter } }),
    });
  }
}

let last = 0;
const next = (): number => {
  last += 1;
  return last;
};
