// Around a blob store: small blobs that are asked for often are answered from memory. Opening, reading and closing a file for
// 4 KiB costs fifty times what sending them does. Bytes never change under their digest, so only a delete ends what is remembered.
import { LRUCache } from "lru-cache";
import { ByteStream } from "../lib/byte-stream.ts";
import { algorithmOf, type Digest, digestOf } from "../oci/digest.ts";
import type { ByteRange } from "../oci/range.ts";
import type { BlobStore } from "./blobs.ts";

/** Manifests, configurations, and the small layers. Bytes. */
const SMALL = 64 * 1024;
/** Of all that is remembered. Bytes. */
const MEMORY = 16 * 1024 * 1024;
/** What it costs to remember a blob besides its bytes. Bytes. */
const ENTRY = 512;

/** `spoilt` takes what the disk has made something else of out of the store: it is then not held, and upstream heals it. */
export const hot = (inner: BlobStore, spoilt: (digest: Digest) => Promise<unknown> = refuse): BlobStore => {
  const memory = new LRUCache<Digest, Buffer>({ maxSize: MEMORY, sizeCalculation: ({ length }) => length + ENTRY });
  let deletes = 0;

  /**
   * `undefined`: not held, or not small. What was read while something was deleted may be what was deleted: it is not remembered.
   * Where the disk has made something else of the blob it is not held any more.
   */
  const small = async (digest: Digest): Promise<Buffer | undefined> => {
    const before = deletes;
    const bytes = await inner.readAll(digest, SMALL);
    if (bytes === undefined) return undefined;
    if (digestOf(bytes, algorithmOf(digest)) !== digest) {
      await spoilt(digest);
      return undefined;
    }
    if (deletes === before) memory.set(digest, bytes);
    return bytes;
  };

  const part = (bytes: Buffer, range: ByteRange | undefined) =>
    ByteStream.of(range === undefined ? bytes : bytes.subarray(range.start, range.end + 1));

  /** What is not remembered. */
  const readInner = async (digest: Digest, range: ByteRange | undefined) => {
    const bytes = await small(digest);
    return bytes === undefined ? inner.read(digest, range) : part(bytes, range);
  };
  const readAllInner = async (digest: Digest, limit: number) => {
    const bytes = limit >= SMALL ? await small(digest) : undefined;
    return bytes ?? inner.readAll(digest, limit);
  };

  return {
    stat(digest) {
      const bytes = memory.get(digest);
      return bytes === undefined ? inner.stat(digest) : Promise.resolve({ size: bytes.length });
    },
    read(digest, range) {
      const bytes = memory.get(digest);
      return bytes === undefined ? readInner(digest, range) : Promise.resolve(part(bytes, range));
    },
    readAll(digest, limit) {
      const bytes = memory.get(digest);
      if (bytes === undefined) return readAllInner(digest, limit);
      return Promise.resolve(bytes.length > limit ? undefined : bytes);
    },
    async delete(digest) {
      deletes += 1;
      memory.delete(digest);
      try {
        return await inner.delete(digest);
      } finally {
        deletes += 1;
        memory.delete(digest);
      }
    },
    stage: (expected, algorithm) => inner.stage(expected, algorithm),
    fill: (digest, expected) => inner.fill(digest, expected),
    leftover: (digest) => inner.leftover(digest),
    close: () => inner.close(),
  };
};

/** Without anybody to take it out, the store is ill. */
const refuse = async (digest: Digest): Promise<never> => {
  throw new Error(`what is held as ${digest} is something else`);
};
