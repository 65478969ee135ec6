// How much more a store may take: what the file system has free above its reserve, and what is left of the store's own cap.
// Nothing is written that was not promised before, so that bodies that grow side by side never share the same room.
// Where there is too little, what is held makes way for it, a little ahead of need: a client seldom waits for that.
import { statfs } from "node:fs/promises";
import { StoreFull } from "./blobs.ts";

/** What was free a moment ago is good enough; asking for every stage is not free itself. Milliseconds. */
const KNOWN_FOR = 1_000;
/** How much is made free ahead of need: a share of the whole, and at most so many bytes. */
const AHEAD = 0.02;
const MOST_AHEAD = 2 * 1024 * 1024 * 1024;
/** How long a body waits for others to make way. Milliseconds. */
const PATIENCE = 5_000;
/** A body that found no room is a reason for so long to say that there is none; as long as more come it goes on. Milliseconds. */
const SAID_FOR = 5 * 60_000;

export interface RoomOptions {
  readonly folder: string;
  /** Share of the file system that is left free. */
  readonly reserve: number;
  /** Bytes; undefined: no cap. */
  readonly maxSize: number | undefined;
  readonly free: () => Promise<{ readonly free: number; readonly total: number }>;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

/** Makes way for a body that misses so many bytes. False: nothing of it may go now. */
export type MakeWay = (missing: number) => Promise<boolean>;

/** Bytes of now. */
export interface RoomState {
  readonly held: number;
  /** Written by bodies that are not complete. */
  readonly growing: number;
  /** Promised to them and not written yet. */
  readonly promised: number;
  /** `undefined`: no cap. */
  readonly maxSize: number | undefined;
  /** Of the file system. */
  readonly free: number;
  readonly total: number;
  /** What can still be promised before something has to make way; negative when less is free than should be. */
  readonly left: number;
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
  #seen: { at: number; spare: number; free: number; total: number } | undefined;
  readonly #ways: MakeWay[] = [];
  #wayAhead: MakeWay | undefined;
  /** Bytes of the largest body that found no room, although the whole would take it, and when that was; until there is room for it again. */
  #refused: { readonly bytes: number; readonly at: number } | undefined;
  /** Bytes of the largest body for which the whole is too small. */
  #tooLarge = 0;
  #onFull: (isFull: boolean) => void = () => undefined;
  #onTooLarge: (bytes: number) => void = () => undefined;
  #makingAhead = false;
  /** Bytes of blobs. */
  #held = 0;
  /** Of the bodies that are under way. They are added up anew each time: a sum that is carried on would keep every slip. */
  readonly #shares = new Set<Share>();

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /** Whoever can make way says how; the last to say so is asked first. `ahead`: also before anybody has to wait. */
  relieve(makeWay: MakeWay, ahead = false): void {
    this.#ways.unshift(makeWay);
    if (ahead) this.#wayAhead = makeWay;
  }

  /** Whether bodies go by without being kept, for want of room. */
  get isFull(): boolean {
    return this.#refused !== undefined;
  }

  /** Told once when that begins and once when it is over. */
  onFull(told: (isFull: boolean) => void): void {
    this.#onFull = told;
  }

  /** Told of a body for which the whole is too small, and again only of larger ones. */
  onTooLarge(told: (bytes: number) => void): void {
    this.#onTooLarge = told;
  }

  async state(): Promise<RoomState> {
    const { free, total, spare } = await this.#look();
    const { promised, written } = this.#underWay();
    const { maxSize } = this.#options;
    return { held: this.#held, growing: written, promised, maxSize, free, total, left: this.#left(spare) };
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

  /** That many bytes have been deleted; negative: they have been found. */
  give(bytes: number): void {
    this.#held -= bytes;
    // the file system has them back, or will as soon as their last reader is done: until it is asked again that is believed
    if (this.#seen !== undefined && bytes > 0) this.#seen.spare += bytes;
  }

  /** Promises `bytes` more, or throws. */
  async #weigh(share: Share, bytes: number): Promise<void> {
    const until = performance.now() + PATIENCE;
    for (;;) {
      const { spare, total } = await this.#look();
      const left = this.#left(spare);
      if (left >= bytes) {
        share.promised += bytes;
        this.#taken(left);
        this.#lookAhead(left - bytes, spare);
        return;
      }
      const missing = bytes - left;
      const full = () => new StoreFull(`${this.#options.folder} has no room for ${bytes} bytes more`);
      // where all that is held would be too little nothing goes for it
      if (missing <= this.#held && performance.now() < until && (await this.#makeWay(missing))) continue;
      this.#refuse(share.written + share.promised + bytes, total);
      throw full();
    }
  }

  #refuse(bytes: number, total: number): void {
    const { maxSize = Number.POSITIVE_INFINITY, reserve } = this.#options;
    if (bytes > Math.min(maxSize, total * (1 - reserve))) {
      // for others there may be room
      if (bytes > this.#tooLarge) this.#onTooLarge(bytes);
      this.#tooLarge = Math.max(bytes, this.#tooLarge);
      return;
    }
    const wasFull = this.isFull;
    this.#refused = { bytes: Math.max(bytes, this.#refused?.bytes ?? 0), at: this.#now() };
    if (!wasFull) this.#onFull(true);
  }

  /** What there was room for, in `left`, shows whether there is for what was refused. */
  #taken(left: number): void {
    if (this.#refused === undefined) return;
    if (left < this.#refused.bytes && this.#now() - this.#refused.at < SAID_FOR) return;
    this.#refused = undefined;
    this.#onFull(false);
  }

  #now(): number {
    return (this.#options.now ?? (() => performance.now()))();
  }

  #left(spare: number): number {
    const { maxSize = Number.POSITIVE_INFINITY } = this.#options;
    const { promised, written } = this.#underWay();
    return Math.min(spare, maxSize - this.#held - written) - promised;
  }

  #underWay(): Share {
    let promised = 0;
    let written = 0;
    for (const share of this.#shares) {
      promised += share.promised;
      written += share.written;
    }
    return { promised, written };
  }

  async #makeWay(missing: number): Promise<boolean> {
    for (const makeWay of this.#ways) if (await makeWay(missing)) return true;
    return false;
  }

  #lookAhead(left: number, spare: number): void {
    const whole = this.#options.maxSize ?? this.#held + Math.max(0, spare);
    const ahead = Math.min(MOST_AHEAD, Math.floor(whole * AHEAD));
    if (left >= ahead || this.#makingAhead || this.#wayAhead === undefined) return;
    this.#makingAhead = true;
    void this.#wayAhead(ahead - left)
      .catch(() => false)
      .then(() => {
        this.#makingAhead = false;
      });
  }

  async #look(): Promise<{ spare: number; free: number; total: number }> {
    const { reserve, free } = this.#options;
    if (this.#seen !== undefined && performance.now() - this.#seen.at < KNOWN_FOR) return this.#seen;
    const now = await free();
    this.#seen = { ...now, at: performance.now(), spare: Math.floor(now.free - now.total * reserve) };
    return this.#seen;
  }
}
