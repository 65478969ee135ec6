// Facts in SQLite, embedded. WAL with synchronous=NORMAL for what upstream can tell again; a second connection with FULL for tags
// and for what is hosted, which nobody can tell again. Statements are compiled once: a hit costs a look-up of microseconds. Links, which every hit asks
// for, are remembered: the folder is this process's alone while it runs (lock.ts), so nobody else takes one away.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { LRUCache } from "lru-cache";
import { upTo } from "../lib/lru.ts";
import type { Digest } from "../oci/digest.ts";
import type { Repository } from "../oci/reference.ts";
import {
  type FactStore,
  type GrantFact,
  type GrantKey,
  type Hold,
  type Link,
  type LinkKey,
  type ListingFact,
  type ListingKey,
  MAX_PINGS,
  type NewHold,
  type PingFact,
  PUBLIC,
  type TagFact,
  type TagKey,
  type TagMove,
  wholeMs,
} from "./facts.ts";
import type { Holdings } from "./holdings.ts";
import type { Hosting } from "./hosting.ts";
import type { Inventory } from "./inventory.ts";
import type { Mirroring } from "./mirroring.ts";
import { Connection, type Row } from "./sqlite-connection.ts";
import { sqliteHoldings } from "./sqlite-holdings.ts";
import { sqliteHosting } from "./sqlite-hosting.ts";
import { sqliteInventory } from "./sqlite-inventory.ts";
import { heldBy, sqliteMirroring } from "./sqlite-mirroring.ts";
import { migrate, refuseNewer } from "./sqlite-schema.ts";
import { StoreUnusable } from "./unusable.ts";

const TAG = "SELECT digest, checked_at, generation, doubted, hold, held_since FROM tags WHERE site = ? AND repo = ? AND tag = ?";

const KNOWN_LINKS = 10_000;

