// The tables, and the steps that lead from any older version to today's. Steps are only ever added.
import type { DatabaseSync } from "node:sqlite";

export const STEPS = [
  `CREATE TABLE tags (
     site TEXT NOT NULL, repo TEXT NOT NULL, tag TEXT NOT NULL,
     digest TEXT, checked_at INTEGER NOT NULL, generation INTEGER NOT NULL, doubted INTEGER NOT NULL,
     PRIMARY KEY (site, repo, tag)) STRICT, WITHOUT ROWID;
   CREATE TABLE tag_history (
     id INTEGER PRIMARY KEY, site TEXT NOT NULL, repo TEXT NOT NULL, tag TEXT NOT NULL,
     digest TEXT, at INTEGER NOT NULL, reason TEXT NOT NULL) STRICT;
   CREATE INDEX tag_history_by_tag ON tag_history (site, repo, tag, id);
   CREATE TABLE links (
     site TEXT NOT NULL, repo TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT,
     PRIMARY KEY (site, repo, digest)) STRICT, WITHOUT ROWID;
   CREATE TABLE grants (
     site TEXT NOT NULL, subject TEXT NOT NULL, repo TEXT NOT NULL,
     granted_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
     PRIMARY KEY (site, subject, repo)) STRICT, WITHOUT ROWID;
   CREATE TABLE listings (
     site TEXT NOT NULL, repo TEXT NOT NULL, key TEXT NOT NULL,
     media_type TEXT NOT NULL, bytes BLOB NOT NULL, filters TEXT, checked_at INTEGER NOT NULL,
     PRIMARY KEY (site, repo, key)) STRICT;
   CREATE TABLE pings (site TEXT PRIMARY KEY, status INTEGER NOT NULL, challenges TEXT NOT NULL, at INTEGER NOT NULL) STRICT;`,
  // holdings.needed: how many held manifests name it, so that what may go is one seek away however much may not
  `CREATE TABLE holdings (
     digest TEXT PRIMARY KEY, size INTEGER NOT NULL, added_at INTEGER NOT NULL, used_at INTEGER NOT NULL,
     is_manifest INTEGER NOT NULL, needed INTEGER NOT NULL) STRICT, WITHOUT ROWID;
   CREATE INDEX idle_holdings_by_use ON holdings (used_at, digest) WHERE needed = 0;
   CREATE TABLE parts (
     manifest TEXT NOT NULL, part TEXT NOT NULL,
     PRIMARY KEY (manifest, part)) STRICT, WITHOUT ROWID;
   CREATE INDEX parts_by_part ON parts (part);
   CREATE TABLE totals (count INTEGER NOT NULL, bytes INTEGER NOT NULL) STRICT;
   INSERT INTO totals VALUES (0, 0);
   CREATE TRIGGER holding_came AFTER INSERT ON holdings BEGIN
     UPDATE totals SET count = count + 1, bytes = bytes + NEW.size;
   END;
   CREATE TRIGGER holding_went AFTER DELETE ON holdings BEGIN
     UPDATE totals SET count = count - 1, bytes = bytes - OLD.size;
     DELETE FROM parts WHERE manifest = OLD.digest;
   END;
   CREATE TRIGGER part_came AFTER INSERT ON parts BEGIN
     UPDATE holdings SET needed = needed + 1 WHERE digest = NEW.part;
   END;
   CREATE TRIGGER part_went AFTER DELETE ON parts BEGIN
     UPDATE holdings SET needed = needed - 1 WHERE digest = OLD.part;
   END;
   CREATE INDEX links_by_digest ON links (digest);
   CREATE INDEX tags_by_digest ON tags (digest) WHERE digest IS NOT NULL;
   CREATE INDEX listings_by_time ON listings (checked_at);`,
  // links.hosted_at: of a site of our own; holdings.needed counts such links too, as nobody could bring again what they name
  `ALTER TABLE links ADD COLUMN hosted_at INTEGER;
   CREATE TABLE referrers (
     site TEXT NOT NULL, repo TEXT NOT NULL, subject TEXT NOT NULL, digest TEXT NOT NULL,
     artifact_type TEXT NOT NULL, descriptor TEXT NOT NULL,
     PRIMARY KEY (site, repo, subject, digest)) STRICT, WITHOUT ROWID;
   CREATE INDEX referrers_by_digest ON referrers (site, repo, digest);
   CREATE TRIGGER hosted_came AFTER INSERT ON links WHEN NEW.hosted_at IS NOT NULL BEGIN
     UPDATE holdings SET needed = needed + 1 WHERE digest = NEW.digest;
   END;
   CREATE TRIGGER hosted_became AFTER UPDATE OF hosted_at ON links WHEN OLD.hosted_at IS NULL AND NEW.hosted_at IS NOT NULL BEGIN
     UPDATE holdings SET needed = needed + 1 WHERE digest = NEW.digest;
   END;
   CREATE TRIGGER hosted_went AFTER DELETE ON links WHEN OLD.hosted_at IS NOT NULL BEGIN
     UPDATE holdings SET needed = needed - 1 WHERE digest = OLD.digest;
     DELETE FROM referrers WHERE site = OLD.site AND repo = OLD.repo AND digest = OLD.digest;
   END;`,
  // tags.hold, and keeps: what is not to make way though upstream could bring it again; holdings.needed counts both
  `ALTER TABLE tags ADD COLUMN hold TEXT;
   ALTER TABLE tags ADD COLUMN held_since INTEGER;
   ALTER TABLE tag_history ADD COLUMN created_at INTEGER;
   CREATE TABLE keeps (
     site TEXT NOT NULL, repo TEXT NOT NULL, tag TEXT NOT NULL, root TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL,
     PRIMARY KEY (site, repo, tag, root, digest)) STRICT, WITHOUT ROWID;
   CREATE INDEX tags_by_hold ON tags (hold) WHERE hold IS NOT NULL;
   CREATE INDEX keeps_by_digest ON keeps (digest);
   CREATE TABLE sightings (
     site TEXT NOT NULL, repo TEXT NOT NULL, tag TEXT NOT NULL, digest TEXT NOT NULL, since INTEGER NOT NULL,
     PRIMARY KEY (site, repo, tag)) STRICT, WITHOUT ROWID;
   CREATE TABLE runs (
     entry TEXT NOT NULL, is_good INTEGER NOT NULL, started_at INTEGER NOT NULL, ended_at INTEGER NOT NULL, report TEXT NOT NULL,
     PRIMARY KEY (entry, is_good)) STRICT, WITHOUT ROWID;
   CREATE TRIGGER keep_came AFTER INSERT ON keeps BEGIN
     UPDATE holdings SET needed = needed + 1 WHERE digest = NEW.digest;
   END;
   CREATE TRIGGER keep_went AFTER DELETE ON keeps BEGIN
     UPDATE holdings SET needed = needed - 1 WHERE digest = OLD.digest;
   END;
   CREATE TRIGGER held_tag_came AFTER INSERT ON tags WHEN NEW.hold IS NOT NULL BEGIN
     UPDATE holdings SET needed = needed + 1 WHERE digest = NEW.digest;
   END;
   CREATE TRIGGER held_tag_changed AFTER UPDATE OF digest, hold ON tags WHEN OLD.hold IS NOT NULL OR NEW.hold IS NOT NULL BEGIN
     UPDATE holdings SET needed = needed - 1 WHERE digest = OLD.digest AND OLD.hold IS NOT NULL;
     UPDATE holdings SET needed = needed + 1 WHERE digest = NEW.digest AND NEW.hold IS NOT NULL;
   END;
   CREATE TRIGGER held_tag_went AFTER DELETE ON tags WHEN OLD.hold IS NOT NULL BEGIN
     UPDATE holdings SET needed = needed - 1 WHERE digest = OLD.digest;
   END;`,
] as const;

const versionOf = (database: DatabaseSync): number =>
  Number((database.prepare("PRAGMA user_version").get() as { user_version: number }).user_version);

/** Throws when the file was written by a newer version. Only reads. */
export const refuseNewer = (database: DatabaseSync): void => {
  const version = versionOf(database);
  if (version > STEPS.length)
    throw new Error(`it was written by a newer version of Layover (schema ${version}, this one knows ${STEPS.length})`);
};

export const migrate = (database: DatabaseSync): void => {
  for (let step = versionOf(database); step < STEPS.length; step += 1) {
    database.exec(`BEGIN IMMEDIATE; ${STEPS[step]!} PRAGMA user_version = ${step + 1}; COMMIT`);
  }
};
