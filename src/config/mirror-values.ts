// The values that only `mirror:` knows. Each parser's error is what the user reads.
import { cronOf } from "../lib/cron.ts";
import { BACKUP_VARIABLES, backupName, variablesOf } from "../mirrors/backup.ts";
import { patternOf } from "../mirrors/patterns.ts";
import { rangeOf } from "../mirrors/versions.ts";
import { didYouMean } from "./problems.ts";

export const parsePattern = (text: string): string => {
  patternOf(text);
  return text;
};

export const parseRange = (text: string): string => {
  rangeOf(text);
  return text;
};

/** Five or six fields, or none. Whether it ever comes is asked with its time zone at hand. */
export const parseSchedule = (text: string): string => {
  if (text === "none") return text;
  const expected = 'expected a cron schedule such as "0 3 * * *" (minute, hour, day, month, weekday)';
  const found = JSON.stringify(text.slice(0, 80));
  if (text.startsWith("@")) throw new Error(`${expected}, found ${found}: every so often is an \`interval\``);
  const count = text.trim().split(/\s+/).length;
  if (count !== 5 && count !== 6) throw new Error(`${expected}, found ${found} with ${count} fields`);
  try {
    cronOf(text, { mode: "5-or-6-parts" });
  } catch (error) {
    throw new Error(`${expected}, found ${found} (${(error as Error).message.replace(/^CronPattern: /, "")})`);
  }
  return text;
};

/** `undefined`: never. */
export const nextOf = (cron: string, timezone: string): Date | undefined =>
  cronOf(cron, { mode: "5-or-6-parts", timezone }).nextRun() ?? undefined;

export const parseTimezone = (text: string): string => {
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
  } catch {
    throw new Error(`expected a time zone such as Europe/Berlin or UTC, found ${JSON.stringify(text.slice(0, 80))}`);
  }
  if (/^[+-]/.test(text)) throw new Error(`expected a time zone's name such as Europe/Berlin, found ${JSON.stringify(text)}`);
  return text;
};

/** os/architecture, maybe with a variant, as image indexes say it. */
export const parsePlatform = (text: string): string => {
  if (text === "all" || /^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9._]+)?$/.test(text)) return text;
  throw new Error(`expected a platform such as linux/amd64 or linux/arm/v7, or all, found ${JSON.stringify(text.slice(0, 80))}`);
};

export const parseBackup = (text: string): string => {
  if (text === "none") return text;
  const wrong = (why: string) =>
    new Error(`expected a template such as {{tag}}.{{date}}, found ${JSON.stringify(text.slice(0, 160))} (${why})`);
  const used = variablesOf(text);
  const unknown = used.find((name) => !(BACKUP_VARIABLES as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw wrong(`no {{${unknown}}}: there is ${BACKUP_VARIABLES.join(", ")}${didYouMean(unknown, BACKUP_VARIABLES)}`);
  const plain = text.replaceAll(/\{\{\s*\w+\s*\}\}/g, "");
  if (/[{}]/.test(plain)) throw wrong("a variable is written as {{tag}}");
  if (/[:/@]/.test(plain)) throw wrong("a tag of the same repository, and no more than a tag");
  if (!/^[\w.-]*$/.test(plain)) throw wrong("tags are of letters, digits, dots, hyphens and underscores");
  if (plain.length > 60) throw wrong("too long for a tag");
  if (used.length === 0) throw wrong("always the same name: it has to say which, as by {{tag}} and {{date}}");
  const sample = { tag: "1.2", now: 0, digest: "0123456789ab", run: "7" };
  if (backupName(text, sample) === sample.tag) throw wrong("the tag itself");
  return text;
};
