// `layover tags history`: the lines are what `rollback` and `diff` take.
import type { MoveEntry, TagHistory } from "../admin/tags-answers.ts";
import { holdText } from "./hold-text.ts";
import { print } from "./print.ts";
import { ask, type ReachOptions } from "./reach.ts";
import { type Column, short, table } from "./table.ts";

/** Exit status 1: nothing is known of it. */
export const tagsHistory = (reference: string, options: ReachOptions): Promise<void> =>
  ask(options, async (operations, { signal }) => {
    const history = await operations.tagHistory({ reference }, { signal, progress: () => undefined });
    print(options, history, (answer) => printHistory(answer, Date.now()));
    return undefined;
  });

export const printHistory = ({ reference, hold, moves, more }: TagHistory, now: number): string => {
  const held = hold === undefined ? "" : `held by ${holdText(hold, now)}; until: layover tags unpin ${reference}\n`;
  return `${reference}\n${held}\n${table(COLUMNS, moves)}${more ? "… and older ones\n" : ""}`;
};

const HELD = { whole: "all of it", partly: "parts of it", no: "no" } as const;

const COLUMNS: readonly Column<MoveEntry>[] = [
  { head: "", cell: ({ line }) => String(line), right: true },
  { head: "DIGEST", cell: ({ digest, now }) => `${digest === undefined ? "none" : short(digest)}${now ? " (now)" : ""}` },
  { head: "MOVED", cell: ({ at }) => secondOf(at) },
  { head: "BY", cell: ({ reason }) => reason },
  { head: "MADE", cell: ({ created }) => (created === undefined ? "-" : secondOf(created)) },
  { head: "HELD HERE", cell: ({ held }) => (held === undefined ? "" : HELD[held]) },
];

const secondOf = (time: string): string => time.replace(/\.\d+Z$/, "Z");
