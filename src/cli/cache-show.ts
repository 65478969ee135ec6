// `layover cache show`: one image, for people to read.
import type { PartEntry, Shown } from "../admin/answers.ts";
import { about } from "../lib/units.ts";
import { holdText } from "./hold-text.ts";
import { print } from "./print.ts";
import { ask, type ReachOptions } from "./reach.ts";
import { ago, short } from "./table.ts";

/** Exit status 1: nothing is known of it. */
export const cacheShow = (reference: string, options: ReachOptions): Promise<void> =>
  ask(options, async (operations, { signal }) => {
    const shown = await operations.show({ reference }, { signal, progress: () => undefined });
    print(options, shown, (answer) => printShown(answer, Date.now()));
    return undefined;
  });

export const printShown = (shown: Shown, now: number): string => {
  const { bytes, links, tags, history } = shown;
  const lines: (readonly [string, string])[] = [
    ["image", shown.reference],
    ["digest", shown.digest],
    ["type", shown.mediaType ?? "not known"],
    ["held", heldOf(shown)],
    ["used", ago(shown.usedAt, now)],
    ...(shown.checkedAt === undefined ? [] : [["checked", ago(shown.checkedAt, now)] as const]),
    ...(shown.hold === undefined ? [] : [["held by", holdText(shown.hold, now)] as const]),
    ...listed(
      "served to",
      links.map(({ site, repository }) => `${site}/${repository}`),
    ),
    ...listed("tags", tags),
    ...listed(
      "history",
      history.map(
        ({ digest, at, reason, created }) =>
          `${at}  ${reason.padEnd(8)}  ${digest === undefined ? "none" : short(digest)}${created === undefined ? "" : `  made ${created}`}`,
      ),
    ),
  ];
  const head = lines.map(([name, text]) => `${name.padEnd(10)}  ${text}\n`).join("");
  if (shown.parts.length === 0) return head;
  return `${head}\n${partLines(shown.parts, "").join("")}\n${about(bytes.held)} of ${about(bytes.named)} held\n`;
};

const heldOf = ({ held, size }: Shown): string =>
  held ? `yes, ${about(size ?? 0)}` : "no: it comes from upstream when it is asked for";

/** The name stands at the first one only. */
const listed = (name: string, texts: readonly string[]): (readonly [string, string])[] =>
  texts.map((text, i) => [i === 0 ? name : "", text] as const);

const partLines = (parts: readonly PartEntry[], indent: string): string[] =>
  parts.flatMap(({ role, digest, size, platform, held, parts: inner = [] }) => [
    `${indent}${role.padEnd(8)}  ${short(digest)}  ${(size === undefined ? "" : about(size)).padStart(8)}  ${held ? "held" : "missing"}${platform === undefined ? "" : `  ${platform}`}\n`,
    ...partLines(inner, `${indent}  `),
  ]);
