// What the managed mirror's commands say, for people to read.
import type {
  HeldEntry,
  MirrorCheckAnswer,
  MirrorEntryStatus,
  MirrorRun,
  MirrorStatusAnswer,
  MirrorSyncAnswer,
  MirrorSynced,
} from "../admin/answers.ts";
import { plainLine, plainText } from "../lib/plain-text.ts";
import { about } from "../lib/units.ts";
import type { FailedPart, PlannedTag, SyncedTag, TagName } from "../mirror/outcome.ts";
import { ago, type Column, short, table } from "./table.ts";

const MOST_OF_A_LINE = 200;

export const printChecked = ({ entries }: MirrorCheckAnswer, all: boolean, now: number): string => {
  const tags = entries.flatMap((plan) => plan.tags);
  const told = tags.filter(({ change }) => all || change !== "same");
  const failures = entries.flatMap(({ entry, failures: failed }) => failed.map((one) => failureLine(entry, one)));
  return [
    ...(told.length === 0 ? [] : [tagTable(checkColumns(now), told)]),
    ...failures,
    `${entries.length === 1 ? "1 entry" : `${entries.length} entries`}: ${countsText(
      countBy(tags, ({ change }) => change),
      tags.length,
    )}\n`,
  ].join("");
};

const checkColumns = (now: number): Column<PlannedTag>[] => [
  { head: "ENTRY", cell: ({ entry }) => entry },
  { head: "IMAGE", cell: ({ source, target }) => nameOf(target ?? source) },
  { head: "CHANGE", cell: ({ change }) => change },
  { head: "NOW", cell: (tag) => shortOr(tag.now) },
  { head: "UPSTREAM", cell: ({ upstream }) => shortOr(upstream) },
  { head: "MADE", cell: ({ created }) => ago(created, now) },
  { head: "WHY", cell: ({ why = "" }) => plainLine(why, MOST_OF_A_LINE) },
];

export const printSynced = ({ entries }: MirrorSyncAnswer, all: boolean): string => {
  const tags = entries.flatMap(({ report }) => report?.tags ?? []);
  const told = tags.filter(({ outcome, change }) => all || outcome !== "skipped" || (change !== "same" && change !== "young"));
  return [
    ...(told.length === 0 ? [] : [tagTable(SYNC_COLUMNS, told)]),
    ...tags.flatMap(hookLines),
    ...entries.flatMap(endLines),
  ].join("");
};

const SYNC_COLUMNS: readonly Column<SyncedTag>[] = [
  { head: "ENTRY", cell: ({ entry }) => entry },
  { head: "IMAGE", cell: ({ source, target }) => nameOf(target ?? source) },
  { head: "OUTCOME", cell: ({ outcome, change }) => (outcome === "skipped" ? change : `${change} ${outcome}`) },
  { head: "BEFORE", cell: (tag) => shortOr(tag.now) },
  { head: "UPSTREAM", cell: ({ upstream }) => shortOr(upstream) },
  { head: "FETCHED", cell: ({ fetched }) => (fetched === 0 ? "-" : about(fetched)), right: true },
  { head: "BACKUP", cell: ({ backup = "-" }) => backup },
  {
    head: "WHY",
    cell: ({ failure, why = "" }) =>
      plainLine(failure === undefined ? why : `${failure.code}: ${failure.message}`, MOST_OF_A_LINE),
  },
];

const hookLines = ({ source, target, outcome, hookOutput }: SyncedTag): string[] =>
  hookOutput === undefined || (outcome !== "stopped" && outcome !== "failed")
    ? []
    : [
        `${nameOf(target ?? source)}: its hook said\n`,
        ...plainText(hookOutput)
          .split("\n")
          .map((line) => `  ${line}\n`),
      ];

const endLines = ({ entry, run, joined, state, report, why = "" }: MirrorSynced): string[] => {
  const under = `run ${run}${joined ? ", which was under way already" : ""}`;
  if (state === "going") return [`${entry}: goes on (${under}): \`layover mirror status\` tells how it went\n`];
  if (report === undefined) return [`${entry}: broke off (${under}): ${plainLine(why, MOST_OF_A_LINE)}\n`];
  const { tags, failures, expired, fetched } = report;
  const counts = countsText(
    countBy(tags, ({ outcome, change }) => (outcome === "skipped" ? change : outcome)),
    tags.length,
  );
  const isNothing = tags.length === 0 && failures.length > 0;
  const gone = expired.length === 0 ? "" : `, ${expired.length} backups expired`;
  return [
    ...failures.map((one) => failureLine(entry, one)),
    `${entry}: ${isNothing ? "failed" : counts}${gone}; ${about(fetched)} fetched (${under})\n`,
  ];
};

