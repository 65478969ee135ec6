// Blobs that turned out not to be what they are called: out of the store, so that the next request brings them anew, and kept for a
// while under quarantine/, for who wants to know what the disk has done to them. Never served; bounded in bytes and age. What was hosted
// goes to salvage/ and stays there: nobody else has even that much of it.
import { mkdir, readdir, rename, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { algorithmOf, type Digest, hexOf } from "../oci/digest.ts";
import { absent } from "./disk-errors.ts";
import { diskRoom } from "./room.ts";

/** Of all of them together: bytes, and at most this share of the file system. */
const MOST = 1024 * 1024 * 1024;
const SHARE = 0.02;
/** Milliseconds. */
const KEEP_FOR = 30 * 24 * 60 * 60_000;

export interface Swept {
  readonly count: number;
  readonly bytes: number;
}

export class Quarantine {
  readonly #folder: string;
  readonly #salvage: string;

  constructor(folder: string) {
    this.#folder = join(folder, "quarantine");
    this.#salvage = join(folder, "salvage");
  }

  /** Moves a file here, and the oldest out where it gets too much; one of what was hosted is kept apart. */
  async take(path: string, digest: Digest, wasHosted: boolean): Promise<void> {
    const folder = wasHosted ? this.#salvage : this.#folder;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await rename(path, join(folder, `${algorithmOf(digest)}-${hexOf(digest)}-${Date.now()}`));
    await this.sweep();
  }

  /** Takes away what is too old or too much; with `isDry` only says so. */
  async sweep(isDry = false): Promise<Swept> {
    const files = await this.#files();
    if (files.length === 0) return { count: 0, bytes: 0 };
    const most = Math.min(MOST, (await diskRoom(this.#folder)).total * SHARE);
    let all = files.reduce((sum, { size }) => sum + size, 0);
    const over = files.filter(({ at, size }) => {
      const goes = all > most || Date.now() - at > KEEP_FOR;
      if (goes) all -= size;
      return goes;
    });
    if (!isDry) for (const { path } of over) await unlink(path).catch(absent);
    return { count: over.length, bytes: over.reduce((sum, { size }) => sum + size, 0) };
  }

  /** Oldest first. */
  async #files(): Promise<{ path: string; size: number; at: number }[]> {
    const names = (await readdir(this.#folder).catch(absent)) ?? [];
    const files = [];
    for (const name of names) {
      const path = join(this.#folder, name);
      const found = await stat(path).catch(absent);
      // the name tells when it came; the file's own time is that of its last write
      if (found !== undefined) files.push({ path, size: found.size, at: Number(name.slice(name.lastIndexOf("-") + 1)) || 0 });
    }
    return files.sort((one, other) => one.at - other.at);
  }
}
