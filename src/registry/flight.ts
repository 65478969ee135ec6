// The one download of a digest, from the first byte to the commit. The writer never waits for a reader, and no reader's leaving stops it.
// Each joiner brings its own way to open upstream, under its own credential; a refusal concerns only whom it was said to.
import type { Readable } from "node:stream";
import { abortable, pause } from "../lib/abort.ts";
import type { ByteStream } from "../lib/byte-stream.ts";
import type { Logger } from "../lib/log.ts";
import { byteStreamOf } from "../lib/readable-source.ts";
import { algorithmOf, type Digest } from "../oci/digest.ts";
import { isOciError, OciError } from "../oci/error.ts";
import { type BlobStore, type Stage, StoreFull } from "../store/blobs.ts";

/** What an opened upstream gives: bytes from `start` (not always the offset that was asked for) of `total`. */
export interface Opened {
  readonly body: Readable;
  readonly start: number;
  readonly total: number | undefined;
}

export type Open = (offset: number, signal: AbortSignal) => Promise<Opened>;

/** What a joiner follows, once upstream has answered. */
export interface Boarding {
  /** Bytes of the whole; `undefined` when upstream does not say. */
  readonly total: number | undefined;
  readonly stage: Stage;
}

interface Joiner {
  readonly open: Open;
  readonly board: (boarding: Boarding) => void;
  readonly refuse: (reason: Error) => void;
}

/** Openings in a row that brought no byte; what is served then is cut, and the next reader begins anew. */
const MAX_BARREN = 5;
const BACKOFF_MS = [100, 300, 1_000, 3_000];

export class Flight {
  /** Settles when nothing more will come: committed, or thrown away. Never rejects. */
  readonly done: Promise<void>;
  readonly #digest: Digest;
  readonly #store: BlobStore;
  readonly #log: Logger;
  readonly #stop = new AbortController();
  #joiners: Joiner[] = [];
  #boarding: Boarding | undefined;
  #failed = false;

  /** Whoever makes it joins it at once, before the next turn of the event loop: a flight without a joiner has nothing to open. */
  constructor(digest: Digest, store: BlobStore, log: Logger) {
    this.#digest = digest;
    this.#store = store;
    this.#log = log;
    this.done = this.#run();
  }

  /** How far the download has come, in bytes; `undefined` before upstream has answered. */
  get head(): number | undefined {
    return this.#boarding?.stage.size;
  }

