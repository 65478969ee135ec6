// The one download of a digest, from the first byte to the commit. The writer never waits for a reader, and no reader's leaving stops it
// within the bounds of what may be abandoned. Each joiner brings its own way to open upstream; a refusal concerns only whom it was said to.
import { abortable } from "../lib/abort.ts";
import type { ByteStream } from "../lib/byte-stream.ts";
import type { Logger } from "../lib/log.ts";
import type { Places } from "../lib/places.ts";
import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { type ByteRange, type RangeRequest, resolveRange } from "../oci/range.ts";
import { type BlobStore, type Stage, StoreFull } from "../store/blobs.ts";
import { type Boarding, Download, type DownloadOptions } from "./download.ts";
import type { FlightCounts } from "./flight-counts.ts";
import { FlightEnd, isResumable, type Reason, reasonOf } from "./flight-end.ts";
import { following } from "./following.ts";
import { type Joiner, Joiners, type Joining } from "./joiners.ts";

export interface FlightParts {
  readonly store: BlobStore;
  readonly log: Logger;
  readonly counts: FlightCounts;
  /** Downloads that every reader has left go on for whoever comes next: else asking and leaving would be a way to have us download anything. */
  readonly abandoned: Places;
  readonly options: DownloadOptions;
}

/** What a joiner reads, once upstream has answered. */
export interface Passage {
  /** Bytes of the whole; `undefined` when upstream does not say. */
  readonly total: number | undefined;
  /** What the body holds, when a range was asked for. Of what has no length there is none: it is given whole (RFC 9110 §14.2). */
  readonly range: ByteRange | undefined;
  readonly body: ByteStream;
}

export class Flight {
  /** Settles when nothing more will come: committed, left for later, or thrown away. Never rejects. */
  readonly done: Promise<void>;
  readonly #digest: Digest;
  readonly #parts: FlightParts;
  readonly #stop = new AbortController();
  readonly #joiners = new Joiners();
  readonly #boarding = Promise.withResolvers<Boarding>();
  readonly #download: Download;
  /** All bytes are there: who leaves now leaves nothing behind. */
  #isFilled = false;
  #failed = false;
  /** The last client to leave, while everybody has. */
  #abandonedBy: string | undefined;

  /**
   * Whoever makes it joins it at once, before the next turn of the event loop: a flight without a joiner has nothing to open.
   * The one `before` it may still be putting down what it leaves.
   */
  constructor(digest: Digest, parts: FlightParts, before: Promise<void> = Promise.resolve()) {
    this.#digest = digest;
    this.#parts = parts;
    const onBoard = (boarding: Boarding) => this.#boarding.resolve(boarding);
    this.#download = new Download({ ...parts, digest, joiners: this.#joiners, stop: this.#stop.signal, onBoard });
    this.#boarding.promise.catch(() => undefined);
    parts.counts.add("begun");
    this.done = this.#run(before);
  }

  /** How far it has come, in bytes, with what an earlier one left. */
  get head(): number {
    return this.#download.head;
  }

  /** Whether it has come to nothing, or is about to: whoever wants the blob begins anew. */
  get failed(): boolean {
    return this.#failed || this.#stop.signal.aborted;
  }

  /** Resolves when there is something to read. Throws what upstream said to this joiner, or why the flight has ended. */
  async join(joining: Joining, range: RangeRequest | undefined, signal: AbortSignal): Promise<Passage> {
    if (this.failed) throw new OciError("UPSTREAM_UNREACHABLE", `the download of ${this.#digest} has ended`);
    const refusal = Promise.withResolvers<never>();
    refusal.promise.catch(() => undefined);
    const joiner: Joiner = { joining, refuse: refusal.reject };
    if (this.#joiners.hadAny) this.#parts.counts.add("joined");
    this.#joiners.add(joiner);
    this.#takeBack();
    this.#download.wake();
    try {
      return this.#seat(await abortable(Promise.race([this.#boarding.promise, refusal.promise]), signal), joiner, range);
    } catch (error) {
      this.#left(joiner);
      throw error;
    }
  }

  /** What has come is kept for the next one. */
  stop(): void {
    this.#stop.abort(new FlightEnd("shutdown", "UNAVAILABLE", "shutting down"));
  }

  #seat({ stage, total }: Boarding, joiner: Joiner, asked: RangeRequest | undefined): Passage {
    const range = asked === undefined || total === undefined ? undefined : resolveRange(asked, total);
    const body = following({
      digest: this.#digest,
      stage,
      start: range?.start ?? 0,
      end: range?.end,
      total,
      open: joiner.joining.open,
      retry: this.#parts.options.retry,
      onAlone: () => this.#parts.counts.add("alone"),
      onOver: () => this.#left(joiner),
    });
    return { total, range, body };
  }

  #left(joiner: Joiner): void {
    this.#joiners.leave(joiner);
    const isOver = this.#isFilled || this.failed;
    if (isOver || this.#joiners.present > 0 || this.#abandonedBy !== undefined) return;
    if (this.#joiners.next() !== undefined) this.#abandon(joiner.joining.client);
    this.#download.wake();
  }

  #abandon(client: string): void {
    if (this.#parts.abandoned.admit(client)) {
      this.#abandonedBy = client;
      this.#parts.counts.add("abandoned");
    } else {
      this.#stop.abort(new FlightEnd("abandoned", "UNAVAILABLE", "its readers have left, and those of too many others"));
    }
  }

  #takeBack(): void {
    if (this.#abandonedBy !== undefined) this.#parts.abandoned.takeBack(this.#abandonedBy);
    this.#abandonedBy = undefined;
  }

  async #run(before: Promise<void>): Promise<void> {
    await before;
    try {
      const stage = await this.#download.run();
      this.#isFilled = true;
      await this.#land(stage);
    } catch (error) {
      await this.#end(error instanceof Error ? error : new Error(String(error)));
    }
    this.#takeBack();
  }

  /** Readers are released when the bytes are verified; the commit that follows is no concern of theirs. */
  async #land(stage: Stage): Promise<void> {
    if (!(await stage.verify(this.#digest)))
      throw new FlightEnd("digest", "UPSTREAM_INVALID", `upstream's bytes are not those of ${this.#digest}`);
    await stage.commit();
    this.#parts.counts.add("landed");
  }

  async #end(error: Error): Promise<void> {
    const { counts, log } = this.#parts;
    this.#failed = true;
    const reason = reasonOf(error);
    counts.add(`failed.${reason}`);
    // what upstream says before the first byte its clients hear, and their log lines; a full disk has its own word in health
    const isQuiet = reason === "full" || (this.#download.boarding === undefined && isResumable(reason));
    log[isQuiet ? "debug" : "warn"]({ digest: this.#digest, at: this.head, reason, err: error.message }, "download failed");
    this.#boarding.reject(error);
    this.#joiners.end(error);
    await this.#putDown(error, reason).catch((failure: unknown) => log.error({ err: String(failure) }, "stage not put down"));
  }

  /** Without room nothing is kept, and readers go on by themselves; what is good so far is kept for the next flight; else it goes. */
  async #putDown(error: Error, reason: Reason): Promise<void> {
    const stage = this.#download.boarding?.stage;
    if (error instanceof StoreFull) await stage?.overflow(error);
    else if (isResumable(reason)) await stage?.leave(error);
    else await stage?.discard(error);
  }
}
