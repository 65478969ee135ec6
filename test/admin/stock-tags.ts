// A store whose tags have a past, as the cache leaves it: for whoever looks at that, and rolls back.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { partsOf } from "../../src/oci/parts.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import { openDisk } from "../../src/store/disk.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import { AT, SITE } from "./stock.ts";

const OCI = "application/vnd.oci.image";
export const APP = "acme/app" as Repository;
/** Knows only what is newest. */
export const OTHER = "acme/other" as Repository;

const descriptor = (type: string, bytes: Buffer, more: object = {}) => ({
  mediaType: `${OCI}.${type}`,
  digest: digestOf(bytes),
  size: bytes.length,
  ...more,
});
const layer = (name: string, size = 1_000) => Buffer.alloc(size, name);
const config = (created: string, version: string, more: object = {}) =>
  Buffer.from(
    JSON.stringify({
      os: "linux",
      architecture: "amd64",
      created,
      config: { Env: ["PATH=/bin", `VERSION=${version}`], Cmd: ["run"], Labels: { version }, ...more },
    }),
  );
const image = (configured: Buffer, layers: readonly Buffer[], annotations?: object) =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${OCI}.manifest.v1+json`,
      config: descriptor("config.v1+json", configured),
      layers: layers.map((bytes) => descriptor("layer.v1.tar", bytes)),
      annotations,
    }),
  );

const [BASE, FIRST, SECOND, LOST] = [layer("base", 5_000), layer("first"), layer("second", 2_000), layer("lost")];
const CONFIGS = [
  config("2025-01-01T00:00:00Z", "1"),
  config("2025-02-01T00:00:00Z", "2", { User: "app", ExposedPorts: { "80/tcp": {} } }),
];
/** Both whole; the second says when it was made before its configuration does. */
export const V1 = image(CONFIGS[0]!, [BASE, FIRST]);
export const V2 = image(CONFIGS[1]!, [BASE, SECOND], { "org.opencontainers.image.created": "2025-02-02T00:00:00Z" });
/** A layer of it is not here. */
export const TORN = image(CONFIGS[0]!, [BASE, LOST]);
export const LOST_DIGEST = digestOf(LOST);
const children = (arm: Buffer) =>
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: `${OCI}.index.v1+json`,
      manifests: [
        descriptor("manifest.v1+json", V1, { platform: { os: "linux", architecture: "amd64" } }),
        descriptor("manifest.v1+json", arm, { platform: { os: "linux", architecture: "arm64" } }),
      ],
    }),
  );
/** The other platform was never here; and: it was, and is not whole. */
export const SPARSE = children(Buffer.from("{}"));
export const HALF = children(TORN);
/** Nothing of it is here. */
export const NEVER = digestOf(Buffer.from("never"));

/** Tags, and what each has been, oldest first. */
const PAST: readonly (readonly [Repository, string, readonly (Digest | undefined)[]])[] = [
  [APP, "1", [NEVER, digestOf(V1), digestOf(V2)]],
  [APP, "torn", [digestOf(TORN), digestOf(V2)]],
  [APP, "sparse", [digestOf(SPARSE), digestOf(V2)]],
  [APP, "half", [digestOf(HALF), digestOf(V2)]],
  [APP, "gone", [digestOf(V1), undefined]],
  [APP, "only", [digestOf(V2)]],
  // builds are called after commits: these might be the beginning of a digest, too
  [APP, digestOf(V1).slice(7, 17), [digestOf(V2)]],
  [OTHER, "1", [digestOf(V1), digestOf(V2)]],
];

export const stockTags = async (folder: string): Promise<void> => {
  const data = join(folder, "data");
  mkdirSync(data, { recursive: true });
  const blobs = await openDisk({ folder: data, room: async () => ({ free: 2 ** 40, total: 2 ** 40 }) });
  const facts = openSqlite(join(data, "facts.sqlite"));
  const keep = async (bytes: Buffer, mediaType?: string) => {
    const digest = digestOf(bytes);
    const stage = await blobs.stage(bytes.length);
    await stage.append(bytes);
    await stage.verify(digest);
    const parts = mediaType === undefined ? {} : { parts: partsOf(bytes) };
    await facts.holdings.hold({ digest, size: bytes.length, at: AT, ...parts });
    await stage.commit();
    await facts.addLink({ site: SITE, repo: APP, digest }, { mediaType });
  };
  for (const bytes of [BASE, FIRST, SECOND, ...CONFIGS]) await keep(bytes);
  for (const bytes of [V1, V2, TORN]) await keep(bytes, `${OCI}.manifest.v1+json`);
  for (const bytes of [SPARSE, HALF]) await keep(bytes, `${OCI}.index.v1+json`);
  await facts.addLink({ site: SITE, repo: OTHER, digest: digestOf(V2) }, { mediaType: `${OCI}.manifest.v1+json` });
  for (const [repo, tag, digests] of PAST)
    for (const [i, digest] of digests.entries())
      await facts.moveTag(
        { site: SITE, repo, tag: tag as Tag },
        { digest, at: AT - (digests.length - 1 - i) * 1_000, reason: digest === undefined ? "delete" : "pull" },
        0,
      );
  await facts.close();
  await blobs.close();
};
