// How the managed mirror stands, for people and programs: of a running server, and as far as the store alone knows.

import { formatDuration } from "../lib/units.ts";
import { warnAfterOf } from "../mirror/due.ts";
import type { Going } from "../mirror/runner.ts";
import { storedRunIn } from "../mirror/stored-run.ts";
import type { MirrorEntry, MirrorSchedule } from "../mirrors.ts";
import type { FactStore } from "../store/facts.ts";
import { everyRow } from "../store/inventory.ts";
import type { RunFact, Runs } from "../store/mirroring.ts";
import type { HeldEntry, MirrorEntryStatus, MirrorRun, MirrorStatusAnswer } from "./answers.ts";
import { isoOf } from "./cache-list.ts";
import { mirrorProgress } from "./mirror-progress.ts";
import { written } from "./references.ts";

export interface StatusParts {
  readonly entries: readonly MirrorEntry[];
  readonly facts: Pick<FactStore, "tag" | "mirroring">;
  readonly list: MirrorStatusAnswer["list"];
  readonly now: number;
  /** Of a running server. */
  readonly going?: readonly Going[];
  readonly next?: (entry: string) => number | undefined;
  readonly isOverdue?: (entry: string) => boolean;
}

/** Of a failed run, for people. */
const MOST_FAILURES = 20;
const MOST_HELD = 200;
/** So many tags are looked at for holds. */
const MOST_LOOKED_AT = 50_000;

export const mirrorStatus = async (parts: StatusParts): Promise<MirrorStatusAnswer> => {
  const { entries, facts, list } = parts;
  const told: MirrorEntryStatus[] = [];
  for (const entry of entries) told.push(entryStatus(entry, await facts.mirroring.runs(entry.name), parts));
  return { ...(list !== undefined && { list }), entries: told, held: await heldTags(facts) };
};

const entryStatus = (entry: MirrorEntry, { last, lastGood }: Runs, parts: StatusParts): MirrorEntryStatus => {
  const { name, schedule } = entry;
  const { now, going = [], next } = parts;
  const nextAt = next?.(name);
  const job = going.find((one) => one.entry === name);
  const warnAfter = warnAfterOf(entry, now);
  const isOld = lastGood !== undefined && warnAfter !== undefined && now - lastGood.endedAt > warnAfter;
  return {
    entry: name,
    ...(schedule !== undefined && { schedule: scheduleText(schedule) }),
    ...(nextAt !== undefined && { nextAt: isoOf(nextAt) }),
    ...(job !== undefined && { going: goingOf(job) }),
    ...(last !== undefined && { last: runOf(last) }),
    ...(lastGood !== undefined && { lastGoodAt: isoOf(lastGood.endedAt) }),
    ...(warnAfter !== undefined && { warnAfter }),
    overdue: parts.isOverdue?.(name) ?? isOld,
  };
};

const scheduleText = (schedule: MirrorSchedule): string =>
  "cron" in schedule ? `${schedule.cron} (${schedule.timezone})` : `every ${formatDuration(schedule.every)}`;

const goingOf = ({ startedAt, missingOnly, progress }: Going): NonNullable<MirrorEntryStatus["going"]> => ({
  ...(startedAt !== undefined && { startedAt: isoOf(startedAt) }),
  missingOnly,
  progress: mirrorProgress([progress]),
});

const runOf = ({ startedAt, endedAt, isGood, report }: RunFact): MirrorRun => {
  const times = { startedAt: isoOf(startedAt), endedAt: isoOf(endedAt), good: isGood };
  const stored = storedRunIn(report);
  if (stored === undefined) return times;
  const { run, fetched, counts, failures, changes } = stored;
  const failed = [...failures, ...changes.flatMap(({ failure }) => failure ?? [])];
  return { ...times, run, fetched, counts, ...(failed.length > 0 && { failures: failed.slice(0, MOST_FAILURES) }) };
};

/** Backup names are held for ever, and no news. */
const heldTags = async (facts: Pick<FactStore, "tag" | "mirroring">): Promise<HeldEntry[]> => {
  const held: HeldEntry[] = [];
  let looked = 0;
  for await (const key of everyRow((page: Parameters<typeof facts.mirroring.keptTags>[0]) => facts.mirroring.keptTags(page))) {
    const { digest, hold } = (await facts.tag(key)) ?? {};
    if (digest !== undefined && hold !== undefined && hold.kind !== "backup")
      held.push({ reference: written(key.site, key.repo, key.tag), digest, kind: hold.kind, since: isoOf(hold.since) });
    looked += 1;
    if (held.length >= MOST_HELD || looked >= MOST_LOOKED_AT) break;
  }
  return held;
};
