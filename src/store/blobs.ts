// The seam of the blob stores: bytes by digest, and stages, bodies that are still growing.
// One conformance suite (test/suites/blobs.ts) runs over every implementation.
import type { Readable } from "node:stream";
import type { Algorithm, Digest, Hasher } from "../oci/digest.ts";
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
  /**
   * The stage of the one download of this digest: it begins with what an earlier one left, and what it leaves outlives the process.
   * While another one has the digest it is a stage like any other. Throws StoreFull.
   */
  fill(digest: Digest, expected?: number): Promise<Stage>;
  /** How many bytes a `fill` would begin with. Never the last one that was left: even of a body that came whole, upstream is to be asked for something. */
  leftover(digest: Digest): number;
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
  /** Bytes appended so far, or read back. */
  readonly size: number;
  /** Bytes of an earlier stage that are still to be read back; nothing is appended before. */
  readonly left: number;
  /** Reads them back and hashes them, in portions; followers see them as it goes. Throws what the disk says, or the signal's reason. */
  readBack(signal: AbortSignal): Promise<void>;
  /** Writes and hashes; one at a time. The buffer is not kept. Throws StoreFull, or what the disk says; the stage is then only good for `discard`. */
  append(bytes: Uint8Array): Promise<void>;
  /** Reads from `start` and goes on as it grows, up to `end` (inclusive) or the end of a verified stage; errors when it is discarded. */
  follow(start: number, end?: number): Readable;
  /**
   * True when what was appended has this digest, of whichever algorithm: of another than it was staged with all is read again.
   * Followers are then released to the last byte. Asked once; after it nothing may be appended.
   */
  verify(digest: Digest): Promise<boolean>;
  /**
   * Makes a verified stage durable under its digest. Idempotent, also with a blob that is already held. Readers under way go on, even when it fails.
   * `parts`: of a manifest, what it names; for who keeps account of what is held.
   */
  commit(parts?: readonly Digest[]): Promise<void>;
  /** Throws the bytes away; followers of what is not verified get `reason`. During and after a `commit` that succeeds it does nothing. */
  discard(reason: Error): Promise<void>;
  /** Ends what is not verified, and keeps its bytes for the next `fill` of its digest where it can; followers get `reason`. */
  leave(reason: Error): Promise<void>;
  /** Ends what there is no room for: followers read all that is there and then get an Overflow, to go on by themselves. Nothing is kept. */
  overflow(cause: StoreFull): Promise<void>;
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

/** Where a stage ended for want of room, and the hash of all that is before: whoever reads on to the end of the body checks it with a copy. */
export class Overflow extends StoreFull {
  readonly size: number;
  readonly hasher: Hasher;

  constructor(size: number, hasher: Hasher, cause: StoreFull) {
    super(cause.message, { cause });
    this.name = "Overflow";
    this.size = size;
    this.hasher = hasher;
  }
}
