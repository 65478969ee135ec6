// One reader of a flight: follows its stage, tells the flight when it is over, and goes on by itself where the disk was full.
import { type ByteSource, ByteStream } from "../lib/byte-stream.ts";
import { byteStreamOf } from "../lib/readable-source.ts";
import type { RetryOptions } from "../lib/retry.ts";
import type { Digest } from "../oci/digest.ts";
import { Overflow, type Stage } from "../store/blobs.ts";
import { alone } from "./alone.ts";
import { checked } from "./checked.ts";
import type { Open } from "./opening.ts";

export interface FollowingParts {
  readonly digest: Digest;
  readonly stage: Stage;
  readonly start: number;
  /** Inclusive; `undefined`: to the end. */
  readonly end: number | undefined;
  /** Bytes of the whole, where they are known. */
  readonly total: number | undefined;
  /** The reader's own way to upstream. */
  readonly open: Open;
  readonly retry: RetryOptions;
  /** Told when it goes on alone. */
  readonly onAlone: () => void;
  /** Told once, when the reader is over. */
  readonly onOver: () => void;
}

export const following = (parts: FollowingParts): ByteStream => new ByteStream(new Following(parts));

class Following implements ByteSource {
  readonly #parts: FollowingParts;
  #bytes: ByteStream;
  #position: number;
  #hasLeft = false;

  constructor(parts: FollowingParts) {
    this.#parts = parts;
    this.#position = parts.start;
    this.#bytes = byteStreamOf(parts.stage.follow(parts.start, parts.end));
  }

  async read(into: Buffer): Promise<number> {
    try {
      const length = await this.#bytes.readInto(into);
      this.#position += length;
      return length;
    } catch (error) {
      if (!(error instanceof Overflow) || this.#hasLeft) throw error;
      this.#bytes.destroy();
      this.#bytes = this.#goOn(error);
      return this.read(into);
    }
  }

  leave(): void {
    this.#hasLeft = true;
    this.#bytes.destroy();
  }

  release(): void {
    this.#parts.onOver();
  }

  /** Who reads to the end reads what has the digest; a part that ends before cannot be checked. */
  #goOn({ size, hasher }: Overflow): ByteStream {
    const { digest, total, end, open, retry, onAlone } = this.#parts;
    onAlone();
    const rest = alone({ open, from: this.#position, end, total, retry });
    const isToTheEnd = end === undefined || (total !== undefined && end === total - 1);
    return isToTheEnd && this.#position === size ? checked(rest, digest, hasher.copy()) : rest;
  }
}
