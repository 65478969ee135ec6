// What is remembered of the last run of an entry: bounded, whatever it did.
import type { RunFact } from "../store/mirroring.ts";
import type { EntryReport } from "./outcome.ts";

const MOST_CHANGES = 200;
const MOST_FAILURES = 1_000;

/** Tags to which nothing happened are left out, the bad ones stand first. */
export interface StoredRun {
  readonly run: string;
  readonly fetched: number;
  /** Tags by outcome; those that were skipped by what was found of them. */
  readonly counts: Readonly<Record<string, number>>;
  readonly changes: EntryReport["tags"];
  readonly failures: EntryReport["failures"];
  readonly expired: number;
}

export const runFact = (report: EntryReport): RunFact => {
  const { startedAt, endedAt, isGood } = report;
  return {
    ...{ startedAt: Date.parse(startedAt), endedAt: Date.parse(endedAt), isGood },
    report: JSON.stringify(storedRun(report)),
  };
};

const storedRun = ({ run, fetched, tags, failures, expired }: EntryReport): StoredRun => {
  const bad = tags.filter(({ outcome }) => outcome === "failed" || outcome === "stopped");
  const good = tags.filter(({ outcome }) => outcome === "done");
  return {
    ...{ run, fetched, counts: countsOf(tags), expired: expired.length },
    changes: [...bad.slice(0, MOST_FAILURES), ...good.slice(0, MOST_CHANGES)],
    failures: failures.slice(0, MOST_FAILURES),
  };
};

export const countsOf = (tags: EntryReport["tags"]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { outcome, change } of tags) {
    const kind = outcome === "skipped" ? change : outcome;
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
};

/** `undefined`: it was written by another version, which had it otherwise. */
export const storedRunIn = (text: string): StoredRun | undefined => {
  try {
    const value = JSON.parse(text) as Partial<StoredRun> | null;
    return typeof value?.run === "string" && value.counts !== undefined ? (value as StoredRun) : undefined;
  } catch {
    return undefined;
  }
};
