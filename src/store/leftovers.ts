// What fills that broke off have left under spool/, each under its digest: counted as room, bounded in number and age, to make
// way when nothing that is held may, and taken up by one stage at a time. What it is worth only the digest tells, at the end.
import { lstat, readdir, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import { algorithmOf, type Digest, hexOf, isDigest } from "../oci/digest.ts";
import { HOLDBACK } from "./blobs.ts";
import { absent } from "./disk-errors.ts";
import type { Berth, Room } from "./room.ts";

/** Clients that want the rest come back within minutes, or on the next day's build. Milliseconds. */
const KEEP_FOR = 24 * 60 * 60_000;
const MOST = 64;

interface Left {
  /** Bytes of the file. */
  readonly size: number;
  /** When it was last written. */
  readonly at: number;
}

/** A leftover in the hands of a stage, or the right to make one. */
export interface Taken {
  readonly path: string;
  /** Bytes of the file; 0: there is none. */
  readonly size: number;
  /** The stage is over; what stays of its file are so many bytes. Only the first time counts. */
  release(size: number): void;
}

export class Leftovers {
  readonly #spool: string;
  readonly #room: Room;
  /** Oldest first. */
  readonly #left = new Map<Digest, Left>();
  readonly #taken = new Set<Digest>();
  #bounding: Promise<void> = Promise.resolve();

  constructor(spool: string, room: Room) {
    this.#spool = spool;
    this.#room = room;
  }

  /** At a start: everything goes that is no leftover, is held by now, or is too old. */
  async sweep(isHeld: (digest: Digest) => Promise<boolean>): Promise<void> {
    const found: (Left & { digest: Digest })[] = [];
    for (const name of await readdir(this.#spool)) {
      const digest = name.replace("-", ":");
      const left = isDigest(digest) && !(await isHeld(digest)) ? await leftAt(join(this.#spool, name)) : undefined;
      if (left === undefined || !isFresh(left)) await rm(join(this.#spool, name), { force: true, recursive: true });
      else found.push({ ...left, digest: digest as Digest });
    }
    found.sort((one, other) => one.at - other.at);
    for (const { digest, size, at } of found) {
      this.#left.set(digest, { size, at });
      this.#room.give(-size);
    }
    await this.#bound();
  }

  /** Bytes that a stage would begin with. */
  sizeOf(digest: Digest): number {
    const left = this.#left.get(digest);
    return left === undefined || !isFresh(left) ? 0 : left.size - HOLDBACK;
  }

  /** `undefined` while another stage has it. */
  take(digest: Digest): Taken | undefined {
    if (this.#taken.has(digest)) return undefined;
    const size = this.sizeOf(digest) === 0 ? 0 : this.#left.get(digest)!.size;
    // one that is too old is written over
    if (size === 0) this.#room.give(this.#left.get(digest)?.size ?? 0);
    this.#left.delete(digest);
    this.#taken.add(digest);
    let isOver = false;
    return {
      path: this.#pathOf(digest),
      size,
      release: (kept) => {
        if (isOver) return;
        isOver = true;
        this.#taken.delete(digest);
        if (kept > 0) this.#left.set(digest, { size: kept, at: Date.now() });
        this.#bounding = this.#bounding.then(() => this.#bound()).catch(() => undefined);
      },
    };
  }

  /** Resolves when no file is being removed. */
  async settled(): Promise<void> {
    await this.#bounding;
  }

  async #bound(): Promise<void> {
    for (const [digest, left] of this.#left) {
      if (isFresh(left) && this.#left.size <= MOST) return;
      await this.#drop(digest, left);
    }
  }

  /** Makes way for what needs room. False: there is none left. */
  async dropOldest(): Promise<boolean> {
    const [oldest] = this.#left;
    if (oldest === undefined) return false;
    await this.#drop(...oldest);
    return true;
  }

  async #drop(digest: Digest, { size }: Left): Promise<void> {
    if (!this.#left.delete(digest)) return;
    // nobody takes it meanwhile: its file would be a new one's
    this.#taken.add(digest);
    try {
      await unlink(this.#pathOf(digest)).catch(absent);
    } finally {
      this.#taken.delete(digest);
      this.#room.give(size);
    }
  }

  #pathOf(digest: Digest): string {
    return join(this.#spool, `${algorithmOf(digest)}-${hexOf(digest)}`);
  }
}

/** The berth of a stage that has taken a leftover, whose bytes count as held until it is over; and what leaves one. */
export const berthOver = (taken: Taken, berth: Berth): { berth: Berth; leave: (size: number) => void } => ({
  berth: {
    take: (bytes) => berth.take(bytes),
    settle(kept) {
      berth.settle(kept - taken.size);
      taken.release(0);
    },
  },
  leave(size) {
    berth.settle(size - taken.size);
    taken.release(size);
  },
});

const isFresh = ({ size, at }: Left): boolean => size > HOLDBACK && Date.now() - at < KEEP_FOR;

const leftAt = async (path: string): Promise<Left | undefined> => {
  const found = await lstat(path).catch(absent);
  return found?.isFile() === true ? { size: found.size, at: found.mtimeMs } : undefined;
};