  /** Whether it has come to nothing: whoever wants the blob begins anew. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Resolves when there is something to follow. Throws what upstream said to this joiner, or why the flight has ended. */
  join(open: Open, signal: AbortSignal): Promise<Boarding> {
    const boarding = new Promise<Boarding>((board, refuse) => {
      this.#joiners.push({ open, board, refuse });
      if (this.#boarding !== undefined) board(this.#boarding);
    });
    return abortable(boarding, signal);
  }

  stop(): void {
    this.#stop.abort(new OciError("UNAVAILABLE", "shutting down"));
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    try {
      await this.#download();
      await this.#land();
    } catch (error) {
      await this.#end(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** Fills the stage, opening upstream as often as it takes and is worth it. */
  async #download(): Promise<void> {
    let barren = 0;
    while (!this.#complete()) {
      const joiner = this.#joiners[0];
      if (joiner === undefined) throw new OciError("UPSTREAM_UNREACHABLE", `nobody is left who may download ${this.#digest}`);
      const before = this.head ?? 0;
      try {
        await this.#pour(await joiner.open(before, this.#stop.signal));
      } catch (error) {
        this.#stop.signal.throwIfAborted();
        this.#weigh(error, joiner);
      }
      const mayGoOn = this.#joiners[0] === joiner;
      barren = (this.head ?? 0) > before || !mayGoOn ? 0 : barren + 1;
      if (barren >= MAX_BARREN) throw new OciError("UPSTREAM_UNREACHABLE", `upstream keeps breaking off ${this.#digest}`);
      if (barren > 0) await pause(BACKOFF_MS[barren - 1] ?? 3_000, this.#stop.signal);
    }
  }

  #complete(): boolean {
    const { total, stage } = this.#boarding ?? {};
    return stage !== undefined && total !== undefined && stage.size >= total;
  }

  /** What went wrong: with one joiner's right, with the line, or for good. */
  #weigh(error: unknown, joiner: Joiner): void {
    if (!isOciError(error)) throw error;
    // what upstream delivers is wrong: asking again with another credential would bring the same
    if (error.code === "UPSTREAM_INVALID" && error.upstream === undefined) throw error;
    if (this.#boarding === undefined || !error.isOutage) {
      joiner.refuse(error);
      this.#joiners = this.#joiners.filter((other) => other !== joiner);
    }
    this.#log.debug({ digest: this.#digest, at: this.head ?? 0, err: error.message }, "upstream broke off");
  }

  /** While one buffer is written and hashed, the other is filled. */
  async #pour({ body, start, total }: Opened): Promise<void> {
    const bytes = byteStreamOf(body);
    let writing: Promise<void> = Promise.resolve();
    try {
      const boarding = await this.#boardAll(total);
      let skip = boarding.stage.size - start;
      if (skip < 0) throw new OciError("UPSTREAM_INVALID", `upstream began at byte ${start}, past what was asked for`);
      const buffers = twoBuffers(total);
      for (let turn = 0; ; turn = 1 - turn) {
        const buffer = buffers[turn]!;
        const length = await read(bytes, buffer);
        await writing;
        if (length === 0) break;
        const fresh = buffer.subarray(Math.min(skip, length), length);
        skip -= length - fresh.length;
        if (fresh.length > 0) writing = this.#append(boarding, fresh);
        // it is waited for above; until then its failure is nobody's surprise
        writing.catch(() => undefined);
      }
      // without a length only the digest tells that this was the end
      if (boarding.total === undefined) this.#boarding = { ...boarding, total: boarding.stage.size };
    } finally {
      bytes.destroy();
      // what had come is kept before upstream is asked for the rest; what the store says of it weighs more than a torn line
      await writing;
    }
  }

  async #append({ stage, total }: Boarding, bytes: Buffer): Promise<void> {
    if (total !== undefined && stage.size + bytes.length > total) {
      throw new OciError("UPSTREAM_INVALID", `upstream sends more than the ${total} bytes that it promised`);
    }
    await stage.append(bytes);
  }

  async #boardAll(total: number | undefined): Promise<Boarding> {
    const known = this.#boarding;
    if (known === undefined) {
      const stage = await this.#store.stage(total, algorithmOf(this.#digest));
      this.#boarding = { stage, total };
      for (const joiner of this.#joiners) joiner.board(this.#boarding);
      return this.#boarding;
    }
    if (known.total !== undefined && total !== undefined && known.total !== total) {
      throw new OciError("UPSTREAM_INVALID", `upstream changed the length of ${this.#digest} from ${known.total} to ${total}`);
    }
    return known;
  }

  /** Readers are released when the bytes are verified; the commit that follows is no concern of theirs. */
  async #land(): Promise<void> {
    const { stage } = this.#boarding!;
    if (!(await stage.verify(this.#digest))) {
      throw new OciError("UPSTREAM_INVALID", `upstream's bytes are not those of ${this.#digest}`);
    }
    await stage.commit();
  }

  async #end(reason: Error): Promise<void> {
    this.#failed = true;
    if (!(reason instanceof StoreFull))
      this.#log.warn({ digest: this.#digest, at: this.head ?? 0, err: reason.message }, "download failed");
    for (const joiner of this.#joiners) joiner.refuse(reason);
    this.#joiners = [];
    await this.#boarding?.stage
      .discard(reason)
      .catch((error: unknown) => this.#log.error({ err: String(error) }, "stage not discarded"));
  }
}

/** Bytes that are hashed and written at once. */
const PORTION = 256 * 1024;

const twoBuffers = (total: number | undefined): readonly Buffer[] => {
  const size = Math.min(PORTION, Math.max(1, total ?? PORTION));
  return [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)];
};

/** A body that breaks off is an upstream that went away, whatever the socket calls it. */
const read = async (bytes: ByteStream, into: Buffer): Promise<number> => {
  try {
    return await bytes.readInto(into);
  } catch (error) {
    throw isOciError(error) ? error : new OciError("UPSTREAM_UNREACHABLE", "upstream broke off", { cause: error });
  }
};
