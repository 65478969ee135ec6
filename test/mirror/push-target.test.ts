// Another registry written by a sync, over real sockets on both sides: a fault upstream is read, another is pushed to.
import { describe, expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { isOciError } from "../../src/oci/error.ts";
import { ownContext } from "../../src/oci/own-context.ts";
import { parseRepository, type Tag } from "../../src/oci/reference.ts";
import { type Behaviour, cutAt, header, redirectTo, status } from "../faults/behaviours.ts";
import { type HeldManifest, type Image, OCI_INDEX } from "../faults/content.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { siteDoor } from "../http/site-door.ts";

const OTHER = "other.test";
const FROM = parseRepository("team/app");
const TO = parseRepository("copies/app");
const v1 = "v1" as Tag;
const BLOB = "application/octet-stream";
const ctx = () => ownContext("test", new AbortController().signal);
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => "done",
    (error: unknown) => (isOciError(error) ? error.code : String(error)),
  );

const CREDENTIALS = { credentials: { username: "robot", password: "secret" } };

const world = async (auth: "none" | "basic" | "bearer" = "bearer", settings: object = CREDENTIALS) => {
  const upstream = await faultUpstream();
  const users = { robot: "secret" };
  const other = await faultUpstream({ auth: auth === "none" ? { kind: "none" } : { kind: auth, users } });
  const { site, doors, siteOf } = await siteDoor(upstream, {}, { [OTHER]: { upstream: other.url.origin, ...settings } });
  const target = doors.targetOf(siteOf(OTHER));
  let told = 0;
  const putBlob = ({ digest, bytes }: { digest: string; bytes: Buffer }, repo = TO, c = ctx()) =>
    target.putBlob(
      repo,
      { digest: parseDigest(digest), mediaType: BLOB, size: bytes.length },
      (asked) => site.source.cache.getBlob({ repo: FROM, digest: parseDigest(digest) }, asked),
      (more) => {
        told += more;
      },
      c,
    );
  const putManifest = ({ digest, bytes, mediaType }: HeldManifest) =>
    target.putManifest(
      TO,
      {
        descriptor: { digest: parseDigest(digest), mediaType, size: bytes.length },
        bytes,
        provenance: { source: "miss" },
        metadata: {},
      },
      ctx(),
    );
  const copy = async (image: Image) => {
    for (const blob of [image.config, ...image.layers]) await putBlob(blob);
    await putManifest(image.manifest);
    if (image.index !== undefined) await putManifest(image.index);
  };
  const move = (image: HeldManifest, from?: HeldManifest) =>
    target.moveTag(TO, v1, from && parseDigest(from.digest), { digest: parseDigest(image.digest) }, ctx());
  const at = () => other.content.repo(TO);
  return { upstream, other, users, target, putBlob, putManifest, copy, move, at, told: () => told };
};

describe.each(["none", "basic", "bearer"] as const)("a registry with authentication %s", (auth) => {
  it("is given all parts, then the tag, bit by bit what the source has", async () => {
    const { upstream, copy, move, at, target, told } = await world(auth, auth === "none" ? {} : CREDENTIALS);
    const image = upstream.content.seed({ repo: FROM, layers: [300_000, 2_000], index: true });
    await copy(image);
    expect([...at().tags]).toEqual([]);
    expect(await target.tag(TO, v1, ctx())).toBeUndefined();
    expect(await move(image.top)).toBe(true);
    expect(await target.tag(TO, v1, ctx())).toEqual({ digest: image.top.digest });
    for (const { digest, bytes } of [image.config, ...image.layers]) expect(at().blobs.get(digest)).toEqual(bytes);
    for (const { digest, bytes } of [image.manifest, image.top]) expect(at().manifests.get(digest)?.bytes).toEqual(bytes);
    expect(told()).toBe(302_000 + image.config.bytes.length);
    expect(await target.hasBlob(TO, parseDigest(image.layers[0]!.digest), ctx())).toBe(true);
    expect(await target.hasManifest(TO, parseDigest(image.top.digest), ctx())).toBe(true);
  });
});

