// Blobs as files: blobs/<algorithm>/<2 hex>/<hex>, and stages under spool/. A name under blobs/ is only ever given to verified, synced bytes.
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, statfs, unlink } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { type Algorithm, algorithmOf, type Digest, hasherFor, hexOf } from "../oci/digest.ts";
import type { ByteRange } from "../oci/range.ts";
import { type BlobStore, type Stage, StoreFull } from "./blobs.ts";
import { follow, Growth } from "./growing.ts";
import { lockFolder } from "./lock.ts";
import { StoreUnusable } from "./unusable.ts";

const READ = 1024 * 1024;
const ROOM_KNOWN_FOR = 1_000;

export interface DiskOptions {
  readonly folder: string;
  /** Share of the file system that is left free. Default 0.1. */
  readonly reserve?: number;
  /** Bytes free and in all, for tests. */
  readonly room?: () => Promise<{ readonly free: number; readonly total: number }>;
  /** How long another process's end is waited for, in ms. Default 15 s. */
  readonly lockWait?: number;
}

/** Throws StoreUnusable: not writable, or in use by another process. What a dead process left unfinished is thrown away. */
export const openDisk = async (options: DiskOptions): Promise<BlobStore> => {
  const { folder } = options;
  const spool = join(folder, "spool");
  try {
    await mkdir(spool, { recursive: true });
    await mkdir(join(folder, "blobs"), { recursive: true });
  } catch (error) {
    throw new StoreUnusable(folder, error);
  }
  const unlock = await lockFolder(folder, options.lockWait);
  try {
    for (const leftover of await readdir(spool)) await rm(join(spool, leftover), { force: true });
  } catch (error) {
    unlock();
    throw new StoreUnusable(folder, error);
  }
  return new DiskStore(options, unlock);
};

class DiskStore implements BlobStore {
  readonly #folder: string;
  readonly #reserve: number;
  readonly #room: NonNullable<DiskOptions["room"]>;
  readonly #unlock: () => void;
  #roomSeen: { at: number; spare: number } | undefined;

  constructor({ folder, reserve = 0.1, room }: DiskOptions, unlock: () => void) {
    this.#folder = folder;
    this.#reserve = reserve;
    this.#room = room ?? (() => roomOf(folder));
    this.#unlock = unlock;
  }

  async stat(digest: Digest): Promise<{ size: number } | undefined> {
    const found = await stat(this.#path(digest)).catch(absent);
    return found === undefined ? undefined : { size: found.size };
  }

  async read(digest: Digest, range?: ByteRange): Promise<Readable | undefined> {
    const file = await open(this.#path(digest)).catch(absent);
    if (file === undefined) return undefined;
    const { start, end } = range ?? { start: 0, end: Number.POSITIVE_INFINITY };
    // it may fail before anybody reads it: its reader finds the error then, and no process ends of it
    return file.createReadStream({ start, end, highWaterMark: READ, autoClose: true }).on("error", () => undefined);
  }

  async readAll(digest: Digest, limit: number): Promise<Buffer | undefined> {
    const file = await open(this.#path(digest)).catch(absent);
    if (file === undefined) return undefined;
    try {
      const { size } = await file.stat();
      return size > limit ? undefined : await file.readFile();
    } finally {
      await file.close();
    }
  }

  async stage(expected = 0, algorithm: Algorithm = "sha256"): Promise<Stage> {
    await this.#weigh(expected);
    const path = join(this.#folder, "spool", randomUUID());
    const file = await open(path, "wx+", 0o600).catch((error: unknown) => {
      throw asFull(error);
    });
    return new DiskStage(file, path, algorithm, (digest) => this.#path(digest));
  }

  async delete(digest: Digest): Promise<boolean> {
    return unlink(this.#path(digest)).then(
      () => true,
      (error: unknown) => absent(error) ?? false,
    );
  }

  async close(): Promise<void> {
    this.#unlock();
  }

  #path(digest: Digest): string {
    const hex = hexOf(digest);
    return join(this.#folder, "blobs", algorithmOf(digest), hex.slice(0, 2), hex);
  }

  /** Weighed against what was free a moment ago, less what has been promised since. */
  async #weigh(expected: number): Promise<void> {
    const seen = this.#roomSeen;
    if (seen === undefined || performance.now() - seen.at > ROOM_KNOWN_FOR) {
      const { free, total } = await this.#room();
      this.#roomSeen = { at: performance.now(), spare: free - total * this.#reserve };
    }
    const room = this.#roomSeen!;
    if (room.spare < expected) throw new StoreFull(`${this.#folder} has no room for ${expected} bytes more`);
    room.spare -= expected;
  }
}

const roomOf = async (folder: string): Promise<{ free: number; total: number }> => {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { free: bavail * bsize, total: blocks * bsize };
};

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

/** Not there is an answer; anything else is the store being ill. */
const absent = (error: unknown): undefined => {
  if (codeOf(error) !== "ENOENT") throw error;
};

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

const asFull = (error: unknown): unknown =>
  FULL.has(codeOf(error) ?? "") ? new StoreFull("the disk is full", { cause: error }) : error;

/** One file under spool/, shared by its writer and its followers; closed when the last of them is done. */
class DiskStage implements Stage {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #growth = new Growth();
  readonly #hasher: ReturnType<typeof hasherFor>;
  readonly #final: (digest: Digest) => string;
  #users = 1;
  #digest: Digest | undefined;
  #over = false;

  constructor(file: FileHandle, path: string, algorithm: Algorithm, final: (digest: Digest) => string) {
    this.#file = file;
    this.#path = path;
    this.#hasher = hasherFor(algorithm);
    this.#final = final;
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
    if (this.#over) return;
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
    this.#over = true;
    this.#release();
  }

  async discard(reason: Error): Promise<void> {
    if (this.#over) return;
    this.#over = true;
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
    if (this.#over || this.#growth.verified) throw new Error("the stage is complete");
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