export const printMirrorStatus = ({ list, entries, held }: MirrorStatusAnswer, now: number): string =>
  [
    ...(list === undefined ? [] : [listLine(list, now)]),
    entries.length === 0 ? "nothing is mirrored\n" : table(statusColumns(now), entries),
    ...entries.flatMap(({ entry, last }) => (last?.failures ?? []).map((one) => failureLine(entry, one))),
    ...held.map((one) => heldLine(one, now)),
  ].join("");

const listLine = ({ file, readAt, problem }: NonNullable<MirrorStatusAnswer["list"]>, now: number): string =>
  problem === undefined
    ? `list: ${file}${readAt === undefined ? "" : `, read ${ago(readAt, now)}`}\n`
    : `list: ${file} is not right, and the one from before goes on: ${plainText(problem)}\n`;

const statusColumns = (now: number): Column<MirrorEntryStatus>[] => [
  { head: "ENTRY", cell: ({ entry }) => entry },
  { head: "SCHEDULE", cell: ({ schedule = "by command" }) => schedule },
  { head: "NEXT", cell: (one) => nextText(one, now) },
  { head: "LAST", cell: ({ last }) => ago(last?.endedAt, now) },
  {
    head: "LAST GOOD",
    cell: ({ lastGoodAt, overdue }) => `${lastGoodAt === undefined ? "never" : ago(lastGoodAt, now)}${overdue ? " TOO OLD" : ""}`,
  },
  { head: "RESULT", cell: ({ last }) => (last === undefined ? "-" : resultText(last)) },
];

const nextText = ({ going, nextAt }: MirrorEntryStatus, now: number): string => {
  if (going === undefined) return nextAt === undefined ? "-" : inFuture(nextAt, now);
  const { done, total } = going.progress;
  return going.startedAt === undefined ? "waits for its turn" : `under way, ${done} of ${total ?? "?"}`;
};

const inFuture = (time: string, now: number): string => {
  const left = Date.parse(time) - now;
  return left <= 0 ? "now" : `in ${ago(new Date(now - left).toISOString(), now).replace(" ago", "")}`;
};

const resultText = ({ good, counts = {}, fetched = 0 }: MirrorRun): string => {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (!good && total === 0) return "failed";
  return `${good ? "" : "not good: "}${countsText(counts, total)}${fetched === 0 ? "" : `, ${about(fetched)} fetched`}`;
};

const heldLine = ({ reference, digest, kind, since }: HeldEntry, now: number): string =>
  `held: ${reference} stays ${short(digest)} since ${ago(since, now)} (${kind}) until \`layover tags unpin ${reference}\`\n`;

/** Without columns that say nothing: no dates, no backups, and entries that are called as their images are. */
const tagTable = <T extends PlannedTag>(columns: readonly Column<T>[], tags: readonly T[]): string => {
  const isSaid = ({ head, cell }: Column<T>) =>
    head === "ENTRY"
      ? tags.some(({ entry, source }) => entry !== placeOf(source))
      : tags.some((tag) => !["", "-"].includes(cell(tag)));
  return table(columns.filter(isSaid), tags);
};

const placeOf = ({ site, repository }: TagName): string => `${site}/${repository}`;

const nameOf = ({ site, repository, tag }: TagName): string => `${site}/${repository}:${tag}`;

const shortOr = (digest: string | undefined): string => (digest === undefined ? "-" : short(digest));

const failureLine = (entry: string, { reference, code, message }: FailedPart): string =>
  `${entry}: ${reference === entry ? "" : `${reference}: `}${code}: ${plainLine(message, MOST_OF_A_LINE)}\n`;

const countBy = <T>(all: readonly T[], kindOf: (one: T) => string): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const one of all) counts[kindOf(one)] = (counts[kindOf(one)] ?? 0) + 1;
  return counts;
};

const countsText = (counts: Readonly<Record<string, number>>, total: number): string =>
  total === 0
    ? "no tags"
    : Object.entries(counts)
        .map(([kind, count]) => `${count.toLocaleString("en-US")} ${kind}`)
        .join(", ");
