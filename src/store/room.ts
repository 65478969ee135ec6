// How much more a store may take: what the file system has free above its reserve, and what is left of the store's own cap.
// Nothing is written that was not promised before, so that bodies that grow side by side never share the same room.
import { readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { StoreFull } from "./blobs.ts";
import { absent } from "./disk-errors.ts";

/** What was free a moment ago is good enough; asking for every stage is not free itself. Milliseconds. */
const KNOWN_FOR = 1_000;

export interface RoomOptions {
  readonly folder: string;
  /** Share of the file system that is left free. */
  readonly reserve: number;
  /** Bytes; undefined: no cap. */
  readonly maxSize: number | undefined;
  readonly free: () => Promise<{ readonly free: number; readonly total: number }>;
}

/** One body's part of the room. */
export interface Berth {
  /** Before `bytes` are written. What goes beyond the promise is weighed anew. Throws StoreFull. */
  take(bytes: number): Promise<void>;
  /** The body is over, and adds `kept` bytes to what is held. Only the first time counts. */
  settle(kept: number): void;
}

/** Bytes of one body. */
interface Share {
  /** Promised and not written yet. */
  promised: number;
  written: number;
}

export const diskRoom = async (folder: string): Promise<{ free: number; total: number }> => {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { free: bavail * bsize, total: blocks * bsize };
};

export class Room {
  readonly #options: RoomOptions;
  #seen: { at: number; spare: number } | undefined;
  /** Bytes of blobs. */
  #held = 0;
  /** Of the bodies that are under way. They are added up anew each time: a sum that is carried on would keep every slip. */
  readonly #shares = new Set<Share>();

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /**
   * Adds up what is there already, in the background: a start must not wait for a million files. Only a cap needs it.
   * Until it is done the cap holds only what has been counted, and can be passed by the rest; the reserve holds all the time.
   * A blob that arrives meanwhile may count twice until the next start: the cap is then reached early.
   */
  count(folder: string): void {
    if (this.#options.maxSize !== undefined) void this.#add(folder).catch(() => undefined);
  }

  /** Promises room for `expected` bytes. Throws StoreFull. */
  async promise(expected: number): Promise<Berth> {
    const share: Share = { promised: 0, written: 0 };
    this.#shares.add(share);
    await this.#weigh(share, expected).catch((error: unknown) => {
      this.#shares.delete(share);
      throw error;
    });
    return {
      take: async (bytes) => {
        if (bytes > share.promised) await this.#weigh(share, bytes - share.promised);
        share.promised -= bytes;
        share.written += bytes;
        if (this.#seen !== undefined) this.#seen.spare -= bytes;
      },
      settle: (kept) => {
        if (this.#shares.delete(share)) this.#held += kept;
      },
    };
  }

  /** That many bytes have been deleted. */
  give(bytes: number): void {
    this.#held -= bytes;
    // the file system has them back, or will as soon as their last reader is done
    this.#seen = undefined;
  }

  /** Promises `bytes` more, or throws. */
  async #weigh(share: Share, bytes: number): Promise<void> {
    const { folder, maxSize = Number.POSITIVE_INFINITY } = this.#options;
    const { spare } = await this.#look();
    let promised = 0;
    let written = 0;
    for (const other of this.#shares) {
      promised += other.promised;
      written += other.written;
    }
    const left = Math.min(spare, maxSize - this.#held - written) - promised;
    if (left < bytes) throw new StoreFull(`${folder} has no room for ${bytes} bytes more`);
    share.promised += bytes;
  }

  async #look(): Promise<{ spare: number }> {
    const { reserve, free } = this.#options;
    if (this.#seen !== undefined && performance.now() - this.#seen.at < KNOWN_FOR) return this.#seen;
    const now = await free();
    this.#seen = { at: performance.now(), spare: now.free - now.total * reserve };
    return this.#seen;
  }

  async #add(folder: string): Promise<void> {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await this.#add(path);
      // it may have been deleted since it was listed
      else this.#held += (await stat(path).catch(absent))?.size ?? 0;
    }
  }
}
