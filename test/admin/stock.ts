// A store with something in it, on a disk, as the cache leaves it: for whoever looks through it.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { partsOf } from "../../src/oci/parts.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import type { BlobStore } from "../../src/store/blobs.ts";
import { openDisk } from "../../src/store/disk.ts";
import type { FactStore } from "../../src/store/facts.ts";
import { openSqlite } from "../../src/store/sqlite.ts";

const OCI = "application/vnd.oci.image";
export const SITE = "ghcr.io";
export const REPO = "acme/app" as Repository;
export const AT = Date.parse("2026-01-02T03:04:05Z");

export const CONFIG = Buffer.from('{"os":"linux"}');
const LAYER = Buffer.alloc(5_000, "layer");
const MISSING = Buffer.alloc(7_000, "missing");

const descriptor = (type: string, bytes: Buffer, more: object = {}) => ({
  mediaType: `${OCI}.${type}`,
  digest: digestOf(bytes),
  size: bytes.length,
  ...more,
});

export const MANIFEST = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    config: descriptor("config.v1+json", CONFIG),
    layers: [descriptor("layer.v1.tar+gzip", LAYER), descriptor("layer.v1.tar+gzip", MISSING)],
  }),
);
const OTHER = Buffer.from('{"schemaVersion":2,"layers":[]}');
export const INDEX = Buffer.from(
  JSON.stringify({
    schemaVersion: 2,
    manifests: [
      descriptor("manifest.v1+json", MANIFEST, { platform: { os: "linux", architecture: "amd64" } }),
      descriptor("manifest.v1+json", OTHER, { platform: { os: "linux", architecture: "arm", variant: "v7" } }),
    ],
  }),
);

export const LAYER_DIGEST = digestOf(LAYER);

/** `acme/app:1` (a layer of it missing), `acme/app:all` (an index, another platform of it missing), 250 tags `many/tags:0…`. */
export const stock = async (folder: string): Promise<void> => {
  const data = join(folder, "data");
  mkdirSync(data, { recursive: true });
  const blobs = await openDisk({ folder: data, room: async () => ({ free: 2 ** 40, total: 2 ** 40 }) });
  const facts = openSqlite(join(data, "facts.sqlite"));
  for (const bytes of [CONFIG, LAYER]) await keep(blobs, facts, bytes);
  for (const bytes of [MANIFEST, INDEX]) await keep(blobs, facts, bytes, partsOf(bytes));
  const link = (repo: string, digest: Digest, mediaType?: string) =>
    facts.addLink({ site: SITE, repo: repo as Repository, digest }, { mediaType });
  await link(REPO, digestOf(MANIFEST), `${OCI}.manifest.v1+json`);
  await link(REPO, digestOf(INDEX), `${OCI}.index.v1+json`);
  await link(REPO, LAYER_DIGEST);
  await link("acme/base", LAYER_DIGEST);
  const move = (repo: string, tag: string, digest: Digest, at = AT) =>
    facts.moveTag({ site: SITE, repo: repo as Repository, tag: tag as Tag }, { digest, at, reason: "pull" }, 0);
  await move(REPO, "1", digestOf(OTHER), AT - 1_000);
  await move(REPO, "1", digestOf(MANIFEST));
  await move(REPO, "all", digestOf(INDEX));
  for (let n = 0; n < 250; n += 1) await move("many/tags", `t${String(n).padStart(3, "0")}`, digestOf(OTHER));
  await facts.close();
  await blobs.close();
};

const keep = async (blobs: BlobStore, facts: FactStore, bytes: Buffer, parts?: Digest[]): Promise<void> => {
  const digest = digestOf(bytes);
  const stage = await blobs.stage(bytes.length);
  await stage.append(bytes);
  await stage.verify(digest);
  await facts.holdings.hold({ digest, size: bytes.length, at: AT, ...(parts === undefined ? {} : { parts }) });
  await stage.commit();
};
