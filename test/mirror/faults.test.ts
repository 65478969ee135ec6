// What an upstream may do to a sync: tear, lie, change its mind, count, go away. The tag is what it was until all of it is there.
import { describe, expect, it } from "vitest";
import { cutAt, header, html, noDigestHeader, stall, status, wrongBytes } from "../faults/behaviours.ts";
import { OCI_MANIFEST } from "../faults/content.ts";
import { keeping } from "../store/keeping.ts";
import { entryOf, REPO, tagsOnly } from "./entry.ts";
import { mirrored, outcomes } from "./mirrored.ts";

const BLOBS = /\/blobs\//;
const NO_EXTRAS = { referrers: false, digestTags: false } as const;

describe("an upstream that", () => {
  it("tears its blobs is asked for the rest", async () => {
    const world = await mirrored();
    const image = world.upstream.content.seed({ repo: REPO, tag: "v1", layers: 400_000 });
    world.upstream.fault(BLOBS, cutAt(150_000), 2);
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 missing done"]);
    expect(await world.holdsAll([image.layers[0]!.digest])).toBe(true);
    expect(world.upstream.bytes(({ path }) => path.endsWith(image.layers[0]!.digest))).toBeLessThan(700_000);
  });

  it.each([
    ["a blob", BLOBS],
    ["a manifest", ({ method, path }: { method: string; path: string }) => method === "GET" && path.includes("/manifests/")],
  ] as const)("sends other bytes than those of %s's digest moves nothing", async (_, match) => {
    const world = await mirrored();
    const old = world.upstream.content.seed({ repo: REPO, tag: "v1" });
    await world.sync();
    world.upstream.content.seed({ repo: REPO, tag: "v1", layers: 10_000 });
    const lift = world.upstream.fault(match, wrongBytes);
    const report = await world.sync();
    expect(report.tags).toMatchObject([{ outcome: "failed", failure: { code: "UPSTREAM_INVALID" } }]);
    expect(report.isGood).toBe(false);
    expect(await world.tagOf("v1")).toBe(old.top.digest);
    lift();
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 moved done"]);
  });

  it("moves the tag between the question and the download gives what was asked about", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const one = content.seed({ repo: REPO, tag: "v1" });
    let isFirst = true;
    const report = await world.sync(entryOf(), {
      progress: ({ step }) => {
        if (step === "copying" && isFirst) content.seed({ repo: REPO, tag: "v1" });
        if (step === "copying") isFirst = false;
      },
    });
    expect(outcomes(report.tags)).toEqual(["v1 missing done"]);
    expect(await world.tagOf("v1")).toBe(one.top.digest);
  });

  it("says nothing of digests on HEAD is heard all the same", async () => {
    const world = await mirrored();
    const image = world.upstream.content.seed({ repo: REPO, tag: "v1" });
    world.upstream.fault(({ method }) => method === "HEAD", noDigestHeader);
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 missing done"]);
    expect(await world.tagOf("v1")).toBe(image.top.digest);
  });

  it("lists its tags in pages is asked for all of them, and one whose pages go in a circle for no more than that", async () => {
    const world = await mirrored();
    for (let n = 0; n < 7; n += 1) world.upstream.content.seed({ repo: REPO, tag: `v${n}`, layers: 10 });
    // whatever it is asked for, it gives three
    const pages: string[] = [];
    world.upstream.fault(/tags\/list/, ({ answer, request }) => {
      pages.push(request.path);
      const query = new URL(request.path, "http://x").searchParams;
      const all = [...world.upstream.content.repo(REPO).tags.keys()].toSorted((a, b) => a.localeCompare(b));
      const at = Number(query.get("next_page") ?? 0);
      answer.content = Buffer.from(JSON.stringify({ name: REPO, tags: all.slice(at, at + 3) }));
      if (at + 3 < all.length)
        header("link", `</v2/${REPO}/tags/list?next_page=${at + 3}>; rel="next"`)({ answer, request, store: () => "" });
    });
    expect((await world.check()).tags).toHaveLength(7);
    expect(pages).toHaveLength(3);
    world.upstream.fault(/tags\/list/, header("link", `</v2/${REPO}/tags/list?next_page=3>; rel="next"`));
    const plan = await world.check();
    expect(plan).toMatchObject({ tags: [], failures: [{ reference: REPO, code: "UPSTREAM_INVALID" }] });
    expect(pages.length).toBeLessThan(10);
  });

  it("makes up a new page for ever is not followed", async () => {
    const world = await mirrored();
    world.upstream.content.seed({ repo: REPO, tag: "v1" });
    let n = 0;
    world.upstream.fault(/tags\/list/, (spoiling) => {
      n += 1;
      header("link", `</v2/${REPO}/tags/list?n=1&last=v${n}>; rel="next"`)(spoiling);
    });
    expect((await world.check()).failures).toMatchObject([{ code: "UPSTREAM_INVALID" }]);
    expect(n).toBeLessThan(10);
  });

  it("has no list for us is still asked for tags by their names", async () => {
    const world = await mirrored();
    world.upstream.content.seed({ repo: REPO, tag: "v1" });
    world.upstream.fault(/tags\/list/, status(403));
    expect(outcomes((await world.sync(entryOf({ tags: tagsOnly("v1") }))).tags)).toEqual(["v1 missing done"]);
    expect((await world.sync()).failures).toMatchObject([{ reference: REPO, code: "DENIED" }]);
  });

  it.each([
    ["404", status(404)],
    ["400", status(400)],
    ["403", status(403)],
    ["a web page", html],
  ] as const)("answers %s when asked for referrers has none", async (_, behaviour) => {
    const world = await mirrored();
    for (let n = 0; n < 5; n += 1) world.upstream.content.seed({ repo: REPO, tag: `v${n}`, layers: 10 });
    world.upstream.fault(/\/referrers\//, behaviour);
    expect((await world.sync()).isGood).toBe(true);
    expect(world.upstream.count(/\/referrers\//)).toBeLessThan(5);
  });

  it("has nothing but schema 1 is told of", async () => {
    const world = await mirrored();
    world.upstream.content.putManifest(REPO, "v1", { name: REPO }, "application/vnd.docker.distribution.manifest.v1+prettyjws");
    const report = await world.sync();
    expect(report.failures).toMatchObject([{ code: "UNSUPPORTED", message: expect.stringContaining("schema 1") as string }]);
    expect(world.upstream.count(BLOBS)).toBe(0);
  });

  it("names foreign layers is not asked for them", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const config = content.putBlob(REPO, Buffer.from("{}"));
    const manifest = content.putManifest(REPO, "v1", {
      config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: config.digest, size: 2 },
      layers: [
        {
          mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
          digest: `sha256:${"0".repeat(64)}`,
          size: 5,
          urls: ["https://example.com/layer"],
        },
      ],
    });
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 missing done"]);
    expect(await world.tagOf("v1")).toBe(manifest.digest);
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 same skipped"]);
  });

  it("fails one image gives the others", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const bad = content.seed({ repo: REPO, tag: "v1" });
    for (const tag of ["v2", "v3"]) content.seed({ repo: REPO, tag });
    content.removeBlob(REPO, bad.layers[0]!.digest);
    const report = await world.sync();
    expect(outcomes(report.tags)).toEqual(["v1 missing failed", "v2 missing done", "v3 missing done"]);
    expect(report.tags[0]!.failure).toMatchObject({ reference: `registry.example/${REPO}:v1`, code: "BLOB_UNKNOWN" });
    expect(await world.tagOf("v1")).toBeUndefined();
  });

  it("is away is not waited for by each tag, and takes nothing away", async () => {
    const world = await mirrored();
    const tags = Array.from({ length: 30 }, (_, n) => `v${n}`);
    for (const tag of tags) world.upstream.content.seed({ repo: REPO, tag, layers: 10 });
    const entry = entryOf({ ...NO_EXTRAS, tags: tagsOnly(...tags) });
    await world.sync(entry);
    await world.upstream.stop();
    const began = performance.now();
    const report = await world.sync(entry);
    expect(report).toMatchObject({ isGood: false, tags: [] });
    expect(report.failures).toHaveLength(30);
    expect(new Set(report.failures.map(({ code }) => code))).toEqual(new Set(["UPSTREAM_UNREACHABLE"]));
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(await world.tagOf("v7")).toBeDefined();
    await world.upstream.start();
  }, 40_000);
});

