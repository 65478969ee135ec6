// Bytes on their way out. Whoever sends many of them reads into a buffer of its own, again and again: memory that is new for
// every read measured at twice the CPU, and grows until it is collected. Everybody else sees a plain Readable.
import { Readable } from "node:stream";

/** Bytes in order, pulled by one reader. */
export interface ByteSource {
  /** Fills the front of `into`, and says how much of it; 0 at the end. Rejects with what broke it off. One at a time. */
  read(into: Buffer): Promise<number>;
  /** Called once, when the reader is over however it ended: a read that waits is to resolve soon, with any number. */
  leave(): void;
  /** Called once, after `leave`, when no read is under way any more. */
  release(): void;
}

/** For those who read it as a plain stream. Bytes. */
const PLAIN_READ = 256 * 1024;

export class ByteStream extends Readable {
  /** All of the bytes, where they are in memory anyway. Not to be changed. */
  readonly whole: Buffer | undefined;
  readonly #source: ByteSource;
  #reading: Promise<number> | undefined;

  constructor(source: ByteSource, whole?: Buffer) {
    super({ highWaterMark: PLAIN_READ });
    this.#source = source;
    this.whole = whole;
    // it may fail before anybody reads it: its reader finds the error then, and no process ends of it
    this.on("error", () => undefined);
  }

  /** A stream of bytes that are all in memory. */
  static of(bytes: Buffer): ByteStream {
    return new ByteStream(memorySource(bytes), bytes);
  }

  /** What `ByteSource.read` promises. Instead of reading it as a stream, never beside it; `destroy` when done. */
  async readInto(into: Buffer): Promise<number> {
    this.#mustBeOpen();
    this.#reading = this.#source.read(into);
    const length = await this.#reading;
    // a source that was left says any number, also that of the end
    this.#mustBeOpen();
    return length;
  }

  override _read(): void {
    const into = Buffer.allocUnsafe(PLAIN_READ);
    this.readInto(into).then(
      (length) => void this.push(length === 0 ? null : fitting(into, length)),
      (error: unknown) => void this.destroy(error as Error),
    );
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#source.leave();
    const over = () => {
      this.#source.release();
      done(error);
    };
    if (this.#reading === undefined) over();
    else this.#reading.then(over, over);
  }

  #mustBeOpen(): void {
    if (this.destroyed) throw this.errored ?? new Error("the stream is over");
  }
}

/** A few bytes must not hold a large buffer for as long as they wait. */
const fitting = (buffer: Buffer, length: number): Buffer =>
  length < buffer.length / 2 ? Buffer.from(buffer.subarray(0, length)) : buffer.subarray(0, length);

const memorySource = (bytes: Buffer): ByteSource => {
  let position = 0;
  return {
    async read(into) {
      const length = bytes.copy(into, 0, position);
      position += length;
      return length;
    },
    leave: () => undefined,
    release: () => undefined,
  };
};
