// Whether a front end is well, by what is heard of it. Bad news is believed at once; good news the later the more often it was wrong
// before, so that names do not lead now here, now there.
import type { Clock } from "../lib/clock.ts";
import { stepOf } from "../lib/pauses.ts";

/** How long good news has to last after so many falls in a row, and how long it has lasted when they are forgotten. Milliseconds. */
const HOLD = [1_000, 2_000, 5_000, 10_000, 30_000];
const STEADY = 60_000;

export class Standing {
  readonly #now: Clock;
  #well = false;
  #goodSince: number | undefined;
  #wellSince = 0;
  #falls = 0;

  /** `now`: monotonic milliseconds. The first good news is believed. */
  constructor(now: Clock = () => performance.now()) {
    this.#now = now;
  }

  get well(): boolean {
    return this.#well;
  }

  /** To be told again and again. */
  good(): void {
    const now = this.#now();
    this.#goodSince ??= now;
    if (this.#well || now - this.#goodSince < this.#hold) return;
    this.#well = true;
    this.#wellSince = now;
  }

  bad(): void {
    this.#goodSince = undefined;
    if (!this.#well) return;
    this.#well = false;
    this.#falls = this.#now() - this.#wellSince >= STEADY ? 1 : this.#falls + 1;
  }

  get #hold(): number {
    return this.#falls === 0 ? 0 : stepOf(HOLD, this.#falls - 1);
  }
}
