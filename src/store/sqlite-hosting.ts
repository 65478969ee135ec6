// What hosted repositories hold, in SQLite: written over the connection that syncs. That a hosted blob is needed is kept by triggers
// (sqlite-schema.ts), so that whoever looks for what may go never meets it.
import type { Digest } from "../oci/digest.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { LinkKey } from "./facts.ts";
import type { Hosting, NewHosted } from "./hosting.ts";
import type { Connection } from "./sqlite-connection.ts";

/** Of one link: it is a blob, old, and no hosted manifest of its repository names it. Parameters: 1 and 2, the time. */
const UNNAMED = `
  hosted_at < ?1 AND media_type IS NULL
  AND NOT EXISTS (SELECT 1 FROM holdings WHERE holdings.digest = links.digest AND used_at >= ?1)
  AND NOT EXISTS (
    SELECT 1 FROM parts JOIN links AS manifest ON manifest.digest = parts.manifest
    WHERE part = links.digest AND manifest.site = links.site AND manifest.repo = links.repo AND manifest.hosted_at IS NOT NULL)`;

/** `changed` is called for every link that comes or goes. */
export const sqliteHosting = (hot: Connection, durable: Connection, changed: (key: LinkKey) => void): Hosting => {
  const isHeld = (digest: Digest): boolean => durable.get("SELECT 1 AS yes FROM holdings WHERE digest = ?", digest) !== undefined;

  const isThere = ({ site, repo }: LinkKey, digest: Digest): boolean =>
    durable.get(
      `SELECT 1 AS yes FROM links JOIN holdings USING (digest)
       WHERE site = ? AND repo = ? AND digest = ? AND hosted_at IS NOT NULL`,
      site,
      repo,
      digest,
    ) !== undefined;

  const put = ({ site, repo, digest }: LinkKey, { mediaType, at, referrer }: NewHosted): void => {
    durable.run(
      `INSERT INTO links (site, repo, digest, media_type, hosted_at) VALUES (?, ?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET hosted_at = excluded.hosted_at, media_type = coalesce(excluded.media_type, media_type)`,
      site,
      repo,
      digest,
      mediaType ?? null,
      at,
    );
    if (referrer === undefined) return;
    durable.run(
      "INSERT OR REPLACE INTO referrers (site, repo, subject, digest, artifact_type, descriptor) VALUES (?, ?, ?, ?, ?, ?)",
      site,
      repo,
      referrer.subject,
      digest,
      referrer.artifactType,
      referrer.descriptor,
    );
  };

  const names = (column: string, rows: Record<string, unknown>[]) => rows.map((row) => String(row[column]));

  return {
    host: async (key, hosted) => {
      const missing = durable.atomically(() => {
        const lacking = (hosted.needs ?? []).filter((digest) => !isThere(key, digest));
        if (!isHeld(key.digest)) lacking.push(key.digest);
        if (lacking.length === 0) put(key, hosted);
        return lacking;
      });
      changed(key);
      return missing;
    },
    unhost: async (key) => {
      const { site, repo, digest } = key;
      const sql = "DELETE FROM links WHERE site = ? AND repo = ? AND digest = ? AND hosted_at IS NOT NULL";
      const gone = durable.atomically(() => durable.run(sql, site, repo, digest)) > 0;
      changed(key);
      return gone;
    },
    repositories: async (site, { after = "", limit }) => {
      const found: Repository[] = [];
      for (let last: string = after; found.length < limit; ) {
        const row = hot.get(
          `SELECT repo FROM links WHERE site = ? AND repo > ? AND hosted_at IS NOT NULL AND media_type IS NOT NULL
           ORDER BY repo LIMIT 1`,
          site,
          last,
        );
        if (row === undefined) break;
        last = String(row["repo"]);
        found.push(last as Repository);
      }
      return found;
    },
    isHosted: async (digest) =>
      hot.get("SELECT 1 AS yes FROM links WHERE digest = ? AND hosted_at IS NOT NULL LIMIT 1", digest) !== undefined,
    exists: async (site, repo) =>
      hot.get("SELECT 1 AS yes FROM links WHERE site = ? AND repo = ? AND hosted_at IS NOT NULL LIMIT 1", site, repo) !==
      undefined,
    tags: async (site, repo, { after = "", limit }) =>
      names(
        "tag",
        hot.all(
          `SELECT tag FROM tags JOIN links USING (site, repo, digest)
           WHERE site = ? AND repo = ? AND tag > ? AND hosted_at IS NOT NULL ORDER BY tag LIMIT ?`,
          site,
          repo,
          after,
          limit,
        ),
      ) as Tag[],
    tagsOf: async ({ site, repo, digest }, { after = "", limit }) =>
      names(
        "tag",
        hot.all(
          "SELECT tag FROM tags WHERE digest = ? AND site = ? AND repo = ? AND tag > ? ORDER BY tag LIMIT ?",
          digest,
          site,
          repo,
          after,
          limit,
        ),
      ) as Tag[],
    holders: async (site, digest, { after = "", limit }) =>
      names(
        "repo",
        hot.all(
          "SELECT repo FROM links WHERE digest = ? AND site = ? AND repo > ? AND hosted_at IS NOT NULL ORDER BY repo LIMIT ?",
          digest,
          site,
          after,
          limit,
        ),
      ) as Repository[],
    referrers: async ({ site, repo, subject, artifactType }, { after = "", limit }) => {
      const only = artifactType === undefined ? "" : "AND artifact_type = ?";
      const rows = hot.all(
        `SELECT digest, descriptor FROM referrers
         WHERE site = ? AND repo = ? AND subject = ? AND digest > ? ${only} ORDER BY digest LIMIT ?`,
        ...[site, repo, subject, after, ...(artifactType === undefined ? [] : [artifactType])],
        limit,
      );
      return rows.map((row) => ({ digest: row["digest"] as Digest, descriptor: String(row["descriptor"]) }));
    },
    unnamed: async (before, { after, limit }) => {
      const rows = hot.all(
        `SELECT site, repo, digest, ${UNNAMED} AS unnamed FROM links
         WHERE hosted_at IS NOT NULL AND (site, repo, digest) > (?2, ?3, ?4) ORDER BY site, repo, digest LIMIT ?5`,
        before,
        after?.site ?? "",
        after?.repo ?? "",
        after?.digest ?? "",
        limit,
      );
      const keyOf = (row: Record<string, unknown>) =>
        ({ site: row["site"], repo: row["repo"], digest: row["digest"] }) as LinkKey;
      return {
        unnamed: rows.filter((row) => row["unnamed"] === 1).map(keyOf),
        next: rows.length < limit ? undefined : keyOf(rows.at(-1)!),
      };
    },
    unhostUnnamed: async (key, before) => {
      const { site, repo, digest } = key;
      const gone = durable.run(
        `DELETE FROM links WHERE ${UNNAMED} AND site = ?2 AND repo = ?3 AND digest = ?4
         AND NOT EXISTS (
           SELECT 1 FROM links AS manifest LEFT JOIN holdings USING (digest)
           WHERE manifest.site = ?2 AND manifest.repo = ?3 AND manifest.hosted_at IS NOT NULL
             AND manifest.media_type IS NOT NULL AND coalesce(holdings.is_manifest, 0) = 0)`,
        before,
        site,
        repo,
        digest,
      );
      changed(key);
      return gone > 0;
    },
  };
};
