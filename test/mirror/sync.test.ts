// Syncs of a site's own tags over real sockets: what upstream has is brought, whole and bit-identical, and a tag moves last.
import { describe, expect, it } from "vitest";
import { OCI_INDEX, OCI_MANIFEST } from "../faults/content.ts";
import { entryOf, REPO, tagsOnly } from "./entry.ts";
import { mirrored, outcomes } from "./mirrored.ts";

const BLOBS = /\/blobs\//;
const digestsOf = (image: {
  manifest: { digest: string };
  config: { digest: string };
  layers: readonly { digest: string }[];
}) => [image.manifest.digest, image.config.digest, ...image.layers.map(({ digest }) => digest)];

describe("a sync", () => {
  it("brings what is missing, leaves what is the same, and moves what has moved", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const one = content.seed({ repo: REPO, tag: "v1", layers: [1_000, 2_000] });
    content.seed({ repo: REPO, tag: "v2", index: true });
    const first = await world.sync();
    expect(first).toMatchObject({ entry: "app", isGood: true, failures: [], expired: [] });
    expect(outcomes(first.tags)).toEqual(["v1 missing done", "v2 missing done"]);
    expect(first.fetched).toBe(world.upstream.bytes());
    expect(await world.tagOf("v1")).toBe(one.top.digest);
    expect(await world.holdsAll(digestsOf(one))).toBe(true);
    expect(await world.facts.tagHistory(world.keyOf("v1"), 9)).toMatchObject([{ digest: one.top.digest, reason: "sync" }]);
    expect(world.told.changed.map(({ source }) => source.tag)).toEqual(["v1", "v2"]);

    world.upstream.clear();
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 same skipped", "v2 same skipped"]);
    expect(world.upstream.count(({ method }) => method === "GET")).toBe(world.upstream.count(/tags\/list|referrers/));

    const two = content.seed({ repo: REPO, tag: "v1" });
    const third = await world.sync();
    expect(outcomes(third.tags)).toEqual(["v1 moved done", "v2 same skipped"]);
    expect(third.tags[0]).toMatchObject({ now: one.top.digest, upstream: two.top.digest });
    expect(await world.tagOf("v1")).toBe(two.top.digest);
    const kept = await world.facts.mirroring.kept(world.keyOf("v1"));
    expect(new Set<string>(kept.map(({ root }) => root))).toEqual(new Set([one.top.digest, two.top.digest]));
  });

  it("checks the same, and changes nothing", async () => {
    const world = await mirrored();
    world.upstream.content.seed({ repo: REPO, tag: "v1" });
    const plan = await world.check();
    expect(plan).toMatchObject({ entry: "app", failures: [], tags: [{ change: "missing", source: { tag: "v1" } }] });
    expect(await world.tagOf("v1")).toBeUndefined();
    expect(world.upstream.count(BLOBS)).toBe(0);
  });

  it("brings back what has been lost of an image that has not moved, and nothing else", async () => {
    const world = await mirrored();
    const image = world.upstream.content.seed({ repo: REPO, tag: "v1", layers: [1_000, 2_000] });
    await world.sync();
    await world.blobs.delete(image.layers[0]!.digest as never);
    world.upstream.clear();
    const report = await world.sync();
    expect(outcomes(report.tags)).toEqual(["v1 incomplete done"]);
    expect(world.upstream.requests(BLOBS).map(({ path }) => path.split("/").at(-1))).toEqual([image.layers[0]!.digest]);
    expect(await world.holdsAll(digestsOf(image))).toBe(true);
  });

  it("brings signatures with an image, and those that come later", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const image = content.seed({ repo: REPO, tag: "v1", index: true });
    const signed = (of: { digest: string; bytes: Buffer }, type: string) => {
      const payload = content.putBlob(REPO, Buffer.from(`${type} of ${of.digest}`));
      return content.putManifest(REPO, undefined, {
        artifactType: type,
        config: { mediaType: "application/vnd.oci.empty.v1+json", digest: payload.digest, size: payload.bytes.length },
        layers: [],
        subject: { mediaType: OCI_MANIFEST, digest: of.digest, size: of.bytes.length },
      });
    };
    const sbom = signed(image.manifest, "sbom");
    const aboutSbom = signed(sbom, "signature");
    await world.sync();
    expect(await world.holdsAll([sbom.digest, aboutSbom.digest])).toBe(true);
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 same skipped"]);

    const late = signed(image.top, "late");
    const cosign = content.seed({ repo: REPO, tag: `${image.top.digest.replace(":", "-")}.sig` });
    const report = await world.sync();
    expect(outcomes(report.tags)).toEqual(["v1 incomplete done"]);
    expect(await world.holdsAll([late.digest, ...digestsOf(cosign)])).toBe(true);
    expect(await world.tagOf(cosign.tag!)).toBe(cosign.top.digest);
    const [{ digests } = { digests: [] }] = await world.facts.mirroring.kept(world.keyOf("v1"));
    expect(new Set<string>(digests)).toEqual(new Set([image.top, sbom, aboutSbom, late, cosign.top].map(({ digest }) => digest)));
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 same skipped"]);
  });

  it("brings what several tags are at once, with the signature that is all of theirs", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const image = content.seed({ repo: REPO, tag: "v1", layers: [50_000, 60_000] });
    const tags = ["v1", "v1.0", "v1.0.0", "latest"];
    for (const tag of tags) content.moveTag(REPO, tag, image.top.digest);
    const signature = content.seed({ repo: REPO, tag: `${image.top.digest.replace(":", "-")}.sig` });
    const report = await world.sync(entryOf({ parallel: 4 }));
    expect(report.isGood).toBe(true);
    for (const tag of tags) expect(await world.tagOf(tag)).toBe(image.top.digest);
    expect(await world.tagOf(signature.tag!)).toBe(signature.top.digest);
    const blobs = [image.config, ...image.layers, signature.config, ...signature.layers];
    expect(world.upstream.bytes(/blobs/)).toBe(blobs.reduce((sum, { bytes }) => sum + bytes.length, 0));
  });

  it("leaves what a rule pins once it is there", async () => {
    const world = await mirrored({ parts: { isPinned: (_site, _repo, tag) => tag === "v1" } });
    const first = world.upstream.content.seed({ repo: REPO, tag: "v1" });
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 missing done"]);
    world.upstream.content.seed({ repo: REPO, tag: "v1" });
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 held skipped"]);
    expect(await world.tagOf("v1")).toBe(first.top.digest);
  });

  it("leaves out the platforms that are not wanted, and keeps the index as it is", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const [amd, arm] = [content.seed({ repo: REPO }), content.seed({ repo: REPO })];
    const entry = ({ manifest }: typeof amd, architecture: string) => ({
      ...{ mediaType: OCI_MANIFEST, digest: manifest.digest, size: manifest.bytes.length },
      platform: { os: "linux", architecture },
    });
    const index = content.putManifest(REPO, "v1", { manifests: [entry(amd, "amd64"), entry(arm, "arm64")] }, OCI_INDEX);
    const report = await world.sync(entryOf({ platforms: ["linux/amd64"] }));
    expect(report.isGood).toBe(true);
    expect(await world.tagOf("v1")).toBe(index.digest);
    expect(await world.holdsAll([index.digest, ...digestsOf(amd)])).toBe(true);
    for (const digest of digestsOf(arm)) expect(await world.holdsAll([digest])).toBe(false);
    expect(outcomes((await world.sync(entryOf({ platforms: ["linux/amd64"] }))).tags)).toEqual(["v1 same skipped"]);
    const none = await world.sync(entryOf({ platforms: ["linux/s390x"] }));
    expect(none.tags.concat()).toEqual([]);
    expect(none.failures).toMatchObject([{ code: "MANIFEST_UNKNOWN" }]);
  });

  it("asks for named tags alone, and says which are not there", async () => {
    const world = await mirrored();
    world.upstream.content.seed({ repo: REPO, tag: "v1" });
    world.upstream.content.seed({ repo: REPO, tag: "v2" });
    const report = await world.sync(entryOf({ tags: tagsOnly("v1", "v9"), digestTags: false }));
    expect(outcomes(report.tags)).toEqual(["v1 missing done"]);
    expect(report).toMatchObject({
      isGood: false,
      failures: [{ reference: `registry.example/${REPO}:v9`, code: "MANIFEST_UNKNOWN" }],
    });
    expect(world.upstream.count(/tags\/list/)).toBe(0);
  });
});
