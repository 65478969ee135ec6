// A hosted site written by a sync: over the stores in memory and on disk, read from a registry on a real socket.
import { describe, expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { isOciError } from "../../src/oci/error.ts";
import { ownContext } from "../../src/oci/own-context.ts";
import { parseReference, parseRepository, type Tag } from "../../src/oci/reference.ts";
import type { Manifest } from "../../src/oci/registry.ts";
import { cutAt } from "../faults/behaviours.ts";
import { type HeldManifest, type Image, OCI_INDEX } from "../faults/content.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { siteDoor } from "../http/site-door.ts";
import { keeping } from "../store/keeping.ts";

const HOSTED = "images.test";
const FROM = parseRepository("team/app");
const TO = parseRepository("copies/app");
const v1 = "v1" as Tag;
const ctx = () => ownContext("test", new AbortController().signal);
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: unknown) => (isOciError(error) ? error.code : String(error)),
  );

const world = async () => {
  const upstream = await faultUpstream();
  const door = await siteDoor(upstream, {}, { [HOSTED]: { kind: "local", access: "anonymous" } }, await keeping());
  const { source } = door.site;
  const hosted = door.siteOf(HOSTED);
  const target = door.doors.targetOf(hosted);
  const { registry } = door.doors.of(hosted);
  let came = 0;
  const putBlob = (text: string, repo = TO) => {
    const digest = parseDigest(text);
    const open = (c: ReturnType<typeof ctx>) => source.cache.getBlob({ repo: FROM, digest }, c);
    const told = (bytes: number) => {
      came += bytes;
    };
    return target.putBlob(repo, { digest, mediaType: "application/octet-stream", size: undefined }, open, told, ctx());
  };
  const manifestOf = ({ digest, bytes, mediaType }: HeldManifest): Manifest => ({
    descriptor: { digest: parseDigest(digest), mediaType, size: bytes.length },
    bytes,
    provenance: { source: "miss" },
    metadata: {},
  });
  const putManifest = (held: HeldManifest) => target.putManifest(TO, manifestOf(held), ctx());
  const copy = async (image: Image) => {
    for (const { digest } of [image.config, ...image.layers]) await putBlob(digest);
    await putManifest(image.manifest);
    if (image.index !== undefined) await putManifest(image.index);
  };
  const move = (tag: Tag, image: HeldManifest, from?: HeldManifest) =>
    target.moveTag(TO, tag, from && parseDigest(from.digest), { digest: parseDigest(image.digest) }, ctx());
  const pull = (reference: string) =>
    codeOf(registry.getManifest({ repo: TO, reference: parseReference(reference) }, { ...ctx(), client: "192.0.2.1" }));
  return { upstream, ...door, source, target, registry, putBlob, putManifest, copy, move, pull, bytes: () => came };
};

