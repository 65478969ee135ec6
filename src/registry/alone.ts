// Bytes of one blob for one reader, past the store: by the reader's own way, over as many connections as it takes and is worth.
import { pause } from "../lib/abort.ts";
import { type ByteSource, ByteStream } from "../lib/byte-stream.ts";
import { byteStreamOf } from "../lib/readable-source.ts";
import { Retry, type RetryOptions } from "../lib/retry.ts";
import { OciError } from "../oci/error.ts";
import { asTorn, isTorn, type Open, type Opened } from "./opening.ts";

export interface AloneParts {
  readonly open: Open;
  /** The first byte that is wanted, and the last (inclusive; `undefined`: all there are). */
  readonly from: number;
  readonly end: number | undefined;
  /** Bytes of the whole. */
  readonly total: number | undefined;
  /** What has been opened already. */
  readonly first?: Opened;
  readonly retry: RetryOptions;
}

export const alone = (parts: AloneParts): ByteStream => new ByteStream(new Alone(parts));

class Alone implements ByteSource {
  readonly #parts: AloneParts;
  readonly #retry: Retry;
  readonly #gone = new AbortController();
  #position: number;
  #bytes: ByteStream | undefined;
  #isOver = false;

  constructor(parts: AloneParts) {
    this.#parts = parts;
    this.#position = parts.from;
    this.#retry = new Retry(parts.retry);
    // left unread, what is open already has to be closed as well
    if (parts.first !== undefined && parts.first.start === parts.from) this.#bytes = byteStreamOf(parts.first.body);
    else parts.first?.body.destroy();
  }

  async read(into: Buffer): Promise<number> {
    while (!this.#isOver && this.#left > 0) {
      const length = await this.#attempt(into).catch((error: unknown) => this.#again(error));
      if (length === undefined) continue;
      this.#isOver = length === 0;
      this.#position += length;
      this.#retry.progressed(length);
      return length;
    }
    return 0;
  }

  leave(): void {
    this.#gone.abort(new Error("the reader has left"));
    this.#bytes?.destroy();
  }

  release(): void {}

  get #left(): number {
    const { end = Number.POSITIVE_INFINITY } = this.#parts;
    return end + 1 - this.#position;
  }

  async #attempt(into: Buffer): Promise<number> {
    this.#bytes ??= await this.#open();
    const length = await this.#bytes.readInto(this.#left < into.length ? into.subarray(0, this.#left) : into);
    const { total = 0 } = this.#parts;
    if (length === 0 && this.#position < Math.min(total, this.#position + this.#left))
      throw new OciError("UPSTREAM_UNREACHABLE", `upstream ended at byte ${this.#position}`);
    return length;
  }

  /** Waits before the next try, or throws what is not worth one. */
  async #again(error: unknown): Promise<undefined> {
    this.#bytes?.destroy();
    this.#bytes = undefined;
    this.#gone.signal.throwIfAborted();
    const torn = asTorn(error);
    const ms = isTorn(torn) ? this.#retry.next(torn.retryAfterMs) : undefined;
    if (ms === undefined) throw torn;
    await pause(ms, this.#gone.signal);
  }

  async #open(): Promise<ByteStream> {
    const { open, end, total } = this.#parts;
    const opened = await open(this.#position, this.#gone.signal, end);
    const bytes = byteStreamOf(opened.body);
    this.#bytes = bytes;
    if (this.#gone.signal.aborted || (total !== undefined && opened.total !== undefined && opened.total !== total)) {
      bytes.destroy();
      this.#gone.signal.throwIfAborted();
      throw new OciError("UPSTREAM_INVALID", `upstream changed the length from ${total} to ${opened.total}`);
    }
    await skip(bytes, this.#position - opened.start);
    return bytes;
  }
}

const SKIP = 64 * 1024;

/** An upstream that knows no ranges begins at the beginning. */
const skip = async (bytes: ByteStream, many: number): Promise<void> => {
  const scratch = Buffer.allocUnsafe(Math.min(SKIP, Math.max(0, many)));
  try {
    if (many < 0) throw new OciError("UPSTREAM_INVALID", "upstream began past what was asked for");
    for (let left = many; left > 0; ) {
      const length = await bytes.readInto(left < scratch.length ? scratch.subarray(0, left) : scratch);
      if (length === 0) throw new OciError("UPSTREAM_UNREACHABLE", "upstream ended before what was asked for");
      left -= length;
    }
  } catch (error) {
    bytes.destroy();
    throw error;
  }
};