describe("a budget", () => {
  it("that is nearly used up is left alone until there is more of it", async () => {
    const world = await mirrored();
    for (let n = 0; n < 4; n += 1) world.upstream.content.seed({ repo: REPO, tag: `v${n}`, layers: 10 });
    const entry = entryOf({ ...NO_EXTRAS, rateLimit: { min: 50, retry: 150 } });
    let left = 60;
    const asked: number[] = [];
    world.upstream.fault(/\/manifests\//, (spoiling) => {
      asked.push(performance.now());
      left -= 5;
      if (left < 30) left = 90;
      header("ratelimit-remaining", `${left};w=21600`)(spoiling);
    });
    const waits: string[] = [];
    const report = await world.sync(entry, { progress: ({ waiting }) => void (waiting && waits.push(waiting.why)) });
    expect(report.isGood).toBe(true);
    expect(waits[0]).toContain("50 are to be left");
    const pauses = asked.slice(1).map((at, i) => at - asked[i]!);
    expect(pauses.filter((ms) => ms >= 145).length).toBeGreaterThan(0);
  });

  it("that lets nobody ask is waited for no longer than somebody waits for the sync", async () => {
    const world = await mirrored();
    for (let n = 0; n < 9; n += 1) world.upstream.content.seed({ repo: REPO, tag: `v${n}`, layers: 10 });
    world.upstream.fault(/\/manifests\//, header("ratelimit-remaining", "1;w=21600"));
    const stop = new AbortController();
    const sync = world.sync(entryOf({ ...NO_EXTRAS, rateLimit: { min: 50, retry: 60_000 } }), {
      signal: stop.signal,
      progress: ({ waiting }) => {
        if (waiting !== undefined) stop.abort(new Error("enough"));
      },
    });
    await expect(sync).rejects.toThrow("enough");
  });

  it("that is used up is a failure of what it meets", async () => {
    const world = await mirrored();
    world.upstream.content.seed({ repo: REPO, tag: "v1" });
    world.upstream.fault(BLOBS, status(429, { "retry-after": "3600" }));
    const report = await world.sync();
    expect(report.tags).toMatchObject([{ outcome: "failed", failure: { code: "TOOMANYREQUESTS" } }]);
    expect(await world.tagOf("v1")).toBeUndefined();
  });
});

