// `layover cache ls`: sites, repositories or tags, as long as there are any.
import type { Listing, RepositoryEntry, SiteEntry, TagEntry } from "../admin/answers.ts";
import type { Operations } from "../admin/operations.ts";
import { about } from "../lib/units.ts";
import { holdText } from "./hold-text.ts";
import { print } from "./print.ts";
import { ask, Failure, type ReachOptions } from "./reach.ts";
import { ago, type Column, short, table } from "./table.ts";

/** Entries that are asked for at a time. */
const PAGE = 200;

interface LsOptions extends ReachOptions {
  readonly after?: string;
  readonly limit?: string;
}

export const cacheLs = (what: string | undefined, options: LsOptions): Promise<void> =>
  ask(options, async (operations, { signal }) => {
    const limit = limitOf(options.limit);
    const pages = pagesOf(operations, { of: what, after: options.after }, limit, signal);
    if (options.json === true) print(options, await whole(pages), () => "");
    else await printPages(pages);
    return undefined;
  });

export const limitOf = (text: string | undefined): number => {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Failure(2, `--limit: expected a number from 1, found ${JSON.stringify(text)}`);
  return Number(text);
};

async function* pagesOf(
  operations: Operations,
  { of, after }: { of: string | undefined; after: string | undefined },
  limit: number,
  signal: AbortSignal,
): AsyncGenerator<Listing> {
  let left = limit;
  for (let from = after; left > 0; ) {
    const page = await operations.list({ of, after: from, limit: Math.min(PAGE, left) }, { signal, progress: () => undefined });
    yield page;
    if (page.kind === "sites" || page.next === undefined) return;
    left -= entriesOf(page);
    from = page.next;
  }
}

/** All pages as one; `next` is that of the last one, where --limit has left some. */
const whole = async (pages: AsyncIterable<Listing>): Promise<Listing> => {
  let all: Listing | undefined;
  for await (const page of pages) {
    if (all?.kind === "tags" && page.kind === "tags") all = { ...page, tags: [...all.tags, ...page.tags] };
    else if (all?.kind === "repositories" && page.kind === "repositories")
      all = { ...page, repositories: [...all.repositories, ...page.repositories] };
    else all = page;
  }
  return all!;
};

/** Page by page as they come; what there is in all stands below. */
const printPages = async (pages: AsyncIterable<Listing>): Promise<void> => {
  const now = Date.now();
  let count = 0;
  let last: Listing | undefined;
  for await (const page of pages) {
    process.stdout.write(printed(page, now, count === 0));
    count += entriesOf(page);
    last = page;
  }
  process.stdout.write(`\n${totalOf(last!, count)}\n`);
};

const entriesOf = (page: Listing): number =>
  page.kind === "sites" ? page.sites.length : page.kind === "tags" ? page.tags.length : page.repositories.length;

const totalOf = (last: Listing, count: number): string => {
  if (last.kind === "sites") return `${last.totals.blobs.toLocaleString("en-US")} blobs, ${about(last.totals.bytes)}`;
  const noun = last.kind === "tags" ? (count === 1 ? "tag" : "tags") : count === 1 ? "repository" : "repositories";
  return `${count.toLocaleString("en-US")} ${noun}${last.next === undefined ? "" : `; more behind ${last.next} (--after)`}`;
};

const printed = (page: Listing, now: number, hasHead: boolean): string => {
  if (page.kind === "sites") return table(SITES, page.sites, hasHead);
  if (page.kind === "repositories") return table(REPOSITORIES, page.repositories, hasHead);
  return table(tagColumns(now), page.tags, hasHead);
};

const SITES: readonly Column<SiteEntry>[] = [
  { head: "SITE", cell: ({ site }) => site },
  {
    head: "HOLDS",
    cell: ({ known, configured }) => `${known ? "something" : "nothing"}${configured ? "" : " (no site any more)"}`,
  },
];

const REPOSITORIES: readonly Column<RepositoryEntry>[] = [
  { head: "REPOSITORY", cell: ({ repository }) => repository },
  { head: "TAGS", cell: ({ tags }) => String(tags), right: true },
  { head: "DIGESTS", cell: ({ links }) => String(links), right: true },
  { head: "HELD", cell: ({ held }) => String(held), right: true },
  { head: "SIZE", cell: ({ bytes }) => about(bytes), right: true },
];

const tagColumns = (now: number): readonly Column<TagEntry>[] => [
  { head: "TAG", cell: ({ tag }) => tag },
  { head: "DIGEST", cell: ({ digest }) => short(digest) },
  { head: "HELD", cell: ({ held, bytes }) => (held ? about(bytes) : "no"), right: true },
  { head: "USED", cell: ({ usedAt }) => ago(usedAt, now) },
  { head: "CHECKED", cell: ({ checkedAt }) => ago(checkedAt, now) },
  { head: "STAYS", cell: ({ hold }) => (hold === undefined ? "" : holdText(hold, now)) },
];
