// A body that grows as one file under spool/, shared by its writer and its followers, and closed when the last of them is done.
import { type FileHandle, open, unlink } from "node:fs/promises";
import type { Readable } from "node:stream";
import { ByteStream } from "../lib/byte-stream.ts";
import { type Algorithm, algorithmOf, type Digest, type Hasher, hasherFor } from "../oci/digest.ts";
import { HOLDBACK, Overflow, type Stage, type StoreFull } from "./blobs.ts";
import { absent, asFull } from "./disk-errors.ts";
import { FileSource, readAt } from "./file-source.ts";
import { follow, Growth } from "./growing.ts";
import type { Berth } from "./room.ts";

export interface DiskStageParts {
  readonly file: FileHandle;
  /** Where the file is until it is committed. */
  readonly path: string;
  readonly hasher: Hasher;
  readonly berth: Berth;
  /** Where it is afterwards. */
  readonly home: (digest: Digest) => string;
  /** Moves the synced file there, durably, and settles the berth. */
  readonly keep: (digest: Digest) => Promise<void>;
  /** For a stage that goes on where an earlier one ended, and may leave as much to a later one. */
  readonly earlier?: Earlier;
}

export interface Earlier {
  /** Bytes at the beginning of the file that are to be read back. */
  readonly left: number;
  /** Settles the berth of a file of so many bytes that stays. */
  readonly leave: (size: number) => void;
}

/** What is read back and hashed at a time, between which the event loop turns. Bytes. */
const PORTION = 256 * 1024;

export class DiskStage implements Stage {
  readonly #parts: DiskStageParts;
  readonly #growth = new Growth();
  /** False while an append is under way, and for ever after one that failed: what is in the file is then not what was hashed. */
  #isSound = true;
  /** The hash of what was there before the append that is under way, or that failed. */
  #before: Hasher | undefined;
  #users = 1;
  #digest: Digest | undefined;
  #committing: Promise<void> | undefined;
  #discarded: Error | undefined;

  #left: number;

  constructor(parts: DiskStageParts) {
    this.#parts = parts;
    this.#left = parts.earlier?.left ?? 0;
  }

  get size(): number {
    return this.#growth.size;
  }

  get left(): number {
    return this.#left;
  }

  async readBack(signal: AbortSignal): Promise<void> {
    const { file, hasher } = this.#parts;
    const buffer = Buffer.allocUnsafeSlow(Math.min(PORTION, Math.max(1, this.#left)));
    while (this.#left > 0) {
      signal.throwIfAborted();
      const length = await readAt(file, this.#left < buffer.length ? buffer.subarray(0, this.#left) : buffer, this.size);
      hasher.update(buffer.subarray(0, length));
      this.#left -= length;
      this.#growth.grow(length);
    }
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#mustGrow();
    this.#isSound = false;
    try {
      await this.#parts.berth.take(bytes.length);
      this.#before = this.#parts.hasher.copy();
      const writing = this.#write(bytes);
      // the disk's threads write meanwhile
      this.#parts.hasher.update(bytes);
      await writing;
    } catch (error) {
      throw asFull(error);
    }
    this.#isSound = true;
    this.#before = undefined;
    this.#growth.grow(bytes.length);
  }

  follow(start: number, end?: number): Readable {
    if (this.#users === 0) return this.#followClosed(start, end);
    this.#users += 1;
    const read = (into: Buffer, position: number) => readAt(this.#parts.file, into, position);
    return follow(this.#growth, { read, release: () => this.#release() }, start, end);
  }

  async verify(digest: Digest): Promise<boolean> {
    this.#mustGrow();
    const { hasher } = this.#parts;
    const algorithm = algorithmOf(digest);
    this.#isSound = (hasher.algorithm === algorithm ? hasher.digest() : await this.#readBy(algorithm)) === digest;
    if (!this.#isSound) return false;
    this.#digest = digest;
    this.#growth.verify();
    return true;
  }

  async #readBy(algorithm: Algorithm): Promise<Digest> {
    const hasher = hasherFor(algorithm);
    const buffer = Buffer.allocUnsafeSlow(Math.min(PORTION, Math.max(1, this.size)));
    for (let done = 0; done < this.size; ) {
      const length = await readAt(this.#parts.file, buffer, done);
      hasher.update(buffer.subarray(0, length));
      done += length;
    }
    return hasher.digest();
  }

  /** One that failed stays failed: after an fsync that failed, the next may well succeed although the bytes are lost. */
  async commit(): Promise<void> {
    if (this.#digest === undefined) throw new Error("only a verified stage can be committed");
    if (this.#discarded !== undefined) throw new Error("the stage is discarded", { cause: this.#discarded });
    this.#committing ??= this.#land(this.#digest);
    return this.#committing;
  }

  async discard(reason: Error): Promise<void> {
    const isCommitted = await this.#committing?.then(
      () => true,
      () => false,
    );
    if (isCommitted === true || this.#discarded !== undefined) return;
    this.#discarded = reason;
    this.#growth.fail(reason);
    await this.#remove();
  }

  async leave(reason: Error): Promise<void> {
    const { earlier } = this.#parts;
    const isWorthIt = this.#isSound && !this.#growth.verified && this.size + this.#left > HOLDBACK;
    if (earlier === undefined || !isWorthIt) return this.discard(reason);
    if (this.#discarded !== undefined) return;
    this.#discarded = reason;
    this.#growth.fail(reason);
    // the file of the earlier stage may still be the longer one
    earlier.leave(Math.max(this.size, earlier.left === 0 ? 0 : earlier.left + HOLDBACK));
    this.#release();
  }

  async overflow(cause: StoreFull): Promise<void> {
    if (this.#growth.verified) return this.discard(cause);
    if (this.#discarded !== undefined) return;
    this.#discarded = cause;
    this.#growth.overflow(new Overflow(this.size, this.#before ?? this.#parts.hasher.copy(), cause));
    await this.#remove();
  }

  /** Followers go on reading what has no name any more. */
  async #remove(): Promise<void> {
    try {
      await unlink(this.#parts.path).catch(absent);
      this.#parts.berth.settle(0);
    } finally {
      this.#release();
    }
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#parts.file.write(bytes, done, bytes.length - done, this.size + done);
      if (bytesWritten === 0) throw new Error("the disk takes no more bytes");
      done += bytesWritten;
    }
  }

  async #land(digest: Digest): Promise<void> {
    try {
      await this.#parts.file.sync();
      await this.#parts.keep(digest);
    } catch (error) {
      throw asFull(error);
    }
    this.#release();
  }

  /** Who joined just before the commit and reads just after it finds the bytes under their final name. */
  #followClosed(start: number, end = this.size - 1): Readable {
    const file = this.#discarded === undefined ? open(this.#parts.home(this.#digest!)) : Promise.reject(this.#discarded);
    const stream = new ByteStream(new FileSource(file, start, end));
    file.catch((error: unknown) => stream.destroy(error as Error));
    return stream;
  }

  #mustGrow(): void {
    if (this.#discarded !== undefined || this.#growth.verified) throw new Error("the stage is complete");
    if (!this.#isSound) throw new Error("the stage is being written, or its writing failed");
    if (this.#left > 0) throw new Error("what an earlier stage left is not read back yet");
  }

  #release(): void {
    this.#users -= 1;
    if (this.#users === 0) void this.#parts.file.close().catch(() => undefined);
  }
}
