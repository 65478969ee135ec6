// `layover cache ls`: sites, repositories or tags, as long as there are any.
import type { Listing } from "../admin/answers.ts";
import type { Operations } from "../admin/operations.ts";
import { about } from "../lib/units.ts";
import { print } from "./print.ts";
import { ask, Failure, type ReachOptions } from "./reach.ts";
import { ago, short, table } from "./table.ts";

/** Entries that are asked for at a time. */
const PAGE = 500;

interface LsOptions extends ReachOptions {
  readonly after?: string;
  readonly limit?: string;
}

export const cacheLs = (what: string | undefined, options: LsOptions): Promise<void> =>
  ask(options, async (operations, { signal }) => {
    const limit = limitOf(options.limit);
    const pages = pagesOf(operations, { of: what, after: options.after }, limit, signal);
    if (options.json === true) print(options, await whole(pages), () => "");
    else for await (const page of pages) process.stdout.write(printed(page, Date.now()));
    return undefined;
  });

const limitOf = (text: string | undefined): number => {
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
    left -= page.kind === "tags" ? page.tags.length : page.repositories.length;
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

const printed = (page: Listing, now: number): string => {
  if (page.kind === "sites") {
    const { blobs, bytes } = page.totals;
    const columns = [
      { head: "SITE", cell: ({ site }: (typeof page.sites)[number]) => site },
      {
        head: "HOLDS",
        cell: ({ known, configured }: (typeof page.sites)[number]) =>
          `${known ? "something" : "nothing"}${configured ? "" : " (no site any more)"}`,
      },
    ];
    return `${table(columns, page.sites)}\n${blobs} blobs, ${about(bytes)}\n`;
  }
  if (page.kind === "repositories") {
    return table(
      [
        { head: "REPOSITORY", cell: ({ repository }) => repository },
        { head: "TAGS", cell: ({ tags }) => String(tags), right: true },
        { head: "DIGESTS", cell: ({ links }) => String(links), right: true },
        { head: "HELD", cell: ({ held }) => String(held), right: true },
        { head: "SIZE", cell: ({ bytes }) => about(bytes), right: true },
      ],
      page.repositories,
    );
  }
  return table(
    [
      { head: "TAG", cell: ({ tag }) => tag },
      { head: "DIGEST", cell: ({ digest }) => short(digest) },
      { head: "HELD", cell: ({ held, bytes }) => (held ? about(bytes) : "no"), right: true },
      { head: "USED", cell: ({ usedAt }) => ago(usedAt, now) },
      { head: "CHECKED", cell: ({ checkedAt }) => ago(checkedAt, now) },
    ],
    page.tags,
  );
};
