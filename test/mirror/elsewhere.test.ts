// Patterns of repositories, and copies under another name: onto a hosted site, with what was replaced and how it goes, and into another registry.
import { describe, expect, it } from "vitest";
import { Turns } from "../../src/lib/turns.ts";
import { hostedTarget } from "../../src/mirror/hosted-target.ts";
import type { Digest } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import type { Listing } from "../../src/oci/registry.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { SITE as OTHER, siteDoor } from "../http/site-door.ts";
import { keeping } from "../store/keeping.ts";
import { entryOf, SITE, tagsOnly } from "./entry.ts";
import { mirrored, outcomes } from "./mirrored.ts";

const HOSTED = "images.example";
const repo = (name: string) => name as Repository;

const listing = (repositories: readonly string[]): Listing => ({
  mediaType: "application/json",
  bytes: Buffer.from(JSON.stringify({ repositories })),
  provenance: { source: "miss" },
  metadata: {},
});

const world = async (names: readonly string[] = []) => {
  const kept = await keeping();
  const turns = new Turns<Repository>();
  const made = await mirrored({
    kept,
    listRepositories: () => Promise.resolve(listing(names)),
    targetOf: ({ flights, clock }) =>
      hostedTarget({
        ...{ site: HOSTED, blobs: kept.blobs, facts: kept.facts, flights, clock },
        inTurn: (name, work) => turns.take(name, work),
      }),
  });
  const hosted = async (name: string, tag: string) =>
    (await kept.facts.tag({ site: HOSTED, repo: repo(name), tag: tag as Tag }))?.digest;
  const link = (name: string, digest: string) => kept.facts.link({ site: HOSTED, repo: repo(name), digest: digest as Digest });
  return { ...made, hosted, link };
};

describe("a pattern", () => {
  const PATTERN = entryOf({
    ...{ source: { site: SITE, repo: "acme/**" }, isPattern: true, target: { site: HOSTED, repo: "mirror" } },
    repos: { only: [], except: ["acme/scratch"] },
  });

  it("brings the repositories that it names, under another name and on another site", async () => {
    const { upstream, sync, hosted, link, tagOf } = await world([
      "acme/app",
      "acme/lib/a",
      "acme/scratch",
      "other/app",
      "Not A Name",
    ]);
    const app = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: [5_000, 6_000], index: true });
    const lib = upstream.content.seed({ repo: "acme/lib/a", tag: "v2" });
    upstream.content.seed({ repo: "acme/scratch", tag: "v3" });
    const report = await sync(PATTERN);
    expect(report).toMatchObject({ isGood: true, failures: [] });
    expect(report.tags.map(({ target, outcome }) => [target, outcome])).toEqual([
      [{ site: HOSTED, repository: "mirror/acme/app", tag: "v1" }, "done"],
      [{ site: HOSTED, repository: "mirror/acme/lib/a", tag: "v2" }, "done"],
    ]);
    expect(await hosted("mirror/acme/app", "v1")).toBe(app.top.digest);
    expect(await hosted("mirror/acme/lib/a", "v2")).toBe(lib.top.digest);
    for (const { digest } of [app.config, ...app.layers, app.manifest])
      expect(await link("mirror/acme/app", digest)).toBeDefined();
    // nothing is said of the tag where it came from
    expect(await tagOf("v1")).toBeUndefined();
    upstream.clear();
    expect(outcomes((await sync(PATTERN)).tags)).toEqual(["v1 same skipped", "v2 same skipped"]);
    expect(upstream.count(/blobs/)).toBe(0);
  });

  it("may be asked for one part of it, which needs no list", async () => {
    const { upstream, sync, check } = await world([]);
    for (const tag of ["v1", "v2"]) upstream.content.seed({ repo: "acme/app", tag });
    const only = { repository: "acme/app", tag: "v2" };
    expect(outcomes((await sync(PATTERN, { only })).tags)).toEqual(["v2 missing done"]);
    expect((await check(PATTERN, { only: { repository: "acme/app", tag: undefined } })).tags).toHaveLength(2);
    expect((await check(PATTERN, { only: { repository: "acme/scratch", tag: undefined } })).tags).toEqual([]);
    expect((await sync(PATTERN)).tags).toEqual([]);
  });
});

describe("a copy under another name", () => {
  it("has backups and retention there, and what nothing names any more leaves that site", async () => {
    const { upstream, sync, hosted, link, facts } = await world();
    const entry = entryOf({
      ...{ target: { site: HOSTED, repo: "base/app" }, tags: tagsOnly("v1"), targetTag: "stable" },
      ...{ backup: "{{tag}}-{{run}}", keep: { count: 1, for: undefined } },
    });
    const images: ReturnType<typeof upstream.content.seed>[] = [];
    for (const run of ["1", "2", "3"]) {
      images.push(upstream.content.seed({ repo: "acme/app", tag: "v1" }));
      const report = await sync(entry, { run });
      expect(report.tags[0]).toMatchObject({ outcome: "done", ...(run !== "1" && { backup: `stable-${run}` }) });
      if (run === "3") expect(report.expired).toEqual([{ site: HOSTED, repository: "base/app", tag: "stable-2" }]);
    }
    const [first, second, third] = images.map(({ top }) => top.digest);
    expect(await hosted("base/app", "stable")).toBe(third);
    expect(await hosted("base/app", "stable-3")).toBe(second);
    expect(await hosted("base/app", "stable-2")).toBeUndefined();
    expect(await link("base/app", first!)).toBeUndefined();
    expect(await link("base/app", second!)).toBeDefined();
    const history = await facts.tagHistory({ site: HOSTED, repo: repo("base/app"), tag: "stable" as Tag }, 9);
    expect(history.map(({ digest, reason }) => [digest, reason])).toEqual(
      [third, second, first].map((digest) => [digest, "sync"]),
    );
  });
});

describe("a copy in another registry", () => {
  it("is given nothing of that registry's other repositories that the source has not shown", async () => {
    const other = await faultUpstream();
    const { doors, siteOf } = await siteDoor(other);
    const target = doors.targetOf(siteOf(OTHER));
    const { upstream, sync } = await mirrored({ targetOf: () => target });
    const to = (from: string) =>
      entryOf({ source: { site: SITE, repo: repo(from) }, target: { site: OTHER, repo: repo(`copies/${from}`) } });
    const secret = upstream.content.seed({ repo: "acme/secret", tag: "v1", layers: [5_000] });
    expect(await sync(to("acme/secret"))).toMatchObject({ isGood: true });
    const descriptorOf = ({ digest, bytes }: { digest: string; bytes: Buffer }) => ({ digest, size: bytes.length });
    upstream.content.putManifest("acme/app", "v1", {
      config: { mediaType: "application/vnd.oci.image.config.v1+json", ...descriptorOf(secret.config) },
      layers: secret.layers.map((layer) => ({ mediaType: "application/octet-stream", ...descriptorOf(layer) })),
    });
    expect((await sync(to("acme/app"))).tags).toMatchObject([{ outcome: "failed", failure: { code: "BLOB_UNKNOWN" } }]);
    expect([...other.content.repo("copies/acme/app").blobs]).toEqual([]);
    expect(other.count(/mount=/)).toBe(0);
  });
});
