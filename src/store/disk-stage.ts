// A body that grows as one file under spool/, shared by its writer and its followers, and closed when the last of them is done.
import { type FileHandle, open, unlink } from "node:fs/promises";
import type { Readable } from "node:stream";
import { ByteStream } from "../lib/byte-stream.ts";
import type { Digest, Hasher } from "../oci/digest.ts";
import type { Stage } from "./blobs.ts";
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
}

export class DiskStage implements Stage {
  readonly #parts: DiskStageParts;
  readonly #growth = new Growth();
  /** False while an append is under way, and for ever after one that failed: what is in the file is then not what was hashed. */
  #isSound = true;
  #users = 1;
  #digest: Digest | undefined;
  #committing: Promise<void> | undefined;
  #discarded: Error | undefined;

  constructor(parts: DiskStageParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#growth.size;
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#mustGrow();
    this.#isSound = false;
    try {
      await this.#parts.berth.take(bytes.length);
      const writing = this.#write(bytes);
      // the disk's threads write meanwhile
      this.#parts.hasher.update(bytes);
      await writing;
    } catch (error) {
      throw asFull(error);
    }
    this.#isSound = true;
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
    this.#isSound = this.#parts.hasher.digest() === digest;
    if (!this.#isSound) return false;
    this.#digest = digest;
    this.#growth.verify();
    return true;
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
  }

  #release(): void {
    this.#users -= 1;
    if (this.#users === 0) void this.#parts.file.close().catch(() => undefined);
  }
}