describe("a hosted site as a target", () => {
  it("is written as a push would, the tag last, and is read by its clients", async () => {
    const { upstream, copy, move, pull, target, facts } = await world();
    const image = upstream.content.seed({ repo: FROM, tag: "v1", layers: [50_000, 2_000], index: true });
    await copy(image);
    expect(await pull("v1")).toBe("MANIFEST_UNKNOWN");
    expect(await pull(image.top.digest)).toBe("done");
    expect(await move(v1, image.top)).toBe(true);
    expect(await pull("v1")).toBe("done");
    expect(await target.tag(TO, v1, ctx())).toMatchObject({ digest: image.top.digest });
    for (const { digest } of [image.config, ...image.layers])
      expect(await target.hasBlob(TO, parseDigest(digest), ctx())).toBe(true);
    expect(await target.hasManifest(TO, parseDigest(image.layers[0]!.digest), ctx())).toBe(false);
    const [first] = await facts.tagHistory({ site: HOSTED, repo: TO, tag: v1 }, 10);
    expect(first).toMatchObject({ digest: image.top.digest, reason: "sync" });
  });

  it("links what is held without a byte, but only what the source shows that it has", async () => {
    const { upstream, putBlob, target, bytes, ask, blobs } = await world();
    const { layers } = upstream.content.seed({ repo: FROM, layers: [30_000] });
    await putBlob(layers[0]!.digest);
    expect(bytes()).toBe(30_000);
    upstream.clear();
    await putBlob(layers[0]!.digest, parseRepository("copies/other"));
    expect([bytes(), upstream.bytes(/blobs/)]).toEqual([30_000, 0]);
    // held here by another of upstream's repositories
    const secret = upstream.content.seed({ repo: "team/secret", layers: [10_000] }).layers[0]!;
    expect((await ask(`/v2/team/secret/blobs/${secret.digest}`)).status).toBe(200);
    await expect.poll(() => blobs.stat(parseDigest(secret.digest))).toMatchObject({ size: 10_000 });
    expect(await codeOf(putBlob(secret.digest))).toBe("BLOB_UNKNOWN");
    expect(await target.hasBlob(TO, parseDigest(secret.digest), ctx())).toBe(false);
  });

  it("takes an index of which only some children have come, and no image that lacks a layer", async () => {
    const { upstream, copy, putManifest, move, pull } = await world();
    const image = upstream.content.seed({ repo: FROM, layers: [2_000] });
    const other = upstream.content.seed({ repo: FROM, layers: [2_000] });
    const manifests = [image, other].map(({ manifest: { digest, bytes, mediaType } }) => ({
      digest,
      mediaType,
      size: bytes.length,
    }));
    const index = upstream.content.putManifest(FROM, "v1", { manifests }, OCI_INDEX);
    await copy(image);
    await putManifest(index);
    expect(await move(v1, index)).toBe(true);
    expect([await pull("v1"), await pull(image.top.digest), await pull(other.top.digest)]).toEqual([
      "done",
      "done",
      "MANIFEST_UNKNOWN",
    ]);
    expect(await codeOf(putManifest(other.manifest))).toBe("MANIFEST_BLOB_UNKNOWN");
  });

  it("goes on after a line that broke off with the bytes that had come", async () => {
    const { upstream, putBlob, bytes } = await world();
    const { layers } = upstream.content.seed({ repo: FROM, layers: [400_000] });
    upstream.fault(/blobs/, cutAt(300_000), 1);
    await putBlob(layers[0]!.digest);
    expect(bytes()).toBe(400_000);
    expect(upstream.bytes(/blobs/)).toBeLessThan(410_000);
  });

  it("moves no tag that is held, that has moved since it was read, or to what was deleted meanwhile", async () => {
    const { upstream, copy, move, facts, target } = await world();
    const [one, two] = [1, 2].map(() => upstream.content.seed({ repo: FROM, layers: [1_000] }));
    await copy(one!);
    await copy(two!);
    expect(await move(v1, one!.top)).toBe(true);
    expect(await move(v1, two!.top)).toBe(false);
    await facts.holdTag({ site: HOSTED, repo: TO, tag: v1 }, { digest: parseDigest(one!.top.digest), at: 1, kind: "pin" });
    expect(await target.tag(TO, v1, ctx())).toMatchObject({ digest: one!.top.digest, heldBy: "pin" });
    expect(await move(v1, two!.top, one!.top)).toBe(false);
    await facts.releaseTag({ site: HOSTED, repo: TO, tag: v1 });
    await facts.hosting.unhost({ site: HOSTED, repo: TO, digest: parseDigest(two!.top.digest) });
    expect(await codeOf(move(v1, two!.top, one!.top))).toBe("MANIFEST_UNKNOWN");
    expect(await move(v1, one!.top, one!.top)).toBe(true);
  });

  it("gives what was replaced a name, and takes both away when nothing is kept for it any more", async () => {
    const { upstream, copy, move, pull, target, facts } = await world();
    const [old, fresh] = [1, 2].map(() => upstream.content.seed({ repo: FROM, layers: [1_000], index: true }));
    const [oldRoot, freshRoot] = [old!, fresh!].map(({ top }) => parseDigest(top.digest));
    const key = { site: HOSTED, repo: TO, tag: v1 };
    await copy(old!);
    await move(v1, old!.top);
    await facts.mirroring.keep(key, oldRoot!, [oldRoot!], 1);
    await copy(fresh!);
    const backup = "v1.20260101" as Tag;
    await target.backup(TO, backup, { digest: oldRoot! }, ctx());
    await move(v1, fresh!.top, old!.top);
    expect([await pull("v1.20260101"), await target.tag(TO, backup, ctx())]).toMatchObject([
      "done",
      { digest: oldRoot, heldBy: "backup" },
    ]);
    const letGo = () => target.letGo!(TO, [oldRoot!], ctx());
    // its name needs it, then what is kept does
    await letGo();
    await target.removeBackup(TO, backup, ctx());
    expect(await pull("v1.20260101")).toBe("MANIFEST_UNKNOWN");
    await letGo();
    expect(await pull(oldRoot!)).toBe("done");
    await facts.mirroring.letGo(key, oldRoot!);
    await letGo();
    expect([await pull(oldRoot!), await pull(old!.manifest.digest)]).toEqual(["MANIFEST_UNKNOWN", "MANIFEST_UNKNOWN"]);
    expect([await pull(freshRoot!), await pull(fresh!.manifest.digest), await pull("v1")]).toEqual(["done", "done", "done"]);
  });

  it("keeps a child that another index, or a user's own tag, still names", async () => {
    const { upstream, copy, putManifest, pull, target, facts } = await world();
    const [shared, own] = [1, 2].map(() => upstream.content.seed({ repo: FROM, layers: [1_000] }));
    const entries = [shared!, own!].map(({ manifest: { digest, bytes, mediaType } }) => ({
      digest,
      mediaType,
      size: bytes.length,
    }));
    const index = upstream.content.putManifest(FROM, undefined, { manifests: entries }, OCI_INDEX);
    const next = upstream.content.putManifest(FROM, undefined, { manifests: entries.slice(0, 1) }, OCI_INDEX);
    for (const image of [shared!, own!]) await copy(image);
    for (const one of [index, next]) await putManifest(one);
    await facts.moveTag(
      { site: HOSTED, repo: TO, tag: "mine" as Tag },
      { digest: parseDigest(own!.top.digest), at: 1, reason: "push" },
      0,
    );
    await target.letGo!(TO, [parseDigest(index.digest)], ctx());
    expect([await pull(index.digest), await pull(shared!.top.digest), await pull("mine")]).toEqual([
      "MANIFEST_UNKNOWN",
      "done",
      "done",
    ]);
  });
});
