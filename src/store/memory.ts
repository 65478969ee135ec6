// Blobs in memory: for tests, and for what is meant to be forgotten.
import type { Readable } from "node:stream";
import { ByteStream } from "../lib/byte-stream.ts";
import { algorithmOf, type Digest, digestOf, type Hasher, hasherFor } from "../oci/digest.ts";
import type { ByteRange } from "../oci/range.ts";
import { type BlobStore, HOLDBACK, Overflow, type Stage, StoreFull } from "./blobs.ts";
import { follow, Growth } from "./growing.ts";

/** Throws StoreFull past `limit` bytes in all. */
export const memoryBlobs = (limit = Number.POSITIVE_INFINITY): BlobStore => {
  const held = new Map<Digest, Buffer>();
  const leftovers = new Map<Digest, Buffer>();
  const filling = new Set<Digest>();
  const sizeOf = (many: Map<Digest, Buffer>) => [...many.values()].reduce((sum, { length }) => sum + length, 0);
  const room = (more: number) => {
    for (const [oldest] of leftovers) if (sizeOf(held) + sizeOf(leftovers) + more > limit) leftovers.delete(oldest);
    if (sizeOf(held) + more > limit) throw new StoreFull(`no room for ${more} bytes more`);
  };
  const store: BlobStore = {
    stat: async (digest) => {
      const bytes = held.get(digest);
      return bytes === undefined ? undefined : { size: bytes.length };
    },
    read: async (digest, range?: ByteRange) => {
      const bytes = held.get(digest);
      if (bytes === undefined) return undefined;
      return ByteStream.of(range === undefined ? bytes : bytes.subarray(range.start, range.end + 1));
    },
    readAll: async (digest, most) => {
      const bytes = held.get(digest);
      return bytes === undefined || bytes.length > most ? undefined : bytes;
    },
    stage: async (expected = 0, algorithm = "sha256") => {
      room(expected);
      return new MemoryStage({ hasher: hasherFor(algorithm), room, keep: (digest, bytes) => held.set(digest, bytes) });
    },
    fill: async (digest, expected = 0) => {
      if (filling.has(digest)) return store.stage(expected, algorithmOf(digest));
      room(expected);
      const earlier = leftovers.get(digest) ?? Buffer.alloc(0);
      leftovers.delete(digest);
      filling.add(digest);
      const over = (left?: Buffer) => {
        filling.delete(digest);
        if (left !== undefined) leftovers.set(digest, left);
      };
      const keep = (whose: Digest, bytes: Buffer) => held.set(whose, bytes);
      return new MemoryStage({ hasher: hasherFor(algorithmOf(digest)), room, keep, earlier, over });
    },
    leftover: (digest) => Math.max(0, (leftovers.get(digest)?.length ?? 0) - HOLDBACK),
    delete: async (digest) => held.delete(digest),
    close: async () => undefined,
  };
  return store;
};

interface MemoryStageParts {
  readonly hasher: Hasher;
  readonly room: (more: number) => void;
  readonly keep: (digest: Digest, bytes: Buffer) => void;
  /** Of a fill. */
  readonly earlier?: Buffer;
  /** Of a fill: it is over, and leaves this. */
  readonly over?: (left?: Buffer) => void;
}

class MemoryStage implements Stage {
  readonly #growth = new Growth();
  readonly #parts: MemoryStageParts;
  #bytes: Buffer;
  #digest: Digest | undefined;
  #isSound = true;
  #discarded: Error | undefined;
  #isCommitted = false;

  constructor(parts: MemoryStageParts) {
    this.#parts = parts;
    this.#bytes = parts.earlier?.subarray(0, -HOLDBACK) ?? Buffer.alloc(0);
  }

  get left(): number {
    return this.#bytes.length - this.size;
  }

  async readBack(): Promise<void> {
    this.#parts.hasher.update(this.#bytes.subarray(this.size));
    this.#growth.grow(this.left);
  }

  get size(): number {
    return this.#growth.size;
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#mustGrow();
    this.#isSound = false;
    this.#parts.room(this.#bytes.length + bytes.length);
    this.#isSound = true;
    this.#parts.hasher.update(bytes);
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    this.#growth.grow(bytes.length);
  }

  follow(start: number, end?: number): Readable {
    const read = async (into: Buffer, position: number) => this.#bytes.copy(into, 0, position);
    return follow(this.#growth, { read, release: () => undefined }, start, end);
  }

  async verify(digest: Digest): Promise<boolean> {
    this.#mustGrow();
    const { hasher } = this.#parts;
    const algorithm = algorithmOf(digest);
    this.#isSound = (hasher.algorithm === algorithm ? hasher.digest() : digestOf(this.#bytes, algorithm)) === digest;
    if (!this.#isSound) return false;
    this.#digest = digest;
    this.#growth.verify();
    return true;
  }

  async commit(): Promise<void> {
    if (this.#digest === undefined) throw new Error("only a verified stage can be committed");
    if (this.#discarded !== undefined) throw new Error("the stage is discarded", { cause: this.#discarded });
    if (!this.#isCommitted) this.#parts.keep(this.#digest, this.#bytes);
    this.#isCommitted = true;
    this.#parts.over?.();
  }

  async discard(reason: Error): Promise<void> {
    if (this.#isCommitted || this.#discarded !== undefined) return;
    this.#discarded = reason;
    this.#growth.fail(reason);
    this.#parts.over?.();
  }

  async leave(reason: Error): Promise<void> {
    const { over, earlier = this.#bytes } = this.#parts;
    // what an earlier stage left may still be the longer one
    const left = earlier.length > this.#bytes.length ? earlier : this.#bytes;
    const isWorthIt = this.#isSound && !this.#growth.verified && left.length > HOLDBACK;
    if (over === undefined || !isWorthIt) return this.discard(reason);
    if (this.#discarded !== undefined) return;
    this.#discarded = reason;
    this.#growth.fail(reason);
    over(left);
  }

  async overflow(cause: StoreFull): Promise<void> {
    if (this.#growth.verified) return this.discard(cause);
    if (this.#discarded !== undefined) return;
    this.#discarded = cause;
    this.#growth.overflow(new Overflow(this.size, this.#parts.hasher.copy(), cause));
    this.#parts.over?.();
  }

  #mustGrow(): void {
    if (this.#discarded !== undefined || this.#growth.verified) throw new Error("the stage is complete");
    if (!this.#isSound) throw new Error("the writing of the stage failed");
    if (this.left > 0) throw new Error("what an earlier stage left is not read back yet");
  }
}
