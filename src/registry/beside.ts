// The bytes of a push into a stage beside its stream, which never waits for them: where the disk is slower than the push, or full, or there
// is more waiting than may, they are given up, and the push goes on.
import type { Logger } from "../lib/log.ts";
import type { Digest } from "../oci/digest.ts";
import { type Stage, StoreFull } from "../store/blobs.ts";

/** Bytes of one push that wait for the disk: a quarter of a second of a gigabit line, which a busy disk may well not answer for. */
const MOST_WAITING = 32 * 1024 * 1024;
/** What is written at a time: each turn of the event loop may bring 2 MiB more, and one write must be worth more than that. Bytes. */
const PORTION = 4 * 1024 * 1024;

/** Bytes of all pushes that wait, in memory. */
export class Waiting {
  bytes = 0;
  readonly most: number;

  constructor(most: number) {
    this.most = most;
  }
}

export interface BesideParts {
  readonly stage: () => Promise<Stage>;
  readonly waiting: Waiting;
  readonly log: Logger;
}

export class Beside {
  readonly #parts: BesideParts;
  #queue: Buffer[] = [];
  #queued = 0;
  #size = 0;
  #stage: Stage | undefined;
  #writing: Promise<void> | undefined;
  #lost: Error | undefined;
  #discarding: Promise<void> | undefined;

  constructor(parts: BesideParts) {
    this.#parts = parts;
  }

  /** Bytes that have gone by. */
  get size(): number {
    return this.#size;
  }

  get isLost(): boolean {
    return this.#lost !== undefined;
  }

  /** Returns at once, and never throws. */
  offer(bytes: Buffer): void {
    this.#size += bytes.length;
    if (this.isLost || bytes.length === 0) return;
    const { waiting } = this.#parts;
    if (this.#queued + bytes.length > MOST_WAITING || waiting.bytes + bytes.length > waiting.most) {
      this.drop(new Error("the disk is slower than the push"));
      return;
    }
    this.#queue.push(bytes);
    this.#count(bytes.length);
    this.#writing ??= this.#write();
  }

  /** Whether it is held now, under the digest that it was pushed as. Never rejects. Nothing is offered after it. */
  async keep(digest: Digest): Promise<boolean> {
    while (this.#writing !== undefined) await this.#writing;
    if (this.isLost) return false;
    try {
      this.#stage ??= await this.#parts.stage();
      if (!(await this.#stage.verify(digest))) throw new Error(`what went by is not ${digest}`);
      await this.#stage.commit();
      return true;
    } catch (error) {
      this.drop(error);
      return false;
    }
  }

  /** Gives it up. Idempotent. */
  drop(why: unknown): void {
    if (this.isLost) return;
    this.#lost = why instanceof Error ? why : new Error(String(why));
    const isExpected = why instanceof StoreFull || this.#size === 0;
    this.#parts.log[isExpected ? "debug" : "info"]({ bytes: this.#size, err: this.#lost.message }, "a push is not kept");
    this.#queue = [];
    this.#count(-this.#queued);
    if (this.#writing === undefined) this.#discarding = this.#discard(this.#lost);
  }

  /** Resolves when what was given up has left nothing behind. */
  async gone(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    await this.#discarding;
  }

  async #write(): Promise<void> {
    try {
      this.#stage ??= await this.#parts.stage();
      while (this.#queue.length > 0) {
        const bytes = this.#portion();
        await this.#stage.append(bytes);
        if (!this.isLost) this.#count(-bytes.length);
      }
    } catch (error) {
      this.drop(error);
    }
    if (this.#lost !== undefined) await this.#discard(this.#lost);
    this.#writing = undefined;
  }

  /** They still count as waiting: they are in memory until they are written. */
  #portion(): Buffer {
    let [count, length] = [0, 0];
    for (const bytes of this.#queue) {
      count += 1;
      length += bytes.length;
      if (length >= PORTION) break;
    }
    const taken = this.#queue.splice(0, count);
    return taken.length === 1 ? taken[0]! : Buffer.concat(taken);
  }

  #count(bytes: number): void {
    this.#queued += bytes;
    this.#parts.waiting.bytes += bytes;
  }

  async #discard(why: Error): Promise<void> {
    const { log } = this.#parts;
    await this.#stage
      ?.discard(why)
      .catch((error: unknown) => log.error({ err: String(error) }, "a push's stage was not put down"));
  }
}
