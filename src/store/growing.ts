// Readers of something that grows: each waits for bytes that it may have, reads them by position, and never holds up the writer.
import { EventEmitter } from "node:events";
import { Readable } from "node:stream";
import { HOLDBACK } from "./blobs.ts";

/** Reads at most this much at once: fewer, larger reads measured twice as fast as the default 64 KiB. */
const READ = 1024 * 1024;

/** How far something has grown, and whether its end has been verified. One writer tells it, followers listen. */
export class Growth extends EventEmitter<{ change: [] }> {
  size = 0;
  verified = false;
  failure: Error | undefined;

  constructor() {
    super();
    // one listener for each follower that waits; their number is bounded by the connections, not by us
    this.setMaxListeners(0);
  }

  /** Bytes that followers may see. */
  get visible(): number {
    return this.verified ? this.size : Math.max(0, this.size - HOLDBACK);
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
}

export interface Source {
  /** Reads up to `length` bytes at `position`; never past what is visible. */
  read(position: number, length: number): Promise<Buffer>;
  /** Called once, when the follower is over however it ended. */
  release(): void;
}

/** The bytes start..end (inclusive), or to the verified end. Errors with the growth's failure, or when it is verified short of `end`. */
export const follow = (growth: Growth, source: Source, start: number, end: number | undefined): Readable => {
  let position = start;
  let hasLeft = false;
  const last = () => end ?? (growth.verified ? growth.size - 1 : Number.POSITIVE_INFINITY);
  const advance = async (): Promise<Buffer | null> => {
    while (!hasLeft && position <= last()) {
      const available = Math.min(growth.visible, last() + 1) - position;
      if (available > 0) {
        const bytes = await source.read(position, Math.min(available, READ));
        position += bytes.length;
        return bytes;
      }
      if (growth.failure !== undefined) throw growth.failure;
      if (growth.verified) throw new Error(`only ${growth.size} bytes of ${last() + 1}`);
      await changed();
    }
    return null;
  };
  let wake: (() => void) | undefined;
  const changed = () =>
    new Promise<void>((resolve) => {
      wake = () => {
        growth.off("change", wake!);
        resolve();
      };
      growth.on("change", wake);
    });
  let reading: Promise<void> = Promise.resolve();
  const readable = new Readable({
    highWaterMark: READ,
    read() {
      reading = advance().then(
        (bytes) => void (readable.destroyed || readable.push(bytes)),
        (error: unknown) => void readable.destroy(error as Error),
      );
    },
    destroy(error, done) {
      hasLeft = true;
      wake?.();
      // a read that is under way still uses the descriptor
      void reading.finally(() => {
        source.release();
        done(error);
      });
    },
  });
  // it may fail before anybody reads it: its reader finds the error then, and no process ends of it
  return readable.on("error", () => undefined);
};
