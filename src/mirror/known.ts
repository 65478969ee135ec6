// The failures of an entry that have been told already: told again the next day, or when all was well in between.
import type { Clock } from "../lib/clock.ts";
import type { FailedPart } from "./outcome.ts";

/** What runs daily, an hour sooner or later, tells daily. */
const AGAIN_AFTER = 20 * 3_600_000;
const MOST = 1_000;
/** No tag's own, whichever meets with it first. */
const COMMON: readonly string[] = ["UPSTREAM_UNREACHABLE", "TOOMANYREQUESTS", "UNAVAILABLE", "STORE_FULL"];

export class Known {
  readonly #clock: Clock;
  readonly #toldAt = new Map<string, Map<string, number>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** If not, it is from now on. `to`: the digest that the tag could not be moved to; another is another failure. */
  has(entry: string, { code, reference }: FailedPart, to: string | undefined): boolean {
    const key = COMMON.includes(code) ? code : JSON.stringify([code, reference, to]);
    const told = this.#toldAt.get(entry) ?? new Map<string, number>();
    const age = this.#clock() - (told.get(key) ?? Number.NEGATIVE_INFINITY);
    if (age >= 0 && age < AGAIN_AFTER) return true;
    if (told.size >= MOST) told.clear();
    told.set(key, this.#clock());
    this.#toldAt.set(entry, told);
    return false;
  }

  /** All is well. */
  forget(entry: string): void {
    this.#toldAt.delete(entry);
  }
}
