// Blobs in memory: for tests, and for what is meant to be forgotten.
import type { Readable } from "node:stream";
import { ByteStream } from "../lib/byte-stream.ts";
import { type Algorithm, type Digest, type Hasher, hasherFor } from "../oci/digest.ts";
import type { ByteRange } from "../oci/range.ts";
import { type BlobStore, type Stage, StoreFull } from "./blobs.ts";
import { follow, Growth } from "./growing.ts";

/** Throws StoreFull past `limit` bytes in all. */
export const memoryBlobs = (limit = Number.POSITIVE_INFINITY): BlobStore => {
  const held = new Map<Digest, Buffer>();
  const room = (more: number) => {
    const used = [...held.values()].reduce((sum, { length }) => sum + length, 0);
    if (used + more > limit) throw new StoreFull(`no room for ${more} bytes more`);
  };
  return {
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
      return new MemoryStage(algorithm, room, (digest, bytes) => held.set(digest, bytes));
    },
    delete: async (digest) => held.delete(digest),
    close: async () => undefined,
  };
};

class MemoryStage implements Stage {
  readonly #growth = new Growth();
  readonly #hasher: Hasher;
  readonly #room: (more: number) => void;
  readonly #keep: (digest: Digest, bytes: Buffer) => void;
  #bytes = Buffer.alloc(0);
  #digest: Digest | undefined;
  #isSound = true;
  #discarded: Error | undefined;
  #isCommitted = false;

  constructor(algorithm: Algorithm, room: (more: number) => void, keep: (digest: Digest, bytes: Buffer) => void) {
    this.#hasher = hasherFor(algorithm);
    this.#room = room;
    this.#keep = keep;
  }

  get size(): number {
    return this.#growth.size;
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#mustGrow();
    this.#isSound = false;
    this.#room(this.#bytes.length + bytes.length);
    this.#isSound = true;
    this.#hasher.update(bytes);
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    this.#growth.grow(bytes.length);
  }

  follow(start: number, end?: number): Readable {
    const read = async (into: Buffer, position: number) => this.#bytes.copy(into, 0, position);
    return follow(this.#growth, { read, release: () => undefined }, start, end);
  }

  async verify(digest: Digest): Promise<boolean> {
    this.#mustGrow();
    this.#isSound = this.#hasher.digest() === digest;
    if (!this.#isSound) return false;
    this.#digest = digest;
    this.#growth.verify();
    return true;
  }

  async commit(): Promise<void> {
    if (this.#digest === undefined) throw new Error("only a verified stage can be committed");
    if (this.#discarded !== undefined) throw new Error("the stage is discarded", { cause: this.#discarded });
    this.#isCommitted = true;
    this.#keep(this.#digest, this.#bytes);
  }

  async discard(reason: Error): Promise<void> {
    if (this.#isCommitted) return;
    this.#discarded ??= reason;
    this.#growth.fail(reason);
  }

  #mustGrow(): void {
    if (this.#discarded !== undefined || this.#growth.verified) throw new Error("the stage is complete");
    if (!this.#isSound) throw new Error("the writing of the stage failed");
  }
}
