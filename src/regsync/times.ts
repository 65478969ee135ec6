// Go's durations and regsync's schedules.
import { nextOf, parseSchedule, parseTimezone } from "../config/mirror-values.ts";

const UNITS: Record<string, number> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** `1h30m` in ms; a bare number is nanoseconds. `undefined`: no duration. */
export const goDuration = (text: string): number | undefined => {
  if (/^\d+$/.test(text)) return Math.round(Number(text) / 1e6);
  if (!/^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  return Math.round(parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit!]!, 0));
};

export type When = { readonly every: number } | { readonly cron: string; readonly timezone?: string };

const NAMED: Record<string, string> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/** Throws an Error for people. */
export const scheduleOf = (text: string): When => {
  const [, timezone, rest = ""] = /^(?:(?:CRON_)?TZ=(\S+)\s+)?(.*)$/s.exec(text.trim()) ?? [];
  const every = /^@every\s+(\S+)$/.exec(rest)?.[1];
  if (every !== undefined) {
    const ms = goDuration(every);
    if (ms === undefined) throw new Error(`${JSON.stringify(every)} is no duration`);
    return { every: ms };
  }
  const cron = parseSchedule(NAMED[rest] ?? rest);
  if (nextOf(cron, parseTimezone(timezone ?? "UTC")) === undefined) throw new Error("a time that never comes");
  return { cron, ...(timezone !== undefined && { timezone }) };
};
