// What is kept for tags that no entry covers any more goes, and not at once: whoever has emptied the list or cut it short by mistake puts it right
// before anything is lost. Time is that of serving with the same list, by no clock.
import type { Logger } from "../lib/log.ts";
import type { MirrorEntry } from "../mirrors.ts";
import type { LetGone } from "./retention.ts";

export interface UncoveredParts {
  readonly count: () => Promise<number>;
  readonly letGo: () => Promise<LetGone>;
  /** Milliseconds, as of performance.now(). */
  readonly now: () => number;
  readonly log: Logger;
}

const HOUR = 3_600_000;
const AFTER = 24 * HOUR;
/** There is hardly a list that is meant to be empty. */
const AFTER_EMPTY = 7 * AFTER;

export class Uncovered {
  readonly #parts: UncoveredParts;
  /** `undefined`: nothing is to go. */
  #dueAt: number | undefined;

  constructor(parts: UncoveredParts) {
    this.#parts = parts;
  }

  /** From now on this is the list. */
  async follow(entries: readonly MirrorEntry[]): Promise<void> {
    const { count, now, log } = this.#parts;
    const wait = entries.length === 0 ? AFTER_EMPTY : AFTER;
    this.#dueAt = undefined;
    const tags = await count();
    if (tags === 0) return;
    this.#dueAt = now() + wait;
    log.warn(
      { tags, hours: wait / HOUR },
      "mirror: no entry covers these tags any more: their backup names go after so many hours, unless the list has them again by then",
    );
  }

  get isDue(): boolean {
    return this.#dueAt !== undefined && this.#parts.now() >= this.#dueAt;
  }

  /** Does nothing before it is due. */
  async look(): Promise<void> {
    if (!this.isDue) return;
    this.#dueAt = undefined;
    const gone = await this.#parts.letGo();
    this.#parts.log.info({ ...gone }, "mirror: what no entry covers any more may make way again, and its backup names are gone");
  }
}
