// The budgets of one origin, one a payer. A payer is a keyed hash of the credential that a question is asked with; those of which upstream
// says that they draw on the same source share one, so that a token that is new for every pull begins nothing anew.

import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { upTo } from "../lib/lru.ts";
import type { UpstreamAnswer } from "../oci/error.ts";
import { parseRateLimit } from "../oci/rate-limit.ts";
import type { BudgetStanding } from "../oci/standing.ts";
import { type Admission, Budget, type BudgetOptions, type Weight } from "./budget.ts";
import { parseRetryAfter } from "./retry-after.ts";
import type { Received } from "./transport.ts";

const MAX_PAYERS = 10_000;
/** More budgets than these are not told to anybody. */
const MAX_TOLD = 50;

export class Limits {
  readonly #options: BudgetOptions;
  readonly #byPayer = new LRUCache<string, Budget>(upTo(MAX_PAYERS));
  readonly #bySource = new LRUCache<string, Budget>(upTo(MAX_PAYERS));

  constructor(options: BudgetOptions) {
    this.#options = options;
  }

  /** Before a question of this payer. Throws TOOMANYREQUESTS where it is no use to ask. */
  async enter(payer: string, isOurs: boolean, signal: AbortSignal): Promise<Account> {
    const admission = await this.#of(payer).enter(isOurs, signal);
    return new Account(admission, { current: () => this.#of(payer), join: (source) => this.#join(payer, source) });
  }

  /** How many payers are remembered. */
  get size(): number {
    return this.#byPayer.size;
  }

  get standing(): BudgetStanding[] {
    const all = new Set(this.#byPayer.values());
    return [...all].flatMap((budget) => budget.standing ?? []).slice(0, MAX_TOLD);
  }

  #of(payer: string): Budget {
    const known = this.#byPayer.get(payer);
    if (known !== undefined) return known;
    const budget = new Budget(this.#options);
    this.#byPayer.set(payer, budget);
    return budget;
  }

  /** Upstream says what this payer draws on. */
  #join(payer: string, source: string): Budget {
    const own = this.#of(payer);
    if (own.source === source) return own;
    const shared = this.#bySource.get(source) ?? (own.source === undefined ? own : new Budget(this.#options));
    if (own.source === undefined && shared !== own) shared.merge(own);
    shared.source = source;
    this.#bySource.set(source, shared);
    this.#byPayer.set(payer, shared);
    return shared;
  }
}

interface Payer {
  /** What it draws on, as far as is known by now. */
  readonly current: () => Budget;
  readonly join: (source: string) => Budget;
}

/** One question on account of its payer. */
export class Account {
  readonly #admission: Admission;
  readonly #payer: Payer;

  constructor(admission: Admission, payer: Payer) {
    this.#admission = admission;
    this.#payer = payer;
  }

  /** Last of all before it goes out. Throws TOOMANYREQUESTS. */
  check(): void {
    this.#payer.current().check(this.#admission);
  }

  /** The head of an answer to a question of this weight. */
  heard(answer: Pick<Received, "status" | "header">, weight: Weight, clock: Clock): void {
    const { status } = answer;
    const limit = parseRateLimit((name) => answer.header(name));
    const budget = limit.source === undefined ? this.#payer.current() : this.#payer.join(limit.source);
    budget.count(limit);
    if (status === 429) budget.throttle(this.#admission, weight, parseRetryAfter(answer.header("retry-after"), clock()));
    // 401 and 403 may come of a doorkeeper that counts nothing, 5xx of anything
    else if (status < 400 || status === 404 || status === 416) budget.free(this.#admission, weight, limit);
  }

  /** The token server, which has no other account. */
  throttled(retryAfterMs: number | undefined): void {
    this.#payer.current().throttle(this.#admission, "light", retryAfterMs);
  }

  /** What the 429 said, for those who are held back. */
  said(words: UpstreamAnswer): void {
    this.#payer.current().say(words);
  }

  end(): void {
    this.#admission.end();
  }
}
