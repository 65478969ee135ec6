// How the entries of the mirror stand: when each ran last, when all was well last, and whether that is too long ago. Told once, not each time.
import type { Logger } from "../lib/log.ts";
import type { MirrorEntry } from "../mirrors.ts";
import type { Mirroring, RunFact, Runs } from "../store/mirroring.ts";
import { warnAfterOf } from "./due.ts";

export interface StandingParts {
  readonly mirroring: Pick<Mirroring, "runs" | "putRun" | "keepRuns">;
  readonly clock: () => number;
  readonly log: Logger;
}

export interface Overdue {
  readonly entry: string;
  /** The end of the last good sync; `undefined`: there was none. */
  readonly since: number | undefined;
  /** ms. */
  readonly warnAfter: number;
}

interface Standing {
  readonly runs: Runs;
  /** ms; `undefined`: any age is good. */
  readonly warnAfter: number | undefined;
  /** One that has never been well is given as long as one that has. */
  readonly knownSince: number;
}

const NONE: Runs = { last: undefined, lastGood: undefined };
const TOLD = 10;

export class Standings {
  readonly #parts: StandingParts;
  #all: Map<string, Standing> = new Map();
  #told: ReadonlySet<string> = new Set();

  constructor(parts: StandingParts) {
    this.#parts = parts;
  }

  /** From now on these are the entries; the runs of others are forgotten. */
  async follow(entries: readonly MirrorEntry[]): Promise<void> {
    const { mirroring, clock } = this.#parts;
    const now = clock();
    const all = new Map<string, Standing>();
    for (const entry of entries) {
      const knownSince = this.#all.get(entry.name)?.knownSince ?? now;
      all.set(entry.name, { runs: await mirroring.runs(entry.name), warnAfter: warnAfterOf(entry, now), knownSince });
    }
    this.#all = all;
    await mirroring.keepRuns([...all.keys()]);
  }

  /** A run of a whole entry has ended. */
  async ended({ name }: MirrorEntry, run: RunFact): Promise<void> {
    const before = this.#all.get(name);
    if (before === undefined) return;
    const lastGood = run.isGood ? run : before.runs.lastGood;
    this.#all.set(name, { ...before, runs: { last: run, lastGood } });
    await this.#parts.mirroring.putRun(name, run);
  }

  runs(name: string): Runs {
    return this.#all.get(name)?.runs ?? NONE;
  }

  overdue(): Overdue[] {
    const now = this.#parts.clock();
    return [...this.#all].flatMap(([entry, standing]) => overdueOf(entry, standing, now) ?? []);
  }

  /** For people. */
  notes(): string[] {
    const now = this.#parts.clock();
    const overdue = this.overdue();
    const more = overdue.length - TOLD;
    return [
      ...overdue.slice(0, TOLD).map((one) => `mirror: ${noteOf(one, now)}`),
      ...(more > 0 ? [`mirror: ${more} more entries have had no good sync for too long`] : []),
    ];
  }

  /** What has become too old since it was called last goes to the log, and what is well again. */
  tell(): void {
    const { clock, log } = this.#parts;
    const overdue = this.overdue();
    for (const one of overdue.filter(({ entry }) => !this.#told.has(entry)))
      log.warn({ entry: one.entry }, `mirror: ${noteOf(one, clock())}`);
    const names = new Set(overdue.map(({ entry }) => entry));
    for (const entry of [...this.#told].filter((name) => !names.has(name) && this.#all.has(name)))
      log.info({ entry }, "mirror: the last good sync is not too old any more");
    this.#told = names;
  }
}

const overdueOf = (entry: string, { runs, warnAfter, knownSince }: Standing, now: number): Overdue | undefined => {
  const since = runs.lastGood?.endedAt;
  // what ended in a time to come was told by a clock that was ahead
  const from = since === undefined || since > now ? knownSince : since;
  if (warnAfter === undefined || now - from <= warnAfter) return undefined;
  return { entry, since, warnAfter };
};

const noteOf = ({ entry, since }: Overdue, now: number): string =>
  since === undefined ? `${entry} has had no good sync yet` : `the last good sync of ${entry} was ${hours(now - since)} ago`;

const hours = (ms: number): string => (ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${Math.floor(ms / 3_600_000)} h`);
