// How many leaves clients may have minted for names of their own choice, below a wildcard: so many a second in all, and no client more than its
// share, so that one which invents names takes from no other the ones that it needs.
import { LRUCache } from "lru-cache";
import { clientOf } from "../lib/headcount.ts";
import { type Rate, Refill } from "../lib/refill.ts";

/** Each takes a millisecond of the one processor that everybody's answers come from. */
const ALL: Rate = { perSecond: 50, atOnce: 200 };
const EACH: Rate = { perSecond: 10, atOnce: 50 };
const CLIENTS = 1_024;

export class Mints {
  readonly #all: Refill;
  readonly #each = new LRUCache<string, Refill>({ max: CLIENTS });
  readonly #now: (() => number) | undefined;

  /** `now` in monotonic milliseconds. */
  constructor(now?: () => number) {
    this.#now = now;
    this.#all = new Refill(ALL, now);
  }

  /** One for the client at that address; false: it, or all, have had theirs. */
  take(address: string): boolean {
    const client = clientOf(address);
    const own = this.#each.get(client) ?? new Refill(EACH, this.#now);
    this.#each.set(client, own);
    return own.take() && this.#all.take();
  }
}
