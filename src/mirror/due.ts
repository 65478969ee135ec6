// When an entry of the mirror is to be synced: by its schedule, when it ran last, and a clock that may jump in either direction.
import { cronOf } from "../lib/cron.ts";
import type { MirrorEntry, MirrorSchedule } from "../mirrors.ts";

/** So far back a clock is put right without an occurrence coming twice. */
const PUT_RIGHT = 5 * 60_000;
/** Occurrences that tell how far apart they may be: a schedule of working days, seen on any day of the week. */
const LOOKED_AT = 10;
const HOUR = 3_600_000;

export interface Before {
  /** Of the last run, by whomever; `undefined`: it has never run. */
  readonly endedAt: number | undefined;
  /** The occurrence of a cron schedule that was last taken up. */
  readonly taken: number | undefined;
}

/** `undefined`: never. An interval that is over is due now, however often it is over; an occurrence that nobody was there for is not. */
export const nextDue = (schedule: MirrorSchedule, { endedAt, taken }: Before, now: number): number | undefined => {
  if ("cron" in schedule) return nextOccurrence(schedule, taken, now);
  if (endedAt === undefined) return now;
  // an end that is still to come was written by a clock that was ahead
  return Math.max(now, Math.min(endedAt, now) + schedule.every);
};

const nextOccurrence = ({ cron, timezone }: { cron: string; timezone: string }, taken: number | undefined, now: number) => {
  const isTaken = taken !== undefined && taken >= now && taken - now <= PUT_RIGHT;
  return cronOf(cron, { timezone })
    .nextRun(new Date(isTaken ? taken : now))
    ?.getTime();
};

/** The longest time between two runs, in ms; `undefined`: it is not known, or there are no two. */
export const periodOf = (schedule: MirrorSchedule, now: number): number | undefined => {
  if (!("cron" in schedule)) return schedule.every;
  const times = cronOf(schedule.cron, { timezone: schedule.timezone }).nextRuns(LOOKED_AT, new Date(now));
  const gaps = times.slice(1).map((time, i) => time.getTime() - times[i]!.getTime());
  return gaps.length === 0 ? undefined : Math.max(...gaps);
};

/** How old the last good sync may be before somebody is to look; `undefined`: any age is good. */
export const warnAfterOf = (
  { warnAfter, schedule }: Pick<MirrorEntry, "warnAfter" | "schedule">,
  now: number,
): number | undefined => {
  if (warnAfter !== undefined) return warnAfter;
  const period = schedule && periodOf(schedule, now);
  return period === undefined ? undefined : 2 * period + HOUR;
};
