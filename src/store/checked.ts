// Around a blob store: the first whole read of every blob since the start is hashed on its way. What the disk has spoilt is cut before
// its last portion, never ended cleanly, and taken out of the store. Every read would cost as much CPU again as sending does; what
// this process has written or hashed itself is taken to be good until it ends, and `verify` reads everything.
import { LRUCache } from "lru-cache";
import { type ByteSource, ByteStream } from "../lib/byte-stream.ts";
import { upTo } from "../lib/lru.ts";
import { byteStreamOf } from "../lib/readable-source.ts";
import { algorithmOf, type Digest, digestOf, type Hasher, hasherFor } from "../oci/digest.ts";
import { isWhole } from "../oci/range.ts";
import type { BlobStore } from "./blobs.ts";

const REMEMBERED = 100_000;

/** Digests whose bytes this process has seen to be right. */
export class Good {
  readonly #known = new LRUCache<Digest, true>(upTo(REMEMBERED));

  has(digest: Digest): boolean {
    return this.#known.has(digest);
  }

  add(digest: Digest): void {
    this.#known.set(digest, true);
  }

  delete(digest: Digest): void {
    this.#known.delete(digest);
  }
}

/** `spoilt` takes it out of the store. */
export const checked = (inner: BlobStore, good: Good, spoilt: (digest: Digest) => Promise<unknown>): BlobStore => ({
  stat: (digest) => inner.stat(digest),
  async read(digest, range) {
    if (good.has(digest)) return inner.read(digest, range);
    const held = await inner.stat(digest);
    // a part of it can be checked against nothing
    if (!isWhole(range, held?.size)) return inner.read(digest, range);
    const body = held === undefined ? undefined : await inner.read(digest);
    if (held === undefined || body === undefined) return undefined;
    return new ByteStream(new CheckedSource(byteStreamOf(body), held.size, digest, good, spoilt));
  },
  async readAll(digest, limit) {
    const bytes = await inner.readAll(digest, limit);
    if (bytes === undefined || good.has(digest)) return bytes;
    if (digestOf(bytes, algorithmOf(digest)) === digest) {
      good.add(digest);
      return bytes;
    }
    await spoilt(digest);
    return undefined;
  },
  stage: (expected, algorithm) => inner.stage(expected, algorithm),
  fill: (digest, expected) => inner.fill(digest, expected),
  leftover: (digest) => inner.leftover(digest),
  delete(digest) {
    good.delete(digest);
    return inner.delete(digest);
  },
  close: () => inner.close(),
});

class CheckedSource implements ByteSource {
  readonly #body: ByteStream;
  readonly #digest: Digest;
  readonly #good: Good;
  readonly #spoilt: (digest: Digest) => Promise<unknown>;
  readonly #hasher: Hasher;
  #left: number;

  constructor(body: ByteStream, size: number, digest: Digest, good: Good, spoilt: (digest: Digest) => Promise<unknown>) {
    this.#body = body;
    this.#left = size;
    this.#digest = digest;
    this.#good = good;
    this.#spoilt = spoilt;
    this.#hasher = hasherFor(algorithmOf(digest));
  }

  async read(into: Buffer): Promise<number> {
    if (this.#left === 0) return 0;
    const length = await this.#body.readInto(into);
    this.#hasher.update(into.subarray(0, length));
    this.#left -= length;
    if (this.#left <= 0 || length === 0) await this.#judge();
    return length;
  }

  leave(): void {}

  release(): void {
    this.#body.destroy();
  }

  async #judge(): Promise<void> {
    if (this.#left === 0 && this.#hasher.digest() === this.#digest) return this.#good.add(this.#digest);
    // right by now: it has come anew since this reader opened it
    if (!this.#good.has(this.#digest)) await this.#spoilt(this.#digest);
    throw new Error(`what is held as ${this.#digest} is something else`);
  }
}
