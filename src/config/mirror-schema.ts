// The shape of `mirror:`, also in a file of its own, and of `notify:`. What an entry's keys mean together is said in mirror-entry.ts.
import { z } from "zod";
import { duration, list, numbered, parsed, strict, text, truth } from "./fields.ts";
import { parseBackup, parsePattern, parsePlatform, parseRange, parseSchedule, parseTimezone } from "./mirror-values.ts";

const count = z.preprocess(numbered, z.int().min(0).max(10_000));
const some = z.preprocess(numbered, z.int().min(1).max(10_000));

const pattern = parsed("a name, a glob or a /regular expression/", parsePattern);
/** A comma may stand in a regular expression, so one text is one pattern. */
const patterns = z.preprocess((value) => (typeof value === "string" ? [value] : value), z.array(pattern));

const tags = z.union([
  patterns,
  strict({
    semver: parsed('a range of versions such as ">=22 <25"', parseRange).optional(),
    match: pattern.optional(),
    newest: some.optional(),
    only: patterns.optional(),
    except: patterns.optional(),
  }),
]);

const command = z.union([text, z.array(text).min(1, { error: () => "expected a command" })]);
const hooks = strict({ pre: command.optional(), post: command.optional(), timeout: duration.optional() });

/** What may also stand under `defaults`. */
const shared = {
  platforms: list(parsed("a platform such as linux/amd64, or all", parsePlatform)).optional(),
  referrers: truth.optional(),
  digestTags: truth.optional(),
  schedule: parsed('a cron schedule such as "0 3 * * *"', parseSchedule).optional(),
  timezone: parsed("a time zone such as Europe/Berlin", parseTimezone).optional(),
  interval: duration.optional(),
  delay: duration.optional(),
  rateLimit: strict({ min: count, retry: duration.optional() }).optional(),
  parallel: z.preprocess(numbered, z.int().min(1).max(100)).optional(),
  backup: parsed("a template such as {{tag}}.{{date}}, or none", parseBackup).optional(),
  keep: z.union([count, strict({ count: count.optional(), for: duration.optional() })]).optional(),
  hooks: hooks.optional(),
  warnAfter: duration.optional(),
};

const defaults = strict(shared);
const entry = strict({
  name: text.optional(),
  source: text,
  target: text.optional(),
  tags: tags.optional(),
  repos: strict({ only: patterns.optional(), except: patterns.optional() }).optional(),
  ...shared,
});

const entries = z.array(entry);
const withDefaults = strict({ defaults: defaults.optional(), entries });
export const mirror = z.union([withDefaults, entries]);

export type MirrorSettings = z.output<typeof mirror>;
export type EntrySettings = z.output<typeof entry>;
export type EntryDefaults = z.output<typeof defaults>;

export const webhook = strict({
  url: text,
  on: list(z.enum(["change", "failure"])).optional(),
  secret: text.optional(),
  secretFile: text.optional(),
});
export type WebhookSettings = z.output<typeof webhook>;
