// Facts in SQLite, embedded. WAL with synchronous=NORMAL for what upstream can tell again; a second connection with FULL for tags,
// whose history nobody can tell again. Statements are compiled once: a hit costs a look-up of microseconds.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Digest } from "../oci/digest.ts";
import type {
  FactStore,
  GrantFact,
  GrantKey,
  Link,
  LinkKey,
  ListingFact,
  ListingKey,
  PingFact,
  TagFact,
  TagKey,
  TagMove,
} from "./facts.ts";
import { migrate } from "./sqlite-schema.ts";
import { StoreUnusable } from "./unusable.ts";

type Row = Record<string, unknown>;

/** Throws StoreUnusable: not writable, damaged, or written by a newer version. It is never deleted here. */
export const openSqlite = (path: string): FactStore => {
  let hot: DatabaseSync | undefined;
  try {
    mkdirSync(dirname(path), { recursive: true });
    hot = connect(path, "NORMAL");
    migrate(hot);
    return new SqliteFacts(hot, connect(path, "FULL"));
  } catch (error) {
    hot?.close();
    throw new StoreUnusable(path, error);
  }
};

const connect = (path: string, synchronous: "NORMAL" | "FULL"): DatabaseSync => {
  const database = new DatabaseSync(path);
  database.exec(
    `PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = ${synchronous}; PRAGMA foreign_keys = ON`,
  );
  return database;
};

