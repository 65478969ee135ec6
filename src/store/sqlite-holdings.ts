// What is held, in SQLite. Totals and who needs what are kept by triggers (sqlite-schema.ts), so that nothing has to be counted.
import type { Digest } from "../oci/digest.ts";
import { wholeMs } from "./facts.ts";
import { AHEAD, type Holding, type Holdings, type NewHolding } from "./holdings.ts";
import type { Connection, Row } from "./sqlite-connection.ts";

export const HOLDING = "digest, size, added_at, used_at, is_manifest";

export const holdingOf = (row: Row): Holding => ({
  digest: row["digest"] as Digest,
  size: Number(row["size"]),
  addedAt: Number(row["added_at"]),
  usedAt: Number(row["used_at"]),
  isManifest: row["is_manifest"] === 1,
});

export const sqliteHoldings = (connection: Connection): Holdings => {
  const put = ({ digest, size, at, parts }: NewHolding): void => {
    connection.run(
      `INSERT INTO holdings (digest, size, added_at, used_at, is_manifest, needed)
       VALUES (?1, ?2, ?3, ?3, ?4, (SELECT count(*) FROM parts WHERE part = ?1)
         + (SELECT count(*) FROM links WHERE digest = ?1 AND hosted_at IS NOT NULL)
         + (SELECT count(*) FROM keeps WHERE digest = ?1)
         + (SELECT count(*) FROM tags WHERE digest = ?1 AND hold IS NOT NULL))
       ON CONFLICT DO UPDATE SET is_manifest = 1 WHERE excluded.is_manifest = 1 AND is_manifest = 0`,
      digest,
      size,
      wholeMs(at),
      parts === undefined ? 0 : 1,
    );
    for (const part of parts ?? []) connection.run("INSERT OR IGNORE INTO parts (manifest, part) VALUES (?, ?)", digest, part);
  };
  return {
    holding: async (digest) => {
      const row = connection.get(`SELECT ${HOLDING} FROM holdings WHERE digest = ?`, digest);
      return row === undefined ? undefined : holdingOf(row);
    },
    hold: async (holding) => connection.atomically(() => put(holding)),
    release: async (digest) => connection.run("DELETE FROM holdings WHERE digest = ?", digest) > 0,
    releaseIdle: async (digest) => connection.run("DELETE FROM holdings WHERE digest = ? AND needed = 0", digest) > 0,
    used: async (uses) =>
      connection.atomically(() => {
        for (const [digest, at] of uses)
          connection.run(
            "UPDATE holdings SET used_at = ?1 WHERE digest = ?2 AND (used_at < ?1 OR used_at > ?1 + ?3)",
            wholeMs(at),
            digest,
            AHEAD,
          );
      }),
    totals: async () => {
      const row = connection.get("SELECT count, bytes FROM totals");
      return { count: Number(row?.["count"]), bytes: Number(row?.["bytes"]) };
    },
    idle: async (after, limit) =>
      connection
        .all(
          `SELECT ${HOLDING} FROM holdings WHERE needed = 0 AND (used_at, digest) > (?, ?) ORDER BY used_at, digest LIMIT ?`,
          after?.usedAt ?? -1,
          after?.digest ?? "",
          limit,
        )
        .map(holdingOf),
    heldParts: async (manifest) =>
      connection
        .all("SELECT part FROM parts JOIN holdings ON digest = part WHERE manifest = ? ORDER BY part", manifest)
        .map((row) => row["part"] as Digest),
    neededBy: async (digest, limit) =>
      connection
        .all("SELECT manifest FROM parts WHERE part = ? ORDER BY manifest LIMIT ?", digest, limit)
        .map((row) => row["manifest"] as Digest),
  };
};
