// The seam of the blob stores: bytes by digest, and stages, bodies that are still growing.
// One conformance suite (test/suites/blobs.ts) runs over every implementation.
import type { Readable } from "node:stream";
import type { Algorithm, Digest } from "../oci/digest.ts";
import type { ByteRange } from "../oci/range.ts";

export interface BlobStore {
  /** `undefined`: not held. Throws when the store itself is ill; that is never a miss. */
  stat(digest: Digest): Promise<{ readonly size: number } | undefined>;
  /** The bytes start..end, both inclusive, or all. `undefined`: not held. Deleting it meanwhile does not disturb the reader. */
  read(digest: Digest, range?: ByteRange): Promise<Readable | undefined>;
  /** All the bytes at once, for what is known to be small. `undefined`: not held, or larger than `limit`. */
  readAll(digest: Digest, limit: number): Promise<Buffer | undefined>;
  /** A new body, hashed by `algorithm` (sha256). `expected` bytes, where known, are weighed against the room. Throws StoreFull when there is none. */
  stage(expected?: number, algorithm?: Algorithm): Promise<Stage>;
  /** True when it was held. */
  delete(digest: Digest): Promise<boolean>;
  /** Frees the folder for another process; stages and readers are to be over by then. Idempotent. */
  close(): Promise<void>;
}

/**
 * A body that grows by one writer and is followed by any number of readers.
 * Followers get no more than `size - HOLDBACK` bytes until it is verified, so that a bad body can only show as a short one.
 */
export interface Stage {
  /** Bytes appended so far. */
  readonly size: number;
  /** Writes and hashes; one at a time. The buffer is not kept. Throws StoreFull, or what the disk says; the stage is then only good for `discard`. */
  append(bytes: Uint8Array): Promise<void>;
  /** Reads from `start` and goes on as it grows, up to `end` (inclusive) or the end of a verified stage; errors when it is discarded. */
  follow(start: number, end?: number): Readable;
  /** True when what was appended has this digest; followers are then released to the last byte. Asked once; after it nothing may be appended. */
  verify(digest: Digest): Promise<boolean>;
  /** Makes a verified stage durable under its digest. Idempotent, also with a blob that is already held. Readers under way go on, even when it fails. */
  commit(): Promise<void>;
  /** Throws the bytes away; followers of what is not verified get `reason`. During and after a `commit` that succeeds it does nothing. */
  discard(reason: Error): Promise<void>;
}

/** Bytes at the end of an unverified stage that no follower sees. */
export const HOLDBACK = 1;

/** No room: the disk is full, or the store is at its cap. The answer is streamed without being kept. */
export class StoreFull extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "StoreFull";
  }
}
