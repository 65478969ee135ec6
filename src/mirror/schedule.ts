// The syncs that nobody asks for: by cron or interval, and after a start of what is missing. Looks at the clock again and again rather than
// waiting for a time: however it jumps, an entry runs at most once for it, and none is forgotten.
import { isDeepStrictEqual } from "node:util";
import type { Logger } from "../lib/log.ts";
import type { MirrorEntry } from "../mirrors.ts";
import type { Runs } from "../store/mirroring.ts";
import { nextDue, periodOf } from "./due.ts";
import type { Runner, Urgency } from "./runner.ts";

export interface ScheduleParts {
  readonly runner: Pick<Runner, "ask" | "going">;
  readonly runs: (entry: string) => Runs;
  /** Whatever else is looked at as often. */
  readonly looked: () => void;
  readonly clock: () => number;
  readonly log: Logger;
  readonly random?: () => number;
}

const LOOK_EVERY = 30_000;
/** Crons may have seconds. */
const SOONEST = 200;
/** Many that are due at the same time begin one by one, within so long or a tenth of their period. */
const SPREAD = 30_000;
/** Clients that come just after a start go first. */
const MISSING_AFTER = 5_000;

interface Scheduled {
  readonly entry: MirrorEntry;
  /** Without spread; `undefined`: never. */
  due: number | undefined;
  spread: number;
  taken: number | undefined;
  /** The end of a run, also of one that broke off, of which there is no report. */
  triedAt: number | undefined;
  /** When what is missing is looked for; `undefined`: that has been done. */
  missingAt: number | undefined;
}

export class Schedule {
  readonly #parts: ScheduleParts;
  readonly #random: () => number;
  #all: ReadonlyMap<string, Scheduled> = new Map();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(parts: ScheduleParts) {
    this.#parts = parts;
    this.#random = parts.random ?? Math.random;
  }

  /** From now on these; what is new among them, or not what it was, is looked through for what is missing. */
  follow(entries: readonly MirrorEntry[]): void {
    const now = this.#parts.clock();
    const before = this.#all;
    this.#all = new Map(
      entries.flatMap((entry) => (entry.schedule === undefined ? [] : [[entry.name, this.#begin(entry, before, now)]])),
    );
    this.#plan();
  }

  /** When an entry is to run next; `undefined`: not by itself. */
  next(name: string): number | undefined {
    const found = this.#all.get(name);
    return found?.due === undefined ? undefined : found.due + found.spread;
  }

  /** Begins what is due. */
  look(): void {
    if (this.#isClosed) return;
    const now = this.#parts.clock();
    const isBack = now < this.#lookedAt;
    this.#lookedAt = now;
    for (const one of this.#all.values()) {
      if (isBack) this.#back(one, now);
      if (one.due !== undefined && one.due + one.spread <= now) this.#take(one, now);
      else if (one.missingAt !== undefined && one.missingAt <= now) this.#ask(one, "start");
    }
    this.#parts.looked();
    this.#plan();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #begin(entry: MirrorEntry, before: ReadonlyMap<string, Scheduled>, now: number): Scheduled {
    const old = before.get(entry.name);
    const isSame = isDeepStrictEqual(old?.entry, entry);
    const one: Scheduled = {
      ...{ entry, due: undefined, spread: 0, taken: old?.taken, triedAt: old?.triedAt },
      missingAt: isSame ? old?.missingAt : now + MISSING_AFTER + this.#spreadOf(entry, now),
    };
    this.#set(one, now);
    // its time has come, and its spread is not over
    if (old?.due !== undefined && old.due <= now) Object.assign(one, { due: old.due, spread: old.spread });
    return one;
  }

  #set(one: Scheduled, now: number): void {
    const { entry, taken, triedAt } = one;
    const endedAt = latest(this.#parts.runs(entry.name).last?.endedAt, triedAt);
    one.due = nextDue(entry.schedule!, { endedAt, taken }, now);
    one.spread = this.#spreadOf(entry, now);
  }

  #spreadOf({ schedule }: MirrorEntry, now: number): number {
    const period = periodOf(schedule!, now) ?? SPREAD * 10;
    return Math.floor(this.#random() * Math.min(SPREAD, period / 10));
  }

  /** The clock has been put back: what was reckoned by it is reckoned anew. */
  #back(one: Scheduled, now: number): void {
    if (one.missingAt !== undefined) one.missingAt = Math.min(one.missingAt, now + MISSING_AFTER);
    if (one.triedAt !== undefined) one.triedAt = Math.min(one.triedAt, now);
    if (one.due === undefined || one.due > now) this.#set(one, now);
  }

  #take(one: Scheduled, now: number): void {
    const { entry } = one;
    one.taken = one.due;
    const isGoing = this.#parts.runner.going().some((going) => going.entry === entry.name && !going.missingOnly);
    if (!isGoing) this.#ask(one, "scheduled");
    // an interval begins anew when it has ended
    else if ("cron" in entry.schedule!)
      this.#parts.log.info({ entry: entry.name }, "mirror: a scheduled sync is left out: the one before is still under way");
    one.triedAt = now; // until it has ended: an interval is reckoned from there
    this.#set(one, now);
  }

  #ask(one: Scheduled, urgency: Urgency): void {
    one.missingAt = undefined;
    const wish = { run: undefined, missingOnly: urgency === "start", only: undefined };
    const ticket = this.#parts.runner.ask(one.entry, wish, urgency);
    ticket.keep();
    const over = () => this.#over(one, urgency);
    // what went wrong is in the log already
    ticket.wait(new AbortController().signal, () => undefined).then(over, over);
  }

  #over(one: Scheduled, urgency: Urgency): void {
    if (urgency === "start" || this.#isClosed) return;
    const now = this.#parts.clock();
    one.triedAt = now;
    if (!("cron" in one.entry.schedule!)) this.#set(one, now);
    this.#plan();
  }

  #plan(): void {
    clearTimeout(this.#timer);
    if (this.#isClosed) return;
    const now = this.#parts.clock();
    const times = [...this.#all.values()].flatMap(({ due, spread, missingAt }) => [
      due === undefined ? Number.POSITIVE_INFINITY : due + spread,
      missingAt ?? Number.POSITIVE_INFINITY,
    ]);
    const soonest = times.reduce((least, time) => Math.min(least, time), Number.POSITIVE_INFINITY);
    this.#timer = setTimeout(() => this.look(), Math.min(LOOK_EVERY, Math.max(SOONEST, soonest - now))).unref();
  }
}

const latest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
