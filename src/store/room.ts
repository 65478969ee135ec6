// How much more a store may take: what the file system has free above its reserve, and what is left of the store's own cap.
import { readdir, stat, statfs } from "node:fs/promises";
import { join } from "node:path";
import { StoreFull } from "./blobs.ts";

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

export const diskRoom = async (folder: string): Promise<{ free: number; total: number }> => {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { free: bavail * bsize, total: blocks * bsize };
};

export class Room {
  readonly #options: RoomOptions;
  #seen: { at: number; spare: number } | undefined;
  #held = 0;
  #promised = 0;

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /** Adds up what is there already, in the background: a start must not wait for a million files. Only a cap needs it. */
  count(folder: string): void {
    if (this.#options.maxSize !== undefined) void this.#add(folder).catch(() => undefined);
  }

  /** Room for `expected` bytes; gives what settles it with the bytes that were kept in the end. Throws StoreFull. */
  async take(expected: number): Promise<(kept: number) => void> {
    const { folder, maxSize } = this.#options;
    const seen = await this.#look();
    const left = maxSize === undefined ? Number.POSITIVE_INFINITY : maxSize - this.#held - this.#promised;
    if (Math.min(seen.spare, left) < expected) throw new StoreFull(`${folder} has no room for ${expected} bytes more`);
    seen.spare -= expected;
    this.#promised += expected;
    return (kept) => {
      this.#promised -= expected;
      this.#held += kept;
    };
  }

  /** That many bytes have been deleted. */
  give(bytes: number): void {
    this.#held -= bytes;
  }

  /** What is promised is taken off at once, as it is not on the disk yet. */
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
      else this.#held += (await stat(path)).size;
    }
  }
}
