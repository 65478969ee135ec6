// Readers of something that grows: each waits for bytes that it may have, reads them by position, and never holds up the writer.
import { EventEmitter } from "node:events";
import { type ByteSource, ByteStream } from "../lib/byte-stream.ts";
import { HOLDBACK } from "./blobs.ts";

/** How far something has grown, and whether its end has been verified. One writer tells it, followers listen. */
export class Growth extends EventEmitter<{ change: [] }> {
  size = 0;
  verified = false;
  failure: Error | undefined;
  #isOver = false;

  constructor() {
    super();
    // one listener for each follower that waits; their number is bounded by the connections, not by us
    this.setMaxListeners(0);
  }

  /** Bytes that followers may see. */
  get visible(): number {
    return this.verified || this.#isOver ? this.size : Math.max(0, this.size - HOLDBACK);
  }

  grow(bytes: number): void {
    this.size += bytes;
    this.emit("change");
  }

  verify(): void {
    this.verified = true;
    this.emit("change");
  }

  fail(reason: Error): void {
    if (this.verified || this.failure !== undefined) return;
    this.failure = reason;
    this.emit("change");
  }

  /** More was to come, and will come from elsewhere: there is no end here to hold back. */
  overflow(reason: Error): void {
    this.#isOver = !this.verified && this.failure === undefined;
    this.fail(reason);
  }
}

/** Where the bytes of a growth are. */
export interface Grown {
  /** Reads at least one byte, and at most all of `into`, at `position`; never past what is visible. */
  read(into: Buffer, position: number): Promise<number>;
  /** Called once, when the follower is over however it ended. */
  release(): void;
}

/** The bytes start..end (inclusive), or to the verified end. Errors with the growth's failure, or when it is verified short of `end`. */
export const follow = (growth: Growth, grown: Grown, start: number, end: number | undefined): ByteStream =>
  new ByteStream(new Follower(growth, grown, start, end));

class Follower implements ByteSource {
  readonly #growth: Growth;
  readonly #grown: Grown;
  readonly #end: number | undefined;
  #position: number;
  #hasLeft = false;
  #wake: (() => void) | undefined;

  constructor(growth: Growth, grown: Grown, start: number, end: number | undefined) {
    this.#growth = growth;
    this.#grown = grown;
    this.#position = start;
    this.#end = end;
  }

  async read(into: Buffer): Promise<number> {
    const growth = this.#growth;
    while (!this.#hasLeft && this.#position <= this.#last) {
      const available = Math.min(growth.visible, this.#last + 1) - this.#position;
      if (available > 0) {
        const length = await this.#grown.read(available < into.length ? into.subarray(0, available) : into, this.#position);
        this.#position += length;
        return length;
      }
      if (growth.failure !== undefined) throw growth.failure;
      if (growth.verified) throw new Error(`only ${growth.size} bytes of ${this.#last + 1}`);
      await this.#changed();
    }
    return 0;
  }

  leave(): void {
    this.#hasLeft = true;
    this.#wake?.();
  }

  release(): void {
    this.#grown.release();
  }

  get #last(): number {
    return this.#end ?? (this.#growth.verified ? this.#growth.size - 1 : Number.POSITIVE_INFINITY);
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#growth.off("change", this.#wake!);
        resolve();
      };
      this.#growth.on("change", this.#wake);
    });
  }
}
