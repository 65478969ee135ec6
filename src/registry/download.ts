// Fills the stage of one flight, opening upstream as often as it takes and is worth it, by the way of one joiner after another.
// With nobody left who may, it is parked for a while: who joins then takes it on from the byte reached.
import { pause } from "../lib/abort.ts";
import type { Logger } from "../lib/log.ts";
import { byteStreamOf } from "../lib/readable-source.ts";
import { Retry, type RetryOptions } from "../lib/retry.ts";
import type { Digest } from "../oci/digest.ts";
import { isOciError, OciError } from "../oci/error.ts";
import type { BlobStore, Stage } from "../store/blobs.ts";
import { fillFrom } from "./filling.ts";
import type { FlightCounts } from "./flight-counts.ts";
import { FlightEnd } from "./flight-end.ts";
import type { Joiner, Joiners } from "./joiners.ts";
import { isLie, isOnesOwn, isTorn } from "./opening.ts";

export interface DownloadOptions {
  readonly retry: RetryOptions;
  /** How long it waits for somebody who may open upstream when nobody is left. Milliseconds. */
  readonly parkFor: number;
  /** How often, at most, the right is looked up by which it goes on without readers. Milliseconds. */
  readonly recheckEvery: number;
}

export interface DownloadParts {
  readonly digest: Digest;
  readonly store: BlobStore;
  readonly log: Logger;
  readonly counts: FlightCounts;
  readonly options: DownloadOptions;
  readonly joiners: Joiners;
  readonly stop: AbortSignal;
  /** Told once, when upstream has answered. */
  readonly onBoard: (boarding: Boarding) => void;
}

export interface Boarding {
  readonly stage: Stage;
  /** Bytes of the whole; `undefined` when upstream does not say. */
  readonly total: number | undefined;
}

export class Download {
  readonly #parts: DownloadParts;
  readonly #retry: Retry;
  #boarding: Boarding | undefined;
  #refusal: Error | undefined;
  #checkedAt = 0;
  #wake: (() => void) | undefined;

  constructor(parts: DownloadParts) {
    this.#parts = parts;
    this.#retry = new Retry(parts.options.retry);
  }

  get boarding(): Boarding | undefined {
    return this.#boarding;
  }

  /** How far it has come, in bytes, with what an earlier one left. */
  get head(): number {
    const { stage } = this.#boarding ?? {};
    return stage === undefined ? this.#parts.store.leftover(this.#parts.digest) : stage.size + stage.left;
  }

  /** Who joins, or that everybody has left, ends a wait for somebody to join. */
  wake(): void {
    this.#wake?.();
  }

  /** Resolves when the stage is filled. Throws why it cannot be. */
  async run(): Promise<Stage> {
    while (!this.#isComplete) {
      const joiner = await this.#nextJoiner();
      const before = this.head;
      const failure = await this.#attempt(joiner).then(
        () => undefined,
        (error: unknown) => this.#weigh(error, joiner, before),
      );
      this.#retry.progressed(Math.max(0, this.head - before));
      if (!this.#isComplete && failure !== "elsewhere") await this.#rest(failure);
    }
    return this.#boarding!.stage;
  }