describe("another registry as a target", () => {
  it("refuses wrong credentials in words that give none away", async () => {
    const { upstream, putBlob, users } = await world();
    users.robot = "another";
    const image = upstream.content.seed({ repo: FROM });
    const failure: unknown = await putBlob(image.layers[0]!).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: "DENIED" });
    expect(String(failure)).not.toContain("secret");
  });

  it("mounts what another of its repositories has, and uploads where it does not", async () => {
    const { upstream, putBlob, other, told } = await world();
    const { layers } = upstream.content.seed({ repo: FROM, layers: [50_000] });
    await putBlob(layers[0]!);
    const second = parseRepository("copies/second");
    await putBlob(layers[0]!, second);
    expect(told()).toBe(50_000);
    expect(other.content.repo(second).blobs.has(layers[0]!.digest)).toBe(true);
    other.fault(/mount=/, status(403));
    await putBlob(layers[0]!, parseRepository("copies/third"));
    expect(told()).toBe(100_000);
  });

  it("goes on where a torn upload broke off, without reading upstream again", async () => {
    const { upstream, putBlob, other, at, told } = await world();
    const [layer] = upstream.content.seed({ repo: FROM, layers: [2_000_000] }).layers;
    other.content.keepsTornParts = true;
    other.content.tearUploadAt = 700_000;
    await putBlob(layer!);
    expect(at().blobs.get(layer!.digest)).toEqual(layer!.bytes);
    const [patch] = other.requests(({ method }) => method === "PATCH").slice(1);
    expect(patch!.headers["content-range"]).toMatch(/^[1-9]\d{5,6}-1999999$/);
    expect(upstream.bytes(/blobs/)).toBe(2_000_000);
    expect(told()).toBe(2_000_000);
  });

  it("begins anew where the registry has forgotten what had come", async () => {
    const { upstream, putBlob, other, at } = await world();
    const [layer] = upstream.content.seed({ repo: FROM, layers: [1_000_000] }).layers;
    other.content.keepsTornParts = true;
    other.content.tearUploadAt = 500_000;
    other.fault(({ method, path }) => method === "GET" && path.includes("uploads/"), status(404));
    await putBlob(layer!);
    expect(at().blobs.get(layer!.digest)).toEqual(layer!.bytes);
    expect(other.count(({ method }) => method === "POST")).toBeGreaterThanOrEqual(2);
  });

  it.each([
    ["503", status(503)],
    ["429 with its time", status(429, { "retry-after": "1" })],
  ])(
    "tries again after %s",
    async (_what, behaviour) => {
      const { upstream, putBlob, other, at } = await world();
      const [layer] = upstream.content.seed({ repo: FROM }).layers;
      other.fault(({ method }) => method === "PATCH", behaviour, 1);
      await expect(putBlob(layer!)).resolves.toBeUndefined();
      expect(at().blobs.has(layer!.digest)).toBe(true);
    },
    60_000,
  );

  it("fetches a token anew in the midst, and sends the bytes once more", async () => {
    const { upstream, putBlob, other, at } = await world();
    const [layer] = upstream.content.seed({ repo: FROM, layers: [200_000] }).layers;
    const revoke: Behaviour = () => other.gate.revokeTokens();
    other.fault(
      ({ method, path, status: answered }) => method === "POST" && path.includes("uploads") && answered === undefined,
      revoke,
      2,
    );
    await putBlob(layer!);
    expect(at().blobs.get(layer!.digest)).toEqual(layer!.bytes);
  });

  it.each([
    ["to another host", () => header("location", "https://evil.example/v2/copies/app/blobs/uploads/1")],
    ["to another port", () => header("location", "http://127.0.0.1:9/v2/copies/app/blobs/uploads/1")],
    ["with a password in it", ({ host }: URL) => header("location", `http://a:b@${host}/v2/copies/app/blobs/uploads/1`)],
    ["nowhere", () => header("location", undefined)],
    ["by a redirect", () => redirectTo("http://127.0.0.1:9/elsewhere")],
  ])("is not followed %s", async (_where, behaviourOf) => {
    const { upstream, putBlob, other } = await world();
    const behaviour = behaviourOf(other.url);
    const [layer] = upstream.content.seed({ repo: FROM }).layers;
    other.fault(({ method }) => method === "POST", behaviour);
    expect(await codeOf(putBlob(layer!))).toBe("UPSTREAM_INVALID");
    expect(other.count(({ method }) => method === "PATCH")).toBe(0);
  });

  it("is not believed when it calls what it was given something else", async () => {
    const { upstream, putManifest, copy, other } = await world();
    const image = upstream.content.seed({ repo: FROM });
    other.fault(({ method }) => method === "PUT", header("docker-content-digest", `sha256:${"0".repeat(64)}`));
    expect(await codeOf(copy(image))).toBe("UPSTREAM_INVALID");
    expect(await codeOf(putManifest(image.manifest))).toBe("UPSTREAM_INVALID");
  });

  it("is given nothing of a body that was wrong at its source", async () => {
    const { upstream, putBlob, at } = await world();
    const [layer] = upstream.content.seed({ repo: FROM, layers: [100_000] }).layers;
    upstream.content.repo(FROM).blobs.set(layer!.digest, Buffer.alloc(100_000, 1));
    expect(await codeOf(putBlob(layer!))).toBe("UPSTREAM_INVALID");
    expect([...at().blobs]).toEqual([]);
  });

  it("gets over a source that breaks off", async () => {
    const { upstream, putBlob, at } = await world();
    const [layer] = upstream.content.seed({ repo: FROM, layers: [600_000] }).layers;
    upstream.fault(/blobs/, cutAt(300_000), 1);
    await putBlob(layer!);
    expect(at().blobs.get(layer!.digest)).toEqual(layer!.bytes);
  });

  it("lets go at once when nobody waits any more", async () => {
    const { upstream, putBlob, other } = await world();
    const [layer] = upstream.content.seed({ repo: FROM }).layers;
    const stop = new AbortController();
    other.fault(
      ({ method }) => method === "PATCH",
      ({ answer }) => {
        answer.before = new Promise(() => undefined);
        stop.abort(new Error("enough"));
      },
    );
    await expect(putBlob(layer!, TO, ownContext("test", stop.signal))).rejects.toThrow("enough");
  });

  it("moves a tag only from what it was when it was read, and gives what was replaced a name", async () => {
    const { upstream, copy, move, target, at } = await world();
    const [old, fresh] = [1, 2].map(() => upstream.content.seed({ repo: FROM, layers: [1_000] }));
    await copy(old!);
    await copy(fresh!);
    expect(await move(fresh!.top, old!.top)).toBe(false);
    expect(await move(old!.top)).toBe(true);
    await target.backup(TO, "v1.old" as Tag, { digest: parseDigest(old!.top.digest) }, ctx());
    expect(await move(fresh!.top, old!.top)).toBe(true);
    expect(Object.fromEntries(at().tags)).toEqual({ v1: fresh!.top.digest, "v1.old": old!.top.digest });
    await target.removeBackup(TO, "v1.old" as Tag, ctx());
    await target.removeBackup(TO, "v1.old" as Tag, ctx());
    expect([...at().tags.keys()]).toEqual(["v1"]);
  });

  it("that takes no index with children left out is told of in words", async () => {
    const { upstream, putManifest, other } = await world();
    const index = upstream.content.seed({ repo: FROM, index: true }).index!;
    other.fault(({ method }) => method === "PUT", status(400));
    await expect(putManifest(index)).rejects.toMatchObject({
      code: "MANIFEST_BLOB_UNKNOWN",
      message: expect.stringContaining("platforms were left out") as string,
    });
  });

  it("that lists no referrers by itself gets their list under the tag of their subject", async () => {
    const { upstream, copy, putManifest, other, at } = await world();
    const image = upstream.content.seed({ repo: FROM });
    const subject = { digest: image.top.digest, mediaType: image.top.mediaType, size: image.top.bytes.length };
    const [one, two] = [1, 2].map((n) =>
      upstream.content.putManifest(FROM, undefined, {
        artifactType: "application/x.signature",
        subject,
        config: { mediaType: "application/vnd.oci.empty.v1+json", digest: image.config.digest, size: image.config.bytes.length },
        layers: [],
        annotations: { n: String(n) },
      }),
    );
    await copy(image);
    await putManifest(one!);
    const tag = image.top.digest.replace(":", "-");
    expect(at().tags.has(tag)).toBe(false);
    other.fault(/referrers/, status(404));
    await Promise.all([putManifest(one!), putManifest(two!), putManifest(one!)]);
    const list = JSON.parse(at().manifests.get(at().tags.get(tag)!)!.bytes.toString()) as {
      manifests: Record<string, unknown>[];
    };
    expect(list).toMatchObject({ mediaType: OCI_INDEX, schemaVersion: 2 });
    expect(new Set(list.manifests.map(({ digest }) => digest))).toEqual(new Set([one!.digest, two!.digest]));
    expect(list.manifests).toHaveLength(2);
    expect(list.manifests[0]).toMatchObject({ artifactType: "application/x.signature", annotations: { n: "1" } });
  });

  it("is pushed to by nobody where it is offline", async () => {
    await expect(world("none", { offline: true })).rejects.toMatchObject({ code: "UNSUPPORTED" });
  });
});