class SqliteFacts implements FactStore {
  readonly #hot: DatabaseSync;
  readonly #durable: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(hot: DatabaseSync, durable: DatabaseSync) {
    this.#hot = hot;
    this.#durable = durable;
  }

  async tag({ site, repo, tag }: TagKey): Promise<TagFact | undefined> {
    return tagOf(
      this.#get(
        "SELECT digest, checked_at, generation, doubted FROM tags WHERE site = ? AND repo = ? AND tag = ?",
        site,
        repo,
        tag,
      ),
    );
  }

  async moveTag({ site, repo, tag }: TagKey, { digest, at, reason }: TagMove, generation: number): Promise<boolean> {
    return this.#durably(() => {
      const now = tagOf(
        this.#row(
          this.#durable,
          "SELECT digest, checked_at, generation, doubted FROM tags WHERE site = ? AND repo = ? AND tag = ?",
          site,
          repo,
          tag,
        ),
      );
      if ((now?.generation ?? 0) !== generation) return false;
      this.#durable
        .prepare(
          `INSERT INTO tags (site, repo, tag, digest, checked_at, generation, doubted) VALUES (?, ?, ?, ?, ?, ?, 0)
           ON CONFLICT DO UPDATE SET digest = excluded.digest, checked_at = excluded.checked_at, doubted = 0`,
        )
        .run(site, repo, tag, digest ?? null, at, generation);
      if (now?.digest !== digest) {
        this.#durable
          .prepare("INSERT INTO tag_history (site, repo, tag, digest, at, reason) VALUES (?, ?, ?, ?, ?, ?)")
          .run(site, repo, tag, digest ?? null, at, reason);
      }
      return true;
    });
  }

  async touchTag({ site, repo, tag }: TagKey, digest: Digest, at: number, generation: number): Promise<void> {
    this.#run(
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
    return this.#durably(() => {
      const raised = this.#durable
        .prepare(
          `INSERT INTO tags (site, repo, tag, digest, checked_at, generation, doubted) VALUES (?, ?, ?, NULL, 0, 1, 1)
           ON CONFLICT DO UPDATE SET generation = generation + 1, doubted = 1 RETURNING generation`,
        )
        .get(site, repo, tag) as Row;
      return Number(raised["generation"]);
    });
  }

  async tagHistory({ site, repo, tag }: TagKey, limit: number): Promise<TagMove[]> {
    const rows = this.#statement(
      "SELECT digest, at, reason FROM tag_history WHERE site = ? AND repo = ? AND tag = ? ORDER BY id DESC LIMIT ?",
    ).all(site, repo, tag, limit) as Row[];
    return rows.map((row) => ({
      digest: (row["digest"] ?? undefined) as Digest | undefined,
      at: Number(row["at"]),
      reason: row["reason"] as TagMove["reason"],
    }));
  }

  async link({ site, repo, digest }: LinkKey): Promise<Link | undefined> {
    const row = this.#get("SELECT media_type FROM links WHERE site = ? AND repo = ? AND digest = ?", site, repo, digest);
    return row === undefined ? undefined : { mediaType: (row["media_type"] ?? undefined) as string | undefined };
  }

  async addLink({ site, repo, digest }: LinkKey, { mediaType }: Link): Promise<void> {
    this.#run(
      `INSERT INTO links (site, repo, digest, media_type) VALUES (?, ?, ?, ?)
       ON CONFLICT DO UPDATE SET media_type = excluded.media_type WHERE excluded.media_type IS NOT NULL AND media_type IS NOT excluded.media_type`,
      site,
      repo,
      digest,
      mediaType ?? null,
    );
  }

  async removeLink({ site, repo, digest }: LinkKey): Promise<void> {
    this.#run("DELETE FROM links WHERE site = ? AND repo = ? AND digest = ?", site, repo, digest);
  }

  async grant({ site, repo, subject }: GrantKey): Promise<GrantFact | undefined> {
    const row = this.#get(
      "SELECT granted_at, expires_at FROM grants WHERE site = ? AND subject = ? AND repo = ?",
      site,
      subject,
      repo,
    );
    if (row === undefined) return undefined;
    return { site, repo, subject, grantedAt: Number(row["granted_at"]), expiresAt: Number(row["expires_at"]) };
  }

  async putGrants(grants: readonly GrantFact[]): Promise<void> {
    transaction(this.#hot, () => {
      for (const { site, repo, subject, grantedAt, expiresAt } of grants) {
        this.#run(
          "INSERT OR REPLACE INTO grants (site, subject, repo, granted_at, expires_at) VALUES (?, ?, ?, ?, ?)",
          site,
          subject,
          repo,
          grantedAt,
          expiresAt,
        );
      }
    });
  }

  async removeGrant({ site, repo, subject }: GrantKey): Promise<void> {
    this.#run("DELETE FROM grants WHERE site = ? AND subject = ? AND repo = ?", site, subject, repo);
  }

  async anyGrant(site: string, subject: string, since: number): Promise<boolean> {
    return (
      this.#get(
        "SELECT 1 AS yes FROM grants WHERE site = ? AND subject = ? AND granted_at >= ? LIMIT 1",
        site,
        subject,
        since,
      ) !== undefined
    );
  }

  async sweepGrants(before: number): Promise<void> {
    this.#run("DELETE FROM grants WHERE granted_at < ?", before);
  }

  async listing({ site, repo, key }: ListingKey): Promise<ListingFact | undefined> {
    const row = this.#get(
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
    this.#run(
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

  async ping(site: string): Promise<PingFact | undefined> {
    const row = this.#get("SELECT status, challenges, at FROM pings WHERE site = ?", site);
    if (row === undefined) return undefined;
    return {
      status: Number(row["status"]),
      challenges: JSON.parse(String(row["challenges"])) as string[],
      at: Number(row["at"]),
    };
  }

  async putPing(site: string, { status, challenges, at }: PingFact): Promise<void> {
    this.#run(
      "INSERT OR REPLACE INTO pings (site, status, challenges, at) VALUES (?, ?, ?, ?)",
      site,
      status,
      JSON.stringify(challenges),
      at,
    );
  }

  async close(): Promise<void> {
    this.#statements.clear();
    this.#durable.close();
    this.#hot.close();
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#hot.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #get(sql: string, ...values: (string | number)[]): Row | undefined {
    return this.#statement(sql).get(...values) as Row | undefined;
  }

  #row(database: DatabaseSync, sql: string, ...values: (string | number)[]): Row | undefined {
    return database.prepare(sql).get(...values) as Row | undefined;
  }

  #run(sql: string, ...values: (string | number | null | Buffer)[]): void {
    this.#statement(sql).run(...values);
  }

  #durably<T>(work: () => T): T {
    return transaction(this.#durable, work);
  }
}

const transaction = <T>(database: DatabaseSync, work: () => T): T => {
  database.exec("BEGIN IMMEDIATE");
  try {
    const result = work();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
};

const tagOf = (row: Row | undefined): TagFact | undefined =>
  row === undefined
    ? undefined
    : {
        digest: (row["digest"] ?? undefined) as Digest | undefined,
        checkedAt: Number(row["checked_at"]),
        generation: Number(row["generation"]),
        doubted: row["doubted"] === 1,
      };
