// `layover tags ls`: as many as there are, page by page.
import type { TagPage, TagRow } from "../admin/tags-answers.ts";
import { about } from "../lib/units.ts";
import { limitOf } from "./cache-ls.ts";
import { holdText } from "./hold-text.ts";
import { print } from "./print.ts";
import { ask, type ReachOptions } from "./reach.ts";
import { ago, type Column, short, table } from "./table.ts";

/** Entries that are asked for at a time. */
const PAGE = 200;

export const tagsLs = (of: string, options: ReachOptions & { readonly after?: string; readonly limit?: string }): Promise<void> =>
  ask(options, async (operations, { signal }) => {
    const limit = limitOf(options.limit);
    const now = Date.now();
    const rows: TagRow[] = [];
    let page: TagPage | undefined;
    for (let after = options.after; rows.length < limit; after = page.next) {
      const most = Math.min(PAGE, limit - rows.length);
      page = await operations.tagList({ of, after, limit: most }, { signal, progress: () => undefined });
      if (options.json !== true) process.stdout.write(table(columns(now), page.tags, rows.length === 0));
      rows.push(...page.tags);
      if (page.next === undefined) break;
    }
    if (options.json === true) print(options, { ...page, tags: rows }, () => "");
    else process.stdout.write(`\n${totalOf(rows.length, page?.next)}\n`);
    return undefined;
  });

const totalOf = (count: number, next: string | undefined): string =>
  `${count.toLocaleString("en-US")} ${count === 1 ? "tag" : "tags"}${next === undefined ? "" : `; more behind ${next} (--after)`}`;

const columns = (now: number): readonly Column<TagRow>[] => [
  { head: "TAG", cell: ({ tag }) => tag },
  { head: "DIGEST", cell: ({ digest }) => short(digest) },
  { head: "MOVED", cell: ({ movedAt }) => ago(movedAt, now) },
  { head: "BY", cell: ({ reason = "-" }) => reason },
  { head: "MADE", cell: ({ created }) => ago(created, now) },
  { head: "SIZE", cell: ({ held, bytes }) => (held ? about(bytes) : "not held"), right: true },
  { head: "STAYS", cell: ({ hold }) => (hold === undefined ? "" : holdText(hold, now)) },
];
