// A body that grows as one file under spool/, shared by its writer and its followers, and closed when the last of them is done.
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type Algorithm, type Digest, hasherFor } from "../oci/digest.ts";
import type { Stage } from "./blobs.ts";
import { absent, asFull } from "./disk-errors.ts";
import { follow, Growth } from "./growing.ts";

const READ = 1024 * 1024;

export class DiskStage implements Stage {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #growth = new Growth();
  readonly #hasher: ReturnType<typeof hasherFor>;
  readonly #final: (digest: Digest) => string;
  readonly #over: (committed: number) => void;
  #users = 1;
  #digest: Digest | undefined;
  #isOver = false;

  constructor(
    file: FileHandle,
    path: string,
    algorithm: Algorithm,
    final: (digest: Digest) => string,
    over: (committed: number) => void,
  ) {
    this.#file = file;
    this.#path = path;
    this.#hasher = hasherFor(algorithm);
    this.#final = final;
    this.#over = over;
  }

  get size(): number {
    return this.#growth.size;
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#mustBeOpen();
    try {
      for (let done = 0; done < bytes.length; ) {
        done += (await this.#file.write(bytes, done, bytes.length - done, this.#growth.size + done)).bytesWritten;
      }
    } catch (error) {
      throw asFull(error);
    }
    this.#hasher.update(bytes);
    this.#growth.grow(bytes.length);
  }

  follow(start: number, end?: number): Readable {
    if (this.#users === 0) return this.#followClosed(start, end);
    this.#users += 1;
    const read = async (position: number, length: number) => {
      const { bytesRead, buffer } = await this.#file.read(Buffer.allocUnsafe(length), 0, length, position);
      if (bytesRead === 0) throw new Error("a stage is shorter than it was");
      return buffer.subarray(0, bytesRead);
    };
    return follow(this.#growth, { read, release: () => this.#release() }, start, end);
  }

  async verify(digest: Digest): Promise<boolean> {
    this.#mustBeOpen();
    if (this.#hasher.digest() !== digest) return false;
    this.#digest = digest;
    this.#growth.verify();
    return true;
  }

  async commit(): Promise<void> {
    if (this.#digest === undefined) throw new Error("only a verified stage can be committed");
    if (this.#isOver) return;
    const target = this.#final(this.#digest);
    const folder = join(target, "..");
    try {
      await this.#file.sync();
      await mkdir(folder, { recursive: true });
      await rename(this.#path, target);
      await syncFolder(folder);
    } catch (error) {
      throw asFull(error);
    }
    this.#isOver = true;
    this.#over(this.size);
    this.#release();
  }

  async discard(reason: Error): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#over(0);
    this.#growth.fail(reason);
    await unlink(this.#path).catch(absent);
    this.#release();
  }

  /** Who joined just before the commit and reads just after it finds the bytes under their final name. */
  #followClosed(start: number, end: number | undefined): Readable {
    if (this.#growth.verified && this.#digest !== undefined) {
      return createReadStream(this.#final(this.#digest), { start, ...(end === undefined ? {} : { end }), highWaterMark: READ });
    }
    const readable = new Readable({ read: () => undefined }).on("error", () => undefined);
    return readable.destroy(this.#growth.failure ?? new Error("the stage is closed"));
  }

  #mustBeOpen(): void {
    if (this.#isOver || this.#growth.verified) throw new Error("the stage is complete");
  }

  #release(): void {
    this.#users -= 1;
    if (this.#users === 0) void this.#file.close().catch(() => undefined);
  }
}

/** So that the rename outlives a power cut. */
const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};
