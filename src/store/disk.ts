// Blobs as files: blobs/<algorithm>/<2 hex>/<hex>, and stages under spool/. A name under blobs/ is only ever given to verified, synced bytes.
import { randomUUID } from "node:crypto";
import { access, constants, type FileHandle, mkdir, open, rename, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { ByteStream } from "../lib/byte-stream.ts";
import { syncFolder } from "../lib/sync-folder.ts";
import { Turns } from "../lib/turns.ts";
import { type Algorithm, algorithmOf, type Digest, hasherFor } from "../oci/digest.ts";
import type { ByteRange } from "../oci/range.ts";
import { type BlobStore, HOLDBACK, type Stage } from "./blobs.ts";
import { absent, asFull } from "./disk-errors.ts";
import { DiskStage, type DiskStageParts } from "./disk-stage.ts";
import { FileSource } from "./file-source.ts";
import { blobPath } from "./layout.ts";
import { berthOver, Leftovers } from "./leftovers.ts";
import { lockFolder } from "./lock.ts";
import { Quarantine, type Swept } from "./quarantine.ts";
import { type Berth, diskRoom, Room } from "./room.ts";
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

export interface DiskBlobs extends BlobStore {
  readonly folder: string;
  /** What is held when it is opened is to be told to it (`give`): who keeps account knows without counting. */
  readonly room: Room;
  /** When the file was last written or read, as far as the file system knows; 0: it is not held. */
  lastTouched(digest: Digest): Promise<number>;
  /** Takes what is not what it is called out of the store. True when it was held. `wasHosted`: it is kept until somebody looks at it. */
  quarantine(digest: Digest, wasHosted: boolean): Promise<boolean>;
  /** Takes out of the quarantine what is too old or too much; with `isDry` only says so. */
  sweepQuarantine(isDry?: boolean): Promise<Swept>;
}

/** Throws StoreUnusable: not writable, or in use by another process. Of what a dead process left unfinished only fills are kept. */
export const openDisk = async (options: DiskOptions): Promise<DiskBlobs> => {
  const { folder } = options;
  try {
    await prepare(folder);
  } catch (error) {
    throw new StoreUnusable(folder, error);
  }
  const unlock = await lockFolder(folder, options.lockWait);
  const store = new DiskStore(options, unlock);
  try {
    await store.sweep();
  } catch (error) {
    unlock();
    throw new StoreUnusable(folder, error);
  }
  return store;
};

const prepare = async (folder: string): Promise<void> => {
  for (const name of ["spool", "blobs"]) {
    await mkdir(join(folder, name), { recursive: true });
    await access(join(folder, name), constants.W_OK | constants.X_OK);
  }
  await syncFolder(folder);
};

const sizeOf = async (file: FileHandle): Promise<number> => {
  try {
    return (await file.stat()).size;
  } catch (error) {
    await file.close();
    throw error;
  }
};

class DiskStore implements DiskBlobs {
  readonly folder: string;
  readonly room: Room;
  readonly #leftovers: Leftovers;
  readonly #quarantine: Quarantine;
  readonly #unlock: () => void;
  /** One name is given or taken at a time, so that what is held is counted right when two have the same blob. */
  readonly #names = new Turns<string>();
  #isClosed = false;

  constructor({ folder, reserve = 0.1, maxSize, room = () => diskRoom(folder) }: DiskOptions, unlock: () => void) {
    this.#unlock = unlock;
    this.folder = folder;
    this.room = new Room({ folder, reserve, maxSize, free: room });
    this.#leftovers = new Leftovers(join(folder, "spool"), this.room);
    this.#quarantine = new Quarantine(folder);
    this.room.relieve(() => this.#leftovers.dropOldest());
  }

  sweep(): Promise<void> {
    return this.#leftovers.sweep((digest) => this.stat(digest).then((held) => held !== undefined));
  }

  async stat(digest: Digest): Promise<{ size: number } | undefined> {
    const found = await stat(this.#path(digest)).catch(absent);
    return found === undefined ? undefined : { size: found.size };
  }

  async lastTouched(digest: Digest): Promise<number> {
    const found = await stat(this.#path(digest)).catch(absent);
    return found === undefined ? 0 : Math.max(found.atimeMs, found.mtimeMs);
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
    const berth = await this.#berth(expected);
    return this.#open(join(this.folder, "spool", randomUUID()), "wx+", { berth, hasher: hasherFor(algorithm) });
  }

  async fill(digest: Digest, expected = 0): Promise<Stage> {
    const taken = this.#leftovers.take(digest);
    const algorithm = algorithmOf(digest);
    if (taken === undefined) return this.stage(expected, algorithm);
    try {
      const { berth, leave } = berthOver(taken, await this.#berth(Math.max(0, expected - taken.size)));
      const earlier = { left: Math.max(0, taken.size - HOLDBACK), leave };
      return await this.#open(taken.path, taken.size === 0 ? "w+" : "r+", { berth, hasher: hasherFor(algorithm), earlier });
    } catch (error) {
      taken.release(taken.size);
      throw error;
    }
  }

  leftover(digest: Digest): number {
    return this.#leftovers.sizeOf(digest);
  }

  async delete(digest: Digest): Promise<boolean> {
    return this.#takeOut(digest, (path) => unlink(path));
  }

  async quarantine(digest: Digest, wasHosted: boolean): Promise<boolean> {
    return this.#takeOut(digest, (path) => this.#quarantine.take(path, digest, wasHosted));
  }

  sweepQuarantine(isDry = false): Promise<Swept> {
    return this.#quarantine.sweep(isDry);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#leftovers.settled();
    this.#unlock();
  }

  async #berth(expected: number): Promise<Berth> {
    if (this.#isClosed) throw new Error("the store is closed");
    return this.room.promise(expected);
  }

  async #open(path: string, flags: string, parts: Pick<DiskStageParts, "berth" | "hasher" | "earlier">): Promise<Stage> {
    const { berth } = parts;
    try {
      const file = await open(path, flags, 0o600);
      const home = (digest: Digest) => this.#path(digest);
      return new DiskStage({ ...parts, file, path, home, keep: (digest) => this.#keep(path, home(digest), berth) });
    } catch (error) {
      berth.settle(0);
      throw asFull(error);
    }
  }

  async #keep(spooled: string, home: string, berth: Berth): Promise<void> {
    const folder = dirname(home);
    const isNew = (await mkdir(folder, { recursive: true })) !== undefined;
    await this.#names.take(home, async () => {
      const { size } = await stat(spooled);
      const replaced = await stat(home).catch(absent);
      await rename(spooled, home);
      berth.settle(size - (replaced?.size ?? 0));
    });
    await syncFolder(folder);
    // blobs/<algorithm>, and blobs, where that may be new too
    if (isNew) for (const above of [dirname(folder), dirname(dirname(folder))]) await syncFolder(above);
  }

  #takeOut(digest: Digest, how: (path: string) => Promise<void>): Promise<boolean> {
    const path = this.#path(digest);
    return this.#names.take(path, async () => {
      const held = await this.stat(digest);
      if (held === undefined) return false;
      await how(path);
      this.room.give(held.size);
      return true;
    });
  }

  #path(digest: Digest): string {
    return blobPath(this.folder, digest);
  }
}
