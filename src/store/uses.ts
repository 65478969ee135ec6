// When blobs were last used: noted in memory on every hit, told to the facts in batches. A crash may forget the last seconds.
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Digest } from "../oci/digest.ts";
import type { Holdings } from "./holdings.ts";

const FLUSH_EVERY = 30_000;
/** Of this many different ones the facts are told at once. */
const MANY = 20_000;
/** What is written in one go: everything else waits meanwhile, with a million held for about two milliseconds. */
const BATCH = 50;

export class Uses {
  readonly #holdings: Holdings;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #noted = new Map<Digest, number>();
  /** On their way to the facts. */
  #leaving: ReadonlyMap<Digest, number> = new Map();
  #flushing: Promise<void> | undefined;

  constructor(holdings: Holdings, clock: Clock, log: Logger) {
    this.#holdings = holdings;
    this.#clock = clock;
    this.#log = log;
    this.#timer = setInterval(() => void this.flush(), FLUSH_EVERY);
    this.#timer.unref();
  }

  note(digest: Digest): void {
    this.#noted.set(digest, this.#clock());
    if (this.#noted.size > MANY) void this.flush();
  }

  /** Uses of which the facts may not know yet. */
  since(digest: Digest): number | undefined {
    return this.#noted.get(digest) ?? this.#leaving.get(digest);
  }

  /** Resolves when the facts know of all that was noted before. Never rejects. */
  async flush(): Promise<void> {
    await this.#flushing;
    if (this.#noted.size === 0) return;
    this.#leaving = this.#noted;
    this.#noted = new Map();
    this.#flushing ??= this.#tell([...this.#leaving]).finally(() => {
      this.#flushing = undefined;
      this.#leaving = new Map();
    });
    await this.#flushing;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.flush();
  }

  async #tell(uses: readonly (readonly [Digest, number])[]): Promise<void> {
    try {
      for (let at = 0; at < uses.length; at += BATCH) {
        await this.#holdings.used(uses.slice(at, at + BATCH));
        await turn();
      }
    } catch (error) {
      this.#log.error({ err: String(error) }, "uses could not be saved");
    }
  }
}
