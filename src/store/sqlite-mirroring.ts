// What the managed mirror goes by, in SQLite. That what it keeps is needed is kept by triggers (sqlite-schema.ts).
import type { Digest } from "../oci/digest.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import { type Hold, type TagFact, wholeMs } from "./facts.ts";
import type { KeptRoot, Mirroring, RunFact } from "./mirroring.ts";
import type { Connection, Row } from "./sqlite-connection.ts";

export const sqliteMirroring = (hot: Connection, durable: Connection): Mirroring => ({
  keep: async ({ site, repo, tag }, root, digests, at) =>
    durable.atomically(() => {
      for (const digest of digests)
        durable.run(
          "INSERT OR IGNORE INTO keeps (site, repo, tag, root, digest, at) VALUES (?, ?, ?, ?, ?, ?)",
          site,
          repo,
          tag,
          root,
          digest,
          wholeMs(at),
        );
    }),
  kept: async ({ site, repo, tag }) => {
    const sql = "SELECT root, digest, at FROM keeps WHERE site = ? AND repo = ? AND tag = ? ORDER BY root, digest";
    const rows = hot.all(sql, site, repo, tag);
    return [...Map.groupBy(rows, (row) => row["root"] as Digest)]
      .map(rootOf)
      .sort((a, b) => b.at - a.at || (a.root < b.root ? -1 : 1));
  },
  keptFor: async ({ site, repo, digest }) => {
    const sql = "SELECT tag, root FROM keeps WHERE digest = ? AND site = ? AND repo = ? ORDER BY tag, root";
    return hot.all(sql, digest, site, repo).map((row) => ({ tag: row["tag"] as Tag, root: row["root"] as Digest }));
  },
  letGo: async ({ site, repo, tag }, root) =>
    durable.atomically(() => {
      const sql = "DELETE FROM keeps WHERE site = ? AND repo = ? AND tag = ? AND root = ?";
      return durable.run(sql, site, repo, tag, root) > 0;
    }),
  keptTags: async ({ after, limit }) => {
    const sql = `SELECT DISTINCT site, repo, tag FROM keeps WHERE (site, repo, tag) > (?, ?, ?) ORDER BY site, repo, tag LIMIT ?`;
    return hot.all(sql, after?.site ?? "", after?.repo ?? "", after?.tag ?? "", limit).map((row) => ({
      site: row["site"] as string,
      repo: row["repo"] as Repository,
      tag: row["tag"] as Tag,
    }));
  },
  sighted: async ({ site, repo, tag }, digest, at) => {
    const row = hot.get(
      `INSERT INTO sightings (site, repo, tag, digest, since) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET digest = excluded.digest,
         since = CASE WHEN digest = excluded.digest AND since <= excluded.since THEN since ELSE excluded.since END
       RETURNING since`,
      site,
      repo,
      tag,
      digest,
      wholeMs(at),
    );
    return Number(row?.["since"]);
  },
  runs: async (entry) => {
    const rows = hot.all("SELECT is_good, started_at, ended_at, report FROM runs WHERE entry = ?", entry).map(runOf);
    const lastGood = rows.find(({ isGood }) => isGood);
    return { last: rows.find(({ isGood }) => !isGood) ?? lastGood, lastGood };
  },
  putRun: async (entry, { startedAt, endedAt, isGood, report }) =>
    hot.atomically(() => {
      // one that is not good stays only until one is: which was the last is no matter of clocks, which may be turned
      hot.run("DELETE FROM runs WHERE entry = ? AND is_good = 0", entry);
      hot.run(
        "INSERT OR REPLACE INTO runs (entry, is_good, started_at, ended_at, report) VALUES (?, ?, ?, ?, ?)",
        entry,
        isGood ? 1 : 0,
        wholeMs(startedAt),
        wholeMs(endedAt),
        report,
      );
    }),
  keepRuns: async (entries) =>
    void hot.run("DELETE FROM runs WHERE entry NOT IN (SELECT value FROM json_each(?))", JSON.stringify(entries)),
});

/** Of a tag's row. */
export const heldBy = (row: Row): Pick<TagFact, "hold"> =>
  row["hold"] === null ? {} : { hold: { kind: row["hold"] as Hold["kind"], since: Number(row["held_since"]) } };

const rootOf = ([root, rows]: readonly [Digest, readonly Row[]]): KeptRoot => ({
  root,
  at: Math.min(...rows.map((row) => Number(row["at"]))),
  digests: rows.map((row) => row["digest"] as Digest),
});

const runOf = (row: Row): RunFact => ({
  startedAt: Number(row["started_at"]),
  endedAt: Number(row["ended_at"]),
  isGood: row["is_good"] === 1,
  report: String(row["report"]),
});
