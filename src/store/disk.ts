// Blobs as files: blobs/<algorithm>/<2 hex>/<hex>, and stages under spool/. A name under blobs/ is only ever given to verified, synced bytes.
import { randomUUID } from "node:crypto";
import { access, constants, type FileHandle, mkdir, open, readdir, rename, rm, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { ByteStream } from "../lib/byte-stream.ts";
import { type Algorithm, algorithmOf, type Digest, hasherFor, hexOf } from "../oci/digest.ts";
import type { ByteRange } from "../oci/range.ts";
import type { BlobStore, Stage } from "./blobs.ts";
import { absent, asFull } from "./disk-errors.ts";
import { DiskStage } from "./disk-stage.ts";
import { FileSource } from "./file-source.ts";
import { lockFolder } from "./lock.ts";
import { type Berth, diskRoom, Room } from "./room.ts";
import { syncFolder } from "./sync.ts";
import { StoreUnusable } from "./unusable.ts";

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
  try {
    await prepare(folder);
  } catch (error) {
    throw new StoreUnusable(folder, error);
  }
  const unlock = await lockFolder(folder, options.lockWait);
  try {
    await sweepSpool(join(folder, "spool"));
  } catch (error) {
    unlock();
    throw new StoreUnusable(folder, error);
  }
  return new DiskStore(options, unlock);
};

const prepare = async (folder: string): Promise<void> => {
  for (const name of ["spool", "blobs"]) {
    await mkdir(join(folder, name), { recursive: true });
    await access(join(folder, name), constants.W_OK | constants.X_OK);
  }
  await syncFolder(folder);
};

const sweepSpool = async (spool: string): Promise<void> => {
  for (const leftover of await readdir(spool)) await rm(join(spool, leftover), { force: true, recursive: true });
};

const sizeOf = async (file: FileHandle): Promise<number> => {
  try {
    return (await file.stat()).size;
  } catch (error) {
    await file.close();
    throw error;
  }
};

class DiskStore implements BlobStore {
  readonly #folder: string;
  readonly #room: Room;
  readonly #unlock: () => void;
  #naming: Promise<unknown> = Promise.resolve();
  #isClosed = false;

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
    const { start, end } = range ?? { start: 0, end: (await sizeOf(file)) - 1 };
    return new ByteStream(new FileSource(Promise.resolve(file), start, end));
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
    if (this.#isClosed) throw new Error("the store is closed");
    const berth = await this.#room.promise(expected);
    const path = join(this.#folder, "spool", randomUUID());
    try {
      const file = await open(path, "wx+", 0o600);
      const home = (digest: Digest) => this.#path(digest);
      return new DiskStage({
        file,
        path,
        berth,
        home,
        hasher: hasherFor(algorithm),
        keep: (digest) => this.#keep(path, home(digest), berth),
      });
    } catch (error) {
      berth.settle(0);
      throw asFull(error);
    }
  }

  async delete(digest: Digest): Promise<boolean> {
    return this.#inTurn(async () => {
      const held = await this.stat(digest);
      if (held === undefined) return false;
      await unlink(this.#path(digest));
      this.#room.give(held.size);
      return true;
    });
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#unlock();
  }

  async #keep(spooled: string, home: string, berth: Berth): Promise<void> {
    const folder = dirname(home);
    const isNew = (await mkdir(folder, { recursive: true })) !== undefined;
    await this.#inTurn(async () => {
      const { size } = await stat(spooled);
      const replaced = await stat(home).catch(absent);
      await rename(spooled, home);
      berth.settle(size - (replaced?.size ?? 0));
    });
    await syncFolder(folder);
    // blobs/<algorithm>, and blobs, where that may be new too
    if (isNew) for (const above of [dirname(folder), dirname(dirname(folder))]) await syncFolder(above);
  }

  /** One name is given or taken at a time, so that what is held is counted right when two have the same blob. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#naming.then(work);
    this.#naming = result.catch(() => undefined);
    return result;
  }

  #path(digest: Digest): string {
    const hex = hexOf(digest);
    return join(this.#folder, "blobs", algorithmOf(digest), hex.slice(0, 2), hex);
  }
}
