// What regsync has both for all and for one entry: when, how carefully, which backup.
import { formatDuration } from "../lib/units.ts";
import { backupOf } from "./backup.ts";
import { isGiven, type Part } from "./reading.ts";
import { goDuration, scheduleOf } from "./times.ts";

/** As it is written in our configuration. */
export type Written = Record<string, unknown>;

const RETRY_FLOOR = 300_000;
const SHORTEST = 10_000;

/** Told of, and not carried over. */
const WITHOUT: Record<string, string> = {
  referrerFilters: "all referrers are copied, or none (`referrers`)",
  referrerSource: "referrers come from the repository of their image",
  referrerTarget: "referrers go to the repository of their image",
  mediaTypes: "images and indexes of Docker and OCI are copied, whatever they hold",
  hooks: "regsync never runs them; `hooks` here are commands that are run before and after a tag moves",
};
/** How regsync saves requests, and what is never copied here. */
const NEEDLESS = ["referrerSlow", "fastCheck", "forceRecursive"];

export const sharedOf = (part: Part): Written => {
  const [digestTags, referrers] = [part.truth("digestTags"), part.truth("referrers")];
  const backup = part.text("backup");
  for (const one of NEEDLESS) part.text(one);
  for (const [one, why] of Object.entries(WITHOUT)) if (isGiven(part, one)) part.note(one, `not carried over: ${why}`);
  if (part.truth("includeExternal") === true)
    part.note("includeExternal", "not carried over: layers that are kept elsewhere stay there");
  return {
    ...whenOf(part),
    ...rateOf(part),
    ...(digestTags !== undefined && { digestTags }),
    ...(referrers !== undefined && { referrers }),
    ...(backup !== undefined && { backup: backupIn(part, backup) }),
  };
};

const backupIn = (part: Part, text: string): string => {
  const { template, change } = backupOf(text);
  if (change !== undefined) part.note("backup", change);
  return template;
};

/** Of both the schedule counts. */
const whenOf = (part: Part): Written => {
  const [schedule, interval] = [part.text("schedule"), part.text("interval")];
  const key = schedule === undefined ? "interval" : "schedule";
  const text = schedule ?? interval;
  if (text === undefined) return {};
  try {
    const when = key === "schedule" ? scheduleOf(text) : { every: durationIn(text) };
    if ("cron" in when) return { schedule: when.cron, ...(when.timezone !== undefined && { timezone: when.timezone }) };
    if (when.every < SHORTEST) part.note(key, "ten seconds in its place: no interval is shorter");
    return { interval: formatDuration(Math.max(when.every, SHORTEST)) };
  } catch (error) {
    part.note(key, `not carried over: ${(error as Error).message}`);
    return {};
  }
};

const durationIn = (text: string): number => {
  const ms = goDuration(text);
  if (ms === undefined) throw new Error(`${JSON.stringify(text)} is no duration`);
  return ms;
};

const rateOf = (part: Part): Written => {
  const rate = part.part("ratelimit");
  if (rate === undefined) return {};
  const min = rate.number("min") ?? 0;
  const given = rate.text("retry");
  const retry = given === undefined ? RETRY_FLOOR : goDuration(given);
  if (retry === undefined) rate.note("retry", "not carried over: no duration");
  if (min <= 0) return {};
  return { rateLimit: { min: Math.min(Math.floor(min), 10_000), retry: formatDuration(Math.max(retry ?? 0, RETRY_FLOOR)) } };
};
