// `mirror` and `notify` as they would be written, with everything defaulted.
import { formatDuration } from "../lib/units.ts";
import type { MirrorEntry, MirrorSchedule, MirrorWebhook } from "../mirrors.ts";

export const showMirror = (entries: readonly MirrorEntry[]) => entries.map((entry) => escaped(showEntry(entry)));

const showEntry = (entry: MirrorEntry) => ({
  name: entry.name,
  source: `${entry.source.site}/${entry.source.repo}`,
  ...showTarget(entry),
  tags: given(entry.tags),
  ...(entry.isPattern && { repos: given(entry.repos) }),
  platforms: entry.platforms ?? ["all"],
  referrers: entry.referrers,
  digestTags: entry.digestTags,
  ...showSchedule(entry.schedule),
  delay: formatDuration(entry.delay),
  ...(entry.rateLimit && { rateLimit: { min: entry.rateLimit.min, retry: formatDuration(entry.rateLimit.retry) } }),
  parallel: entry.parallel,
  backup: entry.backup ?? "none",
  keep: { count: entry.keep.count, ...(entry.keep.for !== undefined && { for: formatDuration(entry.keep.for) }) },
  hooks: { ...given({ pre: entry.hooks.pre, post: entry.hooks.post }), timeout: formatDuration(entry.hooks.timeout) },
  ...(entry.warnAfter !== undefined && { warnAfter: formatDuration(entry.warnAfter) }),
});

const showTarget = ({ target, targetTag }: MirrorEntry) => {
  if (target === undefined) return {};
  const place = target.repo === "" ? target.site : `${target.site}/${target.repo}`;
  return { target: targetTag === undefined ? place : `${place}:${targetTag}` };
};

const showSchedule = (schedule: MirrorSchedule | undefined) => {
  if (schedule === undefined) return { schedule: "none" };
  return "every" in schedule
    ? { interval: formatDuration(schedule.every) }
    : { schedule: schedule.cron, timezone: schedule.timezone };
};

/** Without what says nothing. */
const given = (of: object) =>
  Object.fromEntries(
    Object.entries(of).filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0)),
  );

/** A dollar that a shell is to see would else be a variable of the environment. */
const escaped = (value: unknown): unknown => {
  if (typeof value === "string") return value.replaceAll("${", () => "$${");
  if (Array.isArray(value)) return value.map(escaped);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, escaped(inner)]));
};

/** Behind the host of many a webhook stands what only its owner knows. */
export const showNotify = (webhooks: readonly MirrorWebhook[]) =>
  webhooks.map(({ url, on, secret, secretFile }) => ({
    url: url.href === `${url.origin}/` ? url.href : `${url.origin}/***`,
    on,
    ...(secret !== undefined && { secret: "<set>" }),
    ...(secretFile !== undefined && { secretFile }),
  }));
