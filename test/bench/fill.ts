// A data folder as a year's work would have left it: names, links and facts of images that nobody asks for. The files are links to a
// few seeds, for nobody opens them.
import { createHash } from "node:crypto";
import { link, mkdir, writeFile } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";

/** Links that one file may have; file systems differ, and ext4 takes the fewest. */
const LINKS = 60_000;
const LAYERS = 9;

export interface Filling {
  readonly images: number;
  readonly site: string;
  /** The images of one repository. */
  readonly tagsPerRepo: number;
}

/** Adds so many images, each a manifest and nine layers, to a data folder that no server uses. Gives the number of blobs. */
export const fill = async (data: string, { images, site, tagsPerRepo }: Filling): Promise<number> => {
  const names = Array.from({ length: images * (LAYERS + 1) }, (_, n) =>
    createHash("sha256").update(`${site} ${n}`).digest("hex"),
  );
  addFacts(`${data}/facts.sqlite`, names, site, tagsPerRepo);
  await addFiles(data, names);
  return names.length;
};

const addFiles = async (data: string, names: readonly string[]): Promise<void> => {
  const seeds = `${data}/seeds`;
  await mkdir(seeds, { recursive: true });
  for (let n = 0; n < 256; n += 1) await mkdir(`${data}/blobs/sha256/${n.toString(16).padStart(2, "0")}`, { recursive: true });
  for (let at = 0; at < names.length; at += LINKS) {
    const seed = `${seeds}/${at}`;
    await writeFile(seed, ".");
    const some = names.slice(at, at + LINKS);
    for (let from = 0; from < some.length; from += 500) {
      await Promise.all(
        some.slice(from, from + 500).map((name) => link(seed, `${data}/blobs/sha256/${name.slice(0, 2)}/${name}`)),
      );
    }
  }
};

/** The tables of an existing store (src/store/sqlite-schema.ts), written as fast as they go. */
const addFacts = (path: string, names: readonly string[], site: string, tagsPerRepo: number): void => {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; BEGIN");
  const part = database.prepare("INSERT INTO parts (manifest, part) VALUES (?, ?)");
  const holding = database.prepare(
    "INSERT INTO holdings (digest, size, added_at, used_at, is_manifest, needed) VALUES (?, 1, ?2, ?2, ?3, ?4)",
  );
  const link = database.prepare("INSERT INTO links (site, repo, digest, media_type) VALUES (?, ?, ?, ?)");
  const tag = database.prepare(
    "INSERT INTO tags (site, repo, tag, digest, checked_at, generation, doubted) VALUES (?, ?, ?, ?, ?, 0, 0)",
  );
  const now = Date.now();
  // in the order of their digests the indexes grow at their ends
  const order = names.map((name, n) => ({ digest: `sha256:${name}`, n })).sort((a, b) => (a.digest < b.digest ? -1 : 1));
  for (const { digest, n } of order) {
    const isManifest = n % (LAYERS + 1) === 0;
    holding.run(digest, now - n * 1_000, isManifest ? 1 : 0, isManifest ? 0 : 1);
  }
  for (let n = 0; n < names.length; n += 1) {
    const image = Math.floor(n / (LAYERS + 1));
    const repo = `team/app-${String(Math.floor(image / tagsPerRepo)).padStart(6, "0")}`;
    const isManifest = n % (LAYERS + 1) === 0;
    const digest = `sha256:${names[n]}`;
    link.run(site, repo, digest, isManifest ? "application/vnd.oci.image.manifest.v1+json" : null);
    if (isManifest) tag.run(site, repo, `v${image % tagsPerRepo}`, digest, now);
  }
  // what needs what is counted above: the trigger would count it again
  const trigger = database.prepare("SELECT sql FROM sqlite_master WHERE name = 'part_came'").get() as { sql: string };
  database.exec("DROP TRIGGER part_came");
  for (let n = 0; n < names.length; n += LAYERS + 1)
    for (let layer = 1; layer <= LAYERS; layer += 1) part.run(`sha256:${names[n]}`, `sha256:${names[n + layer]}`);
  database.exec(`${trigger.sql}; COMMIT; PRAGMA wal_checkpoint(TRUNCATE)`);
  database.close();
};