describe("a sync that", () => {
  it("is left in the middle shows nothing, and the next one fetches the rest", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const old = content.seed({ repo: REPO, tag: "v1" });
    await world.sync();
    const image = content.seed({ repo: REPO, tag: "v1", layers: [300_000, 300_000, 300_000] });
    const [first, ...others] = image.layers.map(({ digest }) => digest);
    const lift = world.upstream.fault(({ path }) => others.some((digest) => path.endsWith(digest)), stall(100_000));
    const stop = new AbortController();
    const sync = world.sync(entryOf(), { signal: stop.signal });
    await expect.poll(() => world.store.blobs.stat(first as never)).toBeDefined();
    await expect.poll(() => world.upstream.count(BLOBS)).toBeGreaterThanOrEqual(4);
    stop.abort(new Error("that is all"));
    await expect(sync).rejects.toThrow("that is all");
    expect(await world.tagOf("v1")).toBe(old.top.digest);
    lift();
    await world.flights.close();
    world.upstream.clear();
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 moved done"]);
    expect(world.upstream.count(({ path }) => path.endsWith(first!))).toBe(0);
    expect(world.upstream.bytes(BLOBS)).toBeLessThan(600_000);
  });

  it("runs beside another of the same entry does no harm, and fetches nothing twice", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    content.seed({ repo: REPO, tag: "v1" });
    const entry = entryOf({ backup: "{{tag}}.{{run}}" });
    await world.sync(entry);
    const image = content.seed({ repo: REPO, tag: "v1", layers: 300_000 });
    world.upstream.clear();
    const both = await Promise.all([world.sync(entry, { run: "7" }), world.sync(entry, { run: "7" })]);
    expect(both.map(({ tags }) => tags[0]!.outcome)).toEqual(["done", "done"]);
    expect(await world.tagOf("v1")).toBe(image.top.digest);
    expect(world.upstream.bytes(({ path }) => path.endsWith(image.layers[0]!.digest))).toBe(300_000);
    expect(await world.facts.tagHistory(world.keyOf("v1"), 9)).toHaveLength(2);
  });

  it("finds no room fails, and the tag stays", async () => {
    const kept = await keeping({ maxSize: 200_000 });
    const world = await mirrored({ kept });
    const old = world.upstream.content.seed({ repo: REPO, tag: "v1", layers: 50_000 });
    await world.sync();
    world.upstream.content.seed({ repo: REPO, tag: "v1", layers: 180_000 });
    const report = await world.sync();
    expect(report.tags).toMatchObject([{ outcome: "failed", failure: { code: "STORE_FULL" } }]);
    expect(await world.tagOf("v1")).toBe(old.top.digest);
    expect(await world.holdsAll([old.top.digest, old.layers[0]!.digest])).toBe(true);
  });

  it("fills the room makes nothing of what it has brought go again", async () => {
    const kept = await keeping({ maxSize: 1_000_000 });
    const world = await mirrored({ kept });
    const { content } = world.upstream;
    // what others have cached may go
    const cached = content.seed({ repo: REPO, layers: 400_000 });
    const read = await world.registry.getBlob(
      { repo: REPO, digest: cached.layers[0]!.digest as never },
      {
        credential: undefined,
        accept: [],
        signal: new AbortController().signal,
        client: "",
        trace: "",
        tally: { upstreamBytes: 0, upstreamRequests: 0 },
      },
    );
    await read.body.toArray();
    await world.flights.get(cached.layers[0]!.digest as never)?.done;
    const images = ["v1", "v2", "v3"].map((tag) => content.seed({ repo: REPO, tag, layers: [150_000, 150_000] }));
    const report = await world.sync(entryOf({ parallel: 1 }));
    expect(outcomes(report.tags)).toEqual(["v1 missing done", "v2 missing done", "v3 missing done"]);
    for (const { top, layers } of images)
      expect(await world.holdsAll([top.digest, ...layers.map(({ digest }) => digest)])).toBe(true);
    expect(await world.holdsAll([cached.layers[0]!.digest])).toBe(false);
  });
});

it("an image of another than the asked platform in an index of one is nothing to be missed", async () => {
  const world = await mirrored();
  const { content } = world.upstream;
  const image = content.seed({ repo: REPO });
  content.putManifest(
    REPO,
    "v1",
    { manifests: [{ mediaType: OCI_MANIFEST, digest: image.manifest.digest, size: image.manifest.bytes.length }] },
    "application/vnd.oci.image.index.v1+json",
  );
  expect(outcomes((await world.sync(entryOf({ platforms: ["linux/arm64"] }))).tags)).toEqual(["v1 missing done"]);
});
