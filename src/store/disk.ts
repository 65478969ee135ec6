// Blobs as files: blobs/<algorithm>/<2 hex>/<hex>, and stages under spool/. A name under blobs/ is only ever given to verified, synced bytes.
import { randomUUID } from "node:crypto";
import { mkdir, open, readdir, rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { type Algorithm, algorithmOf, type Digest, hexOf } from "../oci/digest.ts";
import type { ByteRange } from "../oci/range.ts";
import type { BlobStore, Stage } from "./blobs.ts";
import { absent, asFull } from "./disk-errors.ts";
import { DiskStage } from "./disk-stage.ts";
import { lockFolder } from "./lock.ts";
import { diskRoom, Room } from "./room.ts";
import { StoreUnusable } from "./unusable.ts";

const READ = 1024 * 1024;

export interface DiskOptions {
  readonly folder: string;
  /** Bytes of blobs in all; without it only the reserve bounds them. */
  readonly maxSize?: number;
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
  readonly #room: Room;
  readonly #unlock: () => void;

  constructor({ folder, reserve = 0.1, maxSize, room = () => diskRoom(folder) }: DiskOptions, unlock: () => void) {
    this.#folder = folder;
    this.#unlock = unlock;
    this.#room = new Room({ folder, reserve, maxSize, free: room });
    this.#room.count(join(folder, "blobs"));
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
    const settle = await this.#room.take(expected);
    const path = join(this.#folder, "spool", randomUUID());
    try {
      const file = await open(path, "wx+", 0o600);
      return new DiskStage(file, path, algorithm, (digest) => this.#path(digest), settle);
    } catch (error) {
      settle(0);
      throw asFull(error);
    }
  }

  async delete(digest: Digest): Promise<boolean> {
    const held = await this.stat(digest);
    if (held === undefined) return false;
    const isGone = await unlink(this.#path(digest)).then(
      () => true,
      (error: unknown) => absent(error) ?? false,
    );
    if (isGone) this.#room.give(held.size);
    return isGone;
  }

  async close(): Promise<void> {
    this.#unlock();
  }

  #path(digest: Digest): string {
    const hex = hexOf(digest);
    return join(this.#folder, "blobs", algorithmOf(digest), hex.slice(0, 2), hex);
  }
}