  get #isComplete(): boolean {
    const { total, stage } = this.#boarding ?? {};
    return stage !== undefined && total !== undefined && stage.left === 0 && stage.size >= total;
  }

  async #nextJoiner(): Promise<Joiner> {
    for (;;) {
      this.#parts.stop.throwIfAborted();
      const joiner = this.#parts.joiners.next();
      if (joiner === undefined) await this.#park();
      else if (this.#boarding === undefined || (await this.#mayOpen(joiner))) return joiner;
      else this.#parts.joiners.bar(joiner);
    }
  }

  /** Who reads has shown its right; of one that has left it may have ended since. */
  async #mayOpen(joiner: Joiner): Promise<boolean> {
    return this.#parts.joiners.isPresent(joiner) || joiner.joining.isEntitled().catch(() => false);
  }

  async #park(): Promise<void> {
    const { digest, joiners, stop, options, counts } = this.#parts;
    const nobody = `nobody is left who may download ${digest}`;
    if (this.#boarding === undefined && this.#refusal !== undefined) throw this.#refusal;
    if (joiners.present === 0 || this.#boarding === undefined) throw new FlightEnd("refused", "UPSTREAM_UNREACHABLE", nobody);
    counts.add("parked");
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await pause(options.parkFor, AbortSignal.any([stop, woken.signal]));
    this.#wake = undefined;
    if (!woken.signal.aborted && !stop.aborted) throw new FlightEnd("refused", "UPSTREAM_UNREACHABLE", nobody);
    this.#retry.renew();
  }

  async #attempt(joiner: Joiner): Promise<void> {
    const { stop } = this.#parts;
    const opened = await joiner.joining.open(this.head, stop);
    const body = byteStreamOf(opened.body);
    const leave = () => void body.destroy();
    stop.addEventListener("abort", leave, { once: true });
    try {
      const { stage, total } = await this.#board(opened.total);
      // what an earlier one left has made way for others since it was asked for
      if (opened.start > stage.size + stage.left) return;
      await stage.readBack(stop);
      await fillFrom({ body, start: opened.start, total }, stage, () => this.#mayGoOn(joiner));
      // without a length only the digest tells that this was the end
      if (total === undefined) this.#boarding = { stage, total: stage.size };
    } finally {
      stop.removeEventListener("abort", leave);
      body.destroy();
    }
  }

  async #board(total: number | undefined): Promise<Boarding> {
    const { digest, store, counts, onBoard } = this.#parts;
    const known = this.#boarding;
    if (known === undefined) {
      let stage = await store.fill(digest, total);
      // what an earlier one left is none of this body: its readers would see the end of it unchecked
      if (total !== undefined && stage.left > 0 && stage.left >= total) {
        await stage.discard(new Error("longer than the blob"));
        stage = await store.fill(digest, total);
      }
      if (stage.left > 0) counts.add("resumed");
      this.#boarding = { stage, total };
      onBoard(this.#boarding);
      return this.#boarding;
    }
    if (known.total !== undefined && total !== undefined && known.total !== total) {
      throw new FlightEnd("length", "UPSTREAM_INVALID", `upstream changed the length from ${known.total} to ${total}`);
    }
    return known;
  }

  /** While nobody reads, it is asked now and then whether the right by which it goes on has been refused. */
  async #mayGoOn(joiner: Joiner): Promise<void> {
    const { joiners, stop, options } = this.#parts;
    stop.throwIfAborted();
    const now = performance.now();
    if (joiners.present > 0 || now - this.#checkedAt < options.recheckEvery) return;
    this.#checkedAt = now;
    if (!(await this.#mayOpen(joiner))) throw new OciError("DENIED", "the right by which it was downloaded has ended");
  }

  /** What went wrong: with one joiner's right (then another's way is next), with the line, or for good. */
  async #weigh(error: unknown, joiner: Joiner, offset: number): Promise<OciError | "elsewhere"> {
    const { digest, joiners, stop, log } = this.#parts;
    stop.throwIfAborted();
    if (!isOciError(error) || isLie(error)) throw error;
    log.debug({ digest, at: this.head, err: error.message }, "upstream broke off");
    if (error.code === "RANGE_INVALID" && offset > 0) return this.#outOfRange();
    if (this.#boarding === undefined) {
      this.#refusal = error;
      joiners.refuse(joiner, error, error.isOutage && !isOnesOwn(error));
      return "elsewhere";
    }
    if (isOnesOwn(error) && joiners.hasOther(joiner)) {
      joiners.bar(joiner);
      return "elsewhere";
    }
    if (!isTorn(error)) joiners.bar(joiner);
    else if (this.head === offset) joiners.rotate();
    return isTorn(error) ? error : "elsewhere";
  }

  /** Upstream has no such byte: what an earlier one left is none of this body, or a body without a length had come to its end. */
  async #outOfRange(): Promise<"elsewhere"> {
    const { digest, store } = this.#parts;
    const { stage, total } = this.#boarding ?? {};
    if (total !== undefined) throw new FlightEnd("length", "UPSTREAM_INVALID", `upstream has no byte ${this.head} of ${total}`);
    if (stage !== undefined) this.#boarding = { stage, total: stage.size };
    else await (await store.fill(digest)).discard(new Error("longer than the blob"));
    return "elsewhere";
  }

  /** Upstream is left alone for as long as it asks for, or as seems good. */
  async #rest(failure: OciError | undefined): Promise<void> {
    const { digest, stop, counts } = this.#parts;
    const ms = this.#retry.next(failure?.retryAfterMs);
    if (ms === undefined) throw failure ?? new OciError("UPSTREAM_UNREACHABLE", `upstream keeps ending ${digest} before its end`);
    counts.add("retried");
    await pause(ms, stop);
  }
}
