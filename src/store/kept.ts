// A data folder opened whole: blobs on the disk, small ones also in memory, the account of what is held, and who makes room.
// One process at a time has it. A start waits for none of what is done in the background.
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Digest } from "../oci/digest.ts";
import { checked, Good } from "./checked.ts";
import { type DiskBlobs, openDisk } from "./disk.ts";
import type { FactStore } from "./facts.ts";
import { Held } from "./held.ts";
import { hot } from "./hot.ts";
import { counted, Readers } from "./readers.ts";
import { type ReconcileReport, reconcile } from "./reconcile.ts";
import type { RoomState } from "./room.ts";
import { openSqlite } from "./sqlite.ts";
import { type IsPinned, Sweep, type SweepReport } from "./sweep.ts";
import { Uses } from "./uses.ts";

export interface KeptOptions {
  readonly folder: string;
  /** Bytes of blobs in all; without it only the file system's reserve bounds them. */
  readonly maxSize: number | undefined;
  /** What was not used for so many ms goes; `undefined`: none for its age. */
  readonly maxAge: number | undefined;
  readonly isPinned: IsPinned;
  readonly clock: Clock;
  readonly log: Logger;
  /** For tests, as of DiskOptions. */
  readonly room?: () => Promise<{ readonly free: number; readonly total: number }>;
  readonly lockWait?: number;
}

/** Plain JSON, for people. */
export interface KeptState extends RoomState {
  /** Blobs that are held. */
  readonly count: number;
  readonly maxAge: number | undefined;
  /** `undefined`: none yet. */
  readonly lastSweep: SweepReport | undefined;
  /** `undefined`: still going on. */
  readonly reconciled: ReconcileReport | undefined;
}

export interface Kept {
  /** What everybody reads and writes. */
  readonly blobs: Held;
  readonly facts: FactStore;
  readonly disk: DiskBlobs;
  readonly sweep: Sweep;
  readonly uses: Uses;
  readonly clock: Clock;
  /** Files and facts agree, or it has been given up. Never rejects. */
  readonly reconciled: Promise<void>;
  state(): Promise<KeptState>;
  /** Readers and stages are to be over by then. */
  close(): Promise<void>;
}

/** Throws StoreUnusable. */
export const openKept = async (options: KeptOptions): Promise<Kept> => {
  const { folder, maxSize, maxAge, isPinned, clock, log, room, lockWait } = options;
  const disk = await openDisk({
    folder,
    ...(maxSize === undefined ? {} : { maxSize }),
    ...(room === undefined ? {} : { room }),
    ...(lockWait === undefined ? {} : { lockWait }),
  });
  const facts = await openFacts(folder, disk);
  const readers = new Readers();
  const uses = new Uses(facts.holdings, clock, log);
  const good = new Good();
  const spoilt = (digest: Digest) => {
    log.error({ digest }, "the disk has spoilt a blob: it is in quarantine, and the next request brings it anew");
    return blobs.quarantine(digest);
  };
  const memory = hot(checked(counted(disk, readers), good, spoilt), spoilt);
  const blobs: Held = new Held({ blobs: memory, disk, facts, readers, good, uses, clock, log });
  const sweep = new Sweep({ held: blobs, facts, readers, uses, isPinned, clock, log });
  disk.room.relieve(sweep.makeWay, true);
  disk.room.onFull((isFull) => {
    if (isFull) log.warn({ kept: sweep.last?.kept }, "nothing new is kept: there is no room, and nothing that is held may go");
    else log.info("there is room again: what is new is kept");
  });
  disk.room.onTooLarge((bytes) =>
    log.warn({ bytes }, "a body goes by without being kept: it is larger than all that may be held"),
  );
  const expiring = maxAge === undefined ? undefined : expire(sweep, maxAge, log);
  const stop = new AbortController();
  let report: ReconcileReport | undefined;
  const reconciled = reconcile({ folder, held: blobs, inventory: facts.inventory }, stop.signal).then(
    (found) => {
      report = found;
      const { strange, ...counts } = found;
      if (found.added + found.dropped + strange.length > 0)
        log.info({ ...counts, strange: strange.length }, "files and facts agree again");
    },
    (error: unknown) => {
      if (!stop.signal.aborted) log.error({ err: String(error) }, "files and facts could not be compared");
    },
  );
  return {
    blobs,
    facts,
    disk,
    sweep,
    uses,
    clock,
    reconciled,
    state: async () => {
      const { count } = await facts.holdings.totals();
      return { ...(await disk.room.state()), count, maxAge, lastSweep: sweep.last, reconciled: report };
    },
    async close() {
      clearInterval(expiring);
      stop.abort(new Error("the store is being closed"));
      await Promise.all([reconciled, sweep.close()]);
      await uses.close();
      await facts.close();
      await blobs.close();
    },
  };
};

/** The lock of the folder is the disk's: it is given back where the facts cannot be used. */
const openFacts = async (folder: string, disk: DiskBlobs): Promise<FactStore> => {
  try {
    const facts = openSqlite(join(folder, "facts.sqlite"));
    disk.room.give(-(await facts.holdings.totals()).bytes);
    return facts;
  } catch (error) {
    await disk.close();
    throw error;
  }
};

const MOST_OFTEN = 1_000;
const AT_LEAST_EVERY = 10 * 60_000;

const expire = (sweep: Sweep, maxAge: number, log: Logger): NodeJS.Timeout => {
  const every = Math.min(Math.max(maxAge / 10, MOST_OFTEN), AT_LEAST_EVERY);
  const timer = setInterval(() => {
    void sweep.expire(maxAge).then(
      ({ count, freed }) => {
        if (count > 0) log.info({ count, freed }, "what was not used for maxAge has gone");
      },
      (error: unknown) => log.error({ err: String(error) }, "what is too old could not be swept"),
    );
  }, every);
  return timer.unref();
};