/** Throws StoreUnusable: not writable, damaged, or written by a newer version. The file is then left as it is. */
export const openSqlite = (path: string): FactStore => {
  const opened: Connection[] = [];
  const connect = (synchronous: "NORMAL" | "FULL"): Connection => {
    const connection = new Connection(path);
    opened.push(connection);
    refuseNewer(connection.database);
    connection.database.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}`);
    return connection;
  };
  try {
    mkdirSync(dirname(path), { recursive: true });
    const hot = connect("NORMAL");
    migrate(hot.database);
    return new SqliteFacts(hot, connect("FULL"));
  } catch (error) {
    for (const connection of opened) connection.close();
    throw new StoreUnusable(path, error);
  }
};

class SqliteFacts implements FactStore {
  readonly holdings: Holdings;
  readonly inventory: Inventory;
  readonly hosting: Hosting;
  readonly mirroring: Mirroring;
  readonly #hot: Connection;
  readonly #durable: Connection;
  readonly #links = new LRUCache<string, Link>({ ...upTo(KNOWN_LINKS) });

  constructor(hot: Connection, durable: Connection) {
    this.#hot = hot;
    this.#durable = durable;
    this.holdings = sqliteHoldings(hot);
    this.inventory = sqliteInventory(hot);
    this.hosting = sqliteHosting(hot, durable, (key) => void this.#links.delete(nameOf(key)));
    this.mirroring = sqliteMirroring(hot, durable);
  }

  async tag({ site, repo, tag }: TagKey): Promise<TagFact | undefined> {
    return tagOf(this.#hot.get(TAG, site, repo, tag));
  }

  async moveTag(key: TagKey, move: TagMove, generation: number): Promise<boolean> {
    const { site, repo, tag } = key;
    return this.#durable.atomically(() => {
      const now = tagOf(this.#durable.get(TAG, site, repo, tag));
      if ((now?.generation ?? 0) !== generation || now?.hold !== undefined) return false;
      this.#durable.run(
        `INSERT INTO tags (site, repo, tag, digest, checked_at, generation, doubted) VALUES (?, ?, ?, ?, ?, ?, 0)
         ON CONFLICT DO UPDATE SET digest = excluded.digest, checked_at = excluded.checked_at, doubted = 0`,
        site,
        repo,
        tag,
        move.digest ?? null,
        move.at,
        generation,
      );
      if (now?.digest !== move.digest) this.#note(key, move);
      return true;
    });
  }

  async holdTag(key: TagKey, { digest, at, kind, created, onlyFree }: NewHold): Promise<boolean> {
    const { site, repo, tag } = key;
    return this.#durable.atomically(() => {
      const now = tagOf(this.#durable.get(TAG, site, repo, tag));
      if (onlyFree === true && now?.digest !== undefined) return false;
      this.#durable.run(
        `INSERT INTO tags (site, repo, tag, digest, checked_at, generation, doubted, hold, held_since) VALUES (?, ?, ?, ?, ?, 1, 0, ?, ?)
         ON CONFLICT DO UPDATE SET digest = excluded.digest, checked_at = excluded.checked_at, generation = generation + 1, doubted = 0,
           hold = excluded.hold, held_since = excluded.held_since`,
        site,
        repo,
        tag,
        digest,
        at,
        kind,
        at,
      );
      if (now?.digest !== digest) this.#note(key, { digest, at, reason: kind, ...(created !== undefined && { created }) });
      return true;
    });
  }

  async releaseTag({ site, repo, tag }: TagKey): Promise<Hold | undefined> {
    return this.#durable.atomically(() => {
      const now = tagOf(this.#durable.get(TAG, site, repo, tag));
      if (now?.hold === undefined) return undefined;
      const sql = "UPDATE tags SET hold = NULL, held_since = NULL, doubted = 1 WHERE site = ? AND repo = ? AND tag = ?";
      this.#durable.run(sql, site, repo, tag);
      return now.hold;
    });
  }

  async expireTag(key: TagKey, at: number): Promise<boolean> {
    const { site, repo, tag } = key;
    return this.#durable.atomically(() => {
      const sql = `UPDATE tags SET digest = NULL, checked_at = ?, generation = generation + 1, doubted = 0, hold = NULL, held_since = NULL
         WHERE site = ? AND repo = ? AND tag = ? AND hold = 'backup'`;
      if (this.#durable.run(sql, at, site, repo, tag) === 0) return false;
      this.#note(key, { digest: undefined, at, reason: "expire" });
      return true;
    });
  }

  #note({ site, repo, tag }: TagKey, { digest, at, reason, created }: TagMove): void {
    this.#durable.run(
      "INSERT INTO tag_history (site, repo, tag, digest, at, reason, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      site,
      repo,
      tag,
      digest ?? null,
      at,
      reason,
      created === undefined ? null : wholeMs(created),
    );
  }

  async touchTag({ site, repo, tag }: TagKey, digest: Digest, at: number, generation: number): Promise<void> {
    this.#hot.run(
      "UPDATE tags SET checked_at = ?, doubted = 0 WHERE site = ? AND repo = ? AND tag = ? AND digest = ? AND generation = ?",
      at,
      site,
      repo,
      tag,
      digest,
      generation,
    );
  }

  async raiseTag({ site, repo, tag }: TagKey): Promise<number> {
    // a COMMIT of its own: what goes wrong with the one at the end of a `get` is told to nobody
    return this.#durable.atomically(() => {
      const raised = this.#durable.get(
        `INSERT INTO tags (site, repo, tag, digest, checked_at, generation, doubted) VALUES (?, ?, ?, NULL, 0, 1, 1)
         ON CONFLICT DO UPDATE SET generation = generation + 1, doubted = 1 RETURNING generation`,
        site,
        repo,
        tag,
      );
      return Number(raised?.["generation"]);
    });
  }

  async tagHistory({ site, repo, tag }: TagKey, limit: number): Promise<TagMove[]> {
    const rows = this.#hot.all(
      "SELECT digest, at, reason, created_at FROM tag_history WHERE site = ? AND repo = ? AND tag = ? ORDER BY id DESC LIMIT ?",
      site,
      repo,
      tag,
      limit,
    );
    return rows.map((row) => ({
      digest: (row["digest"] ?? undefined) as Digest | undefined,
      at: Number(row["at"]),
      reason: row["reason"] as TagMove["reason"],
      ...(row["created_at"] !== null && { created: Number(row["created_at"]) }),
    }));
  }

  async link(key: LinkKey): Promise<Link | undefined> {
    const name = nameOf(key);
    const known = this.#links.get(name);
    if (known !== undefined) return known;
    const { site, repo, digest } = key;
    const sql = "SELECT media_type, hosted_at FROM links WHERE site = ? AND repo = ? AND digest = ?";
    const row = this.#hot.get(sql, site, repo, digest);
    if (row === undefined) return undefined;
    const mediaType = (row["media_type"] ?? undefined) as string | undefined;
    const link = row["hosted_at"] === null ? { mediaType } : { mediaType, hostedAt: Number(row["hosted_at"]) };
    this.#links.set(name, link);
    return link;
  }

  async addLink(key: LinkKey, { mediaType }: Link): Promise<void> {
    const { site, repo, digest } = key;
    this.#links.delete(nameOf(key));
    this.#hot.run(
      `INSERT INTO links (site, repo, digest, media_type) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET media_type = excluded.media_type WHERE excluded.media_type IS NOT NULL AND media_type IS NOT excluded.media_type`,
      site,
      repo,
      digest,
      mediaType ?? null,
    );
  }

  async removeLink(key: LinkKey): Promise<void> {
    const { site, repo, digest } = key;
    this.#links.delete(nameOf(key));
    const sql = "DELETE FROM links WHERE site = ? AND repo = ? AND digest = ? AND hosted_at IS NULL";
    this.#hot.run(sql, site, repo, digest);
  }

  async grant({ site, repo, subject }: GrantKey): Promise<GrantFact | undefined> {
    const row = this.#hot.get(
      "SELECT granted_at, expires_at FROM grants WHERE site = ? AND subject = ? AND repo = ?",
      site,
      subject,
      repo,
    );
    if (row === undefined) return undefined;
    return { site, repo, subject, grantedAt: Number(row["granted_at"]), expiresAt: Number(row["expires_at"]) };
  }

  async putGrants(grants: readonly GrantFact[]): Promise<void> {
    this.#hot.atomically(() => {
      for (const { site, repo, subject, grantedAt, expiresAt } of grants) {
        this.#hot.run(
          "INSERT OR REPLACE INTO grants (site, subject, repo, granted_at, expires_at) VALUES (?, ?, ?, ?, ?)",
          site,
          subject,
          repo,
          wholeMs(grantedAt),
          wholeMs(expiresAt),
        );
      }
    });
  }

  async removeGrant({ site, repo, subject }: GrantKey): Promise<void> {
    this.#hot.run("DELETE FROM grants WHERE site = ? AND subject = ? AND repo = ?", site, subject, repo);
  }

  async anyGrant(site: string, subject: string, since: number): Promise<boolean> {
    return (
      this.#hot.get(
        "SELECT 1 AS yes FROM grants WHERE site = ? AND subject = ? AND granted_at >= ? LIMIT 1",
        site,
        subject,
        since,
      ) !== undefined
    );
  }

  async sweepGrants(before: number, isDry = false): Promise<number> {
    const over = "FROM grants WHERE granted_at < ? AND subject <> ?";
    if (isDry) return Number(this.#hot.get(`SELECT count(*) AS count ${over}`, before, PUBLIC)?.["count"]);
    return this.#hot.run(`DELETE ${over}`, before, PUBLIC);
  }

  async listing({ site, repo, key }: ListingKey): Promise<ListingFact | undefined> {
    const row = this.#hot.get(
      "SELECT media_type, bytes, filters, checked_at FROM listings WHERE site = ? AND repo = ? AND key = ?",
      site,
      repo,
      key,
    );
    if (row === undefined) return undefined;
    return {
      mediaType: String(row["media_type"]),
      bytes: Buffer.from(row["bytes"] as Uint8Array),
      filtersApplied: (row["filters"] ?? undefined) as string | undefined,
      checkedAt: Number(row["checked_at"]),
    };
  }

  async putListing({ site, repo, key }: ListingKey, { mediaType, bytes, filtersApplied, checkedAt }: ListingFact): Promise<void> {
    this.#hot.run(
      "INSERT OR REPLACE INTO listings (site, repo, key, media_type, bytes, filters, checked_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      site,
      repo,
      key,
      mediaType,
      bytes,
      filtersApplied ?? null,
      checkedAt,
    );
  }

  async sweepListings(before: number, isDry = false): Promise<number> {
    if (isDry) return Number(this.#hot.get("SELECT count(*) AS count FROM listings WHERE checked_at < ?", before)?.["count"]);
    return this.#hot.run("DELETE FROM listings WHERE checked_at < ?", before);
  }

  async removeListings(site: string, repo: Repository): Promise<void> {
    this.#hot.run("DELETE FROM listings WHERE site = ? AND repo = ?", site, repo);
  }

  async ping(site: string): Promise<PingFact | undefined> {
    const row = this.#hot.get("SELECT status, challenges, at FROM pings WHERE site = ?", site);
    if (row === undefined) return undefined;
    return {
      status: Number(row["status"]),
      challenges: JSON.parse(String(row["challenges"])) as string[],
      at: Number(row["at"]),
    };
  }

  async putPing(site: string, { status, challenges, at }: PingFact): Promise<void> {
    this.#hot.run(
      "INSERT OR REPLACE INTO pings (site, status, challenges, at) VALUES (?, ?, ?, ?)",
      site,
      status,
      JSON.stringify(challenges),
      at,
    );
    this.#hot.run(
      `DELETE FROM pings WHERE (SELECT count(*) FROM pings) > ?
       AND site = (SELECT site FROM pings WHERE site <> ? ORDER BY at LIMIT 1)`,
      MAX_PINGS,
      site,
    );
  }

  async close(): Promise<void> {
    this.#durable.close();
    this.#hot.close();
  }
}

const nameOf = ({ site, repo, digest }: LinkKey): string => `${site} ${repo} ${digest}`;

const tagOf = (row: Row | undefined): TagFact | undefined =>
  row === undefined
    ? undefined
    : {
        digest: (row["digest"] ?? undefined) as Digest | undefined,
        checkedAt: Number(row["checked_at"]),
        generation: Number(row["generation"]),
        doubted: row["doubted"] === 1,
        ...heldBy(row),
      };
