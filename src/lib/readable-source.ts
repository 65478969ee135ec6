// Any Readable as a source of bytes: its chunks, however small, go into the reader's own buffer as many at a time as are there.
import type { Readable } from "node:stream";
import { type ByteSource, ByteStream } from "./byte-stream.ts";

/** The stream itself where it is one already. */
export const byteStreamOf = (body: Readable): ByteStream =>
  body instanceof ByteStream ? body : new ByteStream(new ReadableSource(body));

/** Waits here for a reader that is busy writing what it has; then the stream is held up. Bytes. */
const AHEAD = 256 * 1024;
/** And no more chunks than these, each of which costs as much memory as some hundred bytes, however small it is. */
const CHUNKS_AHEAD = 4_096;

export class ReadableSource implements ByteSource {
  readonly #body: Readable;
  #chunks: Buffer[] = [];
  #waiting = 0;
  #isOver = false;
  #failure: Error | undefined;
  #wake: (() => void) | undefined;

  constructor(body: Readable) {
    this.#body = body;
    body.on("data", (chunk: Buffer) => this.#add(chunk));
    // it may break off before anybody reads it: its reader finds the error then, and no process ends of it
    body.on("error", (error) => this.#end(error));
    body.on("end", () => this.#end());
    body.on("close", () => this.#end(new Error("the stream broke off")));
    // what is over says so to nobody who comes later
    if (body.closed) this.#end(body.readableEnded ? undefined : (body.errored ?? new Error("the stream broke off")));
  }

  async read(into: Buffer): Promise<number> {
    while (this.#waiting === 0 && !this.#isOver) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#waiting > 0) return this.#take(into);
    if (this.#failure !== undefined) throw this.#failure;
    return 0;
  }

  leave(): void {
    this.#end();
    this.#body.destroy();
  }

  release(): void {}

  #add(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#waiting += chunk.length;
    if (this.#isFull) this.#body.pause();
    this.#wake?.();
  }

  /** What came before is still read: only then is the end the end, or the failure one. */
  #end(failure?: Error): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failure = failure;
    this.#wake?.();
  }

  #take(into: Buffer): number {
    let length = 0;
    let used = 0;
    while (used < this.#chunks.length && length < into.length) {
      const chunk = this.#chunks[used]!;
      const taken = chunk.copy(into, length);
      length += taken;
      if (taken < chunk.length) this.#chunks[used] = chunk.subarray(taken);
      else used += 1;
    }
    this.#chunks.splice(0, used);
    this.#waiting -= length;
    if (!this.#isFull && this.#body.isPaused()) this.#body.resume();
    return length;
  }

  get #isFull(): boolean {
    return this.#waiting >= AHEAD || this.#chunks.length >= CHUNKS_AHEAD;
  }
}
