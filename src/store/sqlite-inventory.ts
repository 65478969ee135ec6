// What people look through, in SQLite: every page is a seek in an index.
import { setImmediate as turn } from "node:timers/promises";
import type { Digest } from "../oci/digest.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { LinkKey } from "./facts.ts";
import type { Inventory, LinkRow, RepositoryRow, TagRow } from "./inventory.ts";
import type { Connection, Row } from "./sqlite-connection.ts";
import { HOLDING, holdingOf } from "./sqlite-holdings.ts";
import { heldBy } from "./sqlite-mirroring.ts";

/** After every digest. */
const END = "~";

export const sqliteInventory = (connection: Connection): Inventory => ({
  sites: async () => walk((after) => nextName(connection, "site", "", [], after), "", Number.POSITIVE_INFINITY),
  repositories: async (site, { after = "", limit }) => {
    const rows: RepositoryRow[] = [];
    for (const repo of walk((last) => nextName(connection, "repo", "site = ? AND", [site], last), after, limit)) {
      rows.push(repositoryOf(connection, site, repo as Repository));
      // each may have thousands of links, and others wait
      await turn();
    }
    return rows;
  },
  tags: async (site, repo, { after = "", limit }) =>
    connection
      .all(
        `SELECT tag, tags.digest, checked_at, generation, doubted, hold, held_since, holdings.digest IS NOT NULL AS held
         FROM tags LEFT JOIN holdings USING (digest)
         WHERE site = ? AND repo = ? AND tag > ? AND tags.digest IS NOT NULL ORDER BY tag LIMIT ?`,
        site,
        repo,
        after,
        limit,
      )
      .map(tagOf),
  links: async (site, repo, { after = "", limit }) =>
    connection
      .all(
        `SELECT links.digest, media_type, size FROM links LEFT JOIN holdings USING (digest)
         WHERE site = ? AND repo = ? AND links.digest > ? ORDER BY links.digest LIMIT ?`,
        site,
        repo,
        after,
        limit,
      )
      .map(linkOf),
  linkers: async (digest, { after, limit }) =>
    connection
      .all(
        `SELECT site, repo, media_type FROM links WHERE digest = ? AND (site, repo) > (?, ?) ORDER BY site, repo LIMIT ?`,
        digest,
        after?.site ?? "",
        after?.repo ?? "",
        limit,
      )
      .map((row) => ({ site: String(row["site"]), repo: row["repo"] as Repository, mediaType: optional(row["media_type"]) })),
  heldTags: async () => {
    const rows = connection.all("SELECT hold, count(*) AS tags FROM tags WHERE hold IS NOT NULL GROUP BY hold");
    return { pin: 0, rollback: 0, backup: 0, ...Object.fromEntries(rows.map((row) => [row["hold"], Number(row["tags"])])) };
  },
  tagsOf: async (digest, { after, limit }) =>
    connection
      .all(
        "SELECT site, repo, tag FROM tags WHERE digest = ? AND (site, repo, tag) > (?, ?, ?) ORDER BY site, repo, tag LIMIT ?",
        digest,
        after?.site ?? "",
        after?.repo ?? "",
        after?.tag ?? "",
        limit,
      )
      .map((row) => ({ site: String(row["site"]), repo: row["repo"] as Repository, tag: row["tag"] as Tag })),
  byDigest: async ({ after = "", limit }, last) =>
    connection
      .all(`SELECT ${HOLDING} FROM holdings WHERE digest > ? AND digest <= ? ORDER BY digest LIMIT ?`, after, last ?? END, limit)
      .map(holdingOf),
  looseLinks: async ({ after, limit }) => {
    const rows = connection.all(
      `SELECT site, repo, links.digest, size IS NULL AND hosted_at IS NULL AS loose FROM links LEFT JOIN holdings USING (digest)
       WHERE (site, repo, links.digest) > (?, ?, ?) ORDER BY site, repo, links.digest LIMIT ?`,
      after?.site ?? "",
      after?.repo ?? "",
      after?.digest ?? "",
      limit,
    );
    const keyOf = (row: Row) => ({ site: row["site"], repo: row["repo"], digest: row["digest"] }) as LinkKey;
    return {
      loose: rows.filter((row) => row["loose"] === 1).map(keyOf),
      next: rows.length < limit ? undefined : keyOf(rows.at(-1)!),
    };
  },
});

/** Names one by one: a DISTINCT over all links would read all of them. */
const walk = (next: (after: string) => string | undefined, after: string, limit: number): string[] => {
  const names: string[] = [];
  for (let name = next(after); name !== undefined && names.length < limit; name = next(name)) names.push(name);
  return names;
};

/** The first name behind `after` that any link has, or any tag that stands for something. */
const nextName = (
  connection: Connection,
  column: "site" | "repo",
  where: string,
  values: readonly string[],
  after: string,
): string | undefined => {
  const found = ["links WHERE", "tags WHERE digest IS NOT NULL AND"].flatMap((table) => {
    const sql = `SELECT ${column} AS name FROM ${table} ${where} ${column} > ? ORDER BY ${column} LIMIT 1`;
    const row = connection.get(sql, ...values, after);
    return row === undefined ? [] : [String(row["name"])];
  });
  return found.sort()[0];
};

const repositoryOf = (connection: Connection, site: string, repo: Repository): RepositoryRow => {
  const tags = connection.get(
    "SELECT count(*) AS count FROM tags WHERE site = ? AND repo = ? AND digest IS NOT NULL",
    site,
    repo,
  );
  const links = connection.get(
    `SELECT count(*) AS count, count(size) AS held, coalesce(sum(size), 0) AS bytes
     FROM links LEFT JOIN holdings USING (digest) WHERE site = ? AND repo = ?`,
    site,
    repo,
  );
  return {
    repo,
    tags: Number(tags?.["count"]),
    links: Number(links?.["count"]),
    held: Number(links?.["held"]),
    bytes: Number(links?.["bytes"]),
  };
};

const tagOf = (row: Row): TagRow => ({
  tag: row["tag"] as Tag,
  digest: row["digest"] as Digest,
  checkedAt: Number(row["checked_at"]),
  generation: Number(row["generation"]),
  doubted: row["doubted"] === 1,
  ...heldBy(row),
  isHeld: row["held"] === 1,
});

const linkOf = (row: Row): LinkRow => ({
  digest: row["digest"] as Digest,
  mediaType: optional(row["media_type"]),
  size: row["size"] === null ? undefined : Number(row["size"]),
});

const optional = (value: unknown): string | undefined => (value ?? undefined) as string | undefined;
