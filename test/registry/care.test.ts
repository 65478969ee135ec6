// What is explained is what happens; what is warmed is held; what is refreshed is upstream's.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { OciError } from "../../src/oci/error.ts";
import type { Reference, Tag } from "../../src/oci/reference.ts";
import { explain } from "../../src/registry/explain.ts";
import { type WarmOptions, warm } from "../../src/registry/warm.ts";
import type { Site } from "../../src/sites.ts";
import { context, HOUR, MINUTE, manifest, seen, stack } from "./stack.ts";

const INDEX = "application/vnd.oci.image.index.v1+json";
const IMAGE = "application/vnd.oci.image.manifest.v1+json";
const { repo } = manifest("acme/app", "v1");

const world = (changes: Partial<Site> = {}) => {
  const made = stack({ publicFor: HOUR, ...changes });
  const { upstream, registry } = made;
  upstream.repo("acme/app", { isPublic: true });
  return {
    ...made,
    explain: (reference = "v1") => explain(made, repo, manifest("acme/app", reference).reference),
    get: (reference = "v1") => registry.getManifest(manifest("acme/app", reference), context()),
  };
};

describe("explain", () => {
  it("tells rule, values, what is held, and changes nothing", async () => {
    const { explain, get, upstream, pass, clock } = world({
      rules: [{ match: "other" }, { match: "acme/*:v*", freshFor: 5 * MINUTE }],
    });
    const digest = upstream.manifest("acme/app", "v1", { n: 1 });
    const { bytes } = await get();
    pass(MINUTE);
    upstream.asked.length = 0;
    const told = await explain();
    expect(told).toEqual({
      site: "registry.example",
      repository: "acme/app",
      reference: "v1",
      rule: { position: 2, match: "acme/*:v*" },
      policy: {
        freshFor: 5 * MINUTE,
        staleWhileRevalidate: 0,
        staleIfError: 720 * HOUR,
        onGone: "keep",
        onMissing: "cache",
        pin: false,
        deny: false,
      },
      held: {
        digest,
        isHeld: true,
        size: bytes.length,
        mediaType: IMAGE,
        checkedAt: clock() - MINUTE,
        age: MINUTE,
        doubted: false,
      },
      upstream: "up",
      anonymous: "live",
      now: { outcome: "served", for: 4 * MINUTE, why: "it is fresh, and anybody may read it" },
    });
    expect(JSON.parse(JSON.stringify(told))).toEqual(told);
    expect(await explain()).toEqual(told);
    expect(upstream.asked).toEqual([]);
  });

  /** What a client would see, by what was foretold. */
  const COMES_OF = {
    served: ["hit"],
    stale: ["stale"],
    asked: ["revalidated", "hit", "stale"],
    fetched: ["miss"],
    refused: ["DENIED"],
    unreachable: ["UPSTREAM_UNREACHABLE"],
  } as const;

  it.each([
    ["fresh", 0, true, {}, "served"],
    ["stale", 2 * MINUTE, true, {}, "asked"],
    ["stale, upstream away", 2 * MINUTE, false, {}, "stale"],
    ["within staleWhileRevalidate", 2 * MINUTE, true, { staleWhileRevalidate: HOUR }, "stale"],
    ["no longer known to be public", 3 * HOUR, true, { freshFor: 9 * HOUR }, "asked"],
    ["no longer known to be public, upstream away", 3 * HOUR, false, { freshFor: 9 * HOUR }, "stale"],
    ["too old, upstream away", 3 * HOUR, false, { staleIfError: HOUR }, "unreachable"],
    ["of long ago, upstream away", 30 * HOUR, false, {}, "unreachable"],
    ["pinned", 30 * MINUTE, true, { pin: true }, "served"],
    ["denied", 0, true, { deny: true }, "refused"],
  ] as const)("foretells what happens to what is %s", async (_what, ms, isUp, rule, outcome) => {
    const made = world({ rules: [{ match: "acme/app:v1", ...rule }] });
    const { explain, get, upstream, pass, setUp, cut } = made;
    upstream.manifest("acme/app", "v1", { n: 1 });
    await get().catch(() => undefined);
    pass(ms);
    if (!isUp) cut();
    setUp(isUp);
    const { now } = await explain();
    expect(now.outcome).toBe(outcome);
    expect(COMES_OF[outcome]).toContain(await seen(get()));
  });

  it("foretells it whatever the rule, the age, the right and upstream are", async () => {
    const times = fc.constantFrom(0, MINUTE, 10 * MINUTE, 2 * HOUR, 50 * HOUR);
    const situation = fc.record({
      rule: fc.record({ freshFor: times, staleWhileRevalidate: times, staleIfError: times, pin: fc.boolean() }),
      site: fc.record({ publicFor: times, staleAccess: times, offline: fc.boolean() }),
      elapsed: fc.constantFrom(0, 30_000, 5 * MINUTE, HOUR, 30 * HOUR, -HOUR),
      isUp: fc.boolean(),
      isHeld: fc.boolean(),
      isByDigest: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(situation, async ({ rule, site, elapsed, isUp, isHeld, isByDigest }) => {
        const made = world({ ...site, rules: [{ match: "acme/app:v1", ...rule }] });
        const { explain, get, upstream, pass, setUp, cut } = made;
        const reference = isByDigest ? upstream.manifest("acme/app", "v1", { n: 1 }) : "v1";
        upstream.manifest("acme/app", "v1", { n: 1 });
        if (isHeld) await get("v1");
        pass(elapsed);
        const isAway = site.offline || !isUp;
        setUp(!isAway);
        if (isAway) cut();
        upstream.asked.length = 0;
        const { outcome } = (await explain(reference)).now;
        expect(upstream.asked).toEqual([]);
        expect(COMES_OF[outcome]).toContain(await seen(get(reference)));
        if (outcome === "served") expect(upstream.asked).toEqual([]);
        if (outcome === "asked") expect(upstream.asked[0]).toMatch(/^statManifest/);
        if (outcome === "fetched") expect(upstream.asked[0]).toMatch(/^getManifest/);
      }),
      { numRuns: 150 },
    );
  });

  it("foretells what happens to what is not held", async () => {
    const { explain, get, upstream, setUp, cut } = world();
    upstream.manifest("acme/app", "v1", { n: 1 });
    expect((await explain()).now).toEqual({ outcome: "fetched", why: "nothing is held for it" });
    expect((await explain()).held).toBeUndefined();
    expect(await seen(get())).toBe("miss");
    setUp(false);
    cut();
    expect((await explain("v2")).now.outcome).toBe("unreachable");
    expect(await seen(get("v2"))).toBe("UPSTREAM_UNREACHABLE");
  });

  it("is as well of digests", async () => {
    const { explain, get, upstream, pass } = world();
    const digest = upstream.manifest("acme/app", "v1", { n: 1 });
    expect((await explain(digest)).now.outcome).toBe("fetched");
    await get(digest);
    expect((await explain(digest)).now).toEqual({
      outcome: "served",
      why: "a digest never changes, and anybody may read it",
    });
    pass(2 * HOUR);
    expect((await explain(digest)).now.outcome).toBe("asked");
  });

  it("knows a right from none", async () => {
    const { explain, registry, upstream, setUp } = world();
    upstream.repos.clear();
    upstream.repo("acme/app", { readers: ["Basic ann"] });
    upstream.manifest("acme/app", "v1", { n: 1 });
    await registry.getManifest(manifest("acme/app", "v1"), context("Basic ann"));
    expect(await explain()).toMatchObject({ anonymous: "none", now: { outcome: "asked" } });
    setUp(false);
    expect(await explain()).toMatchObject({ upstream: "away", now: { outcome: "unreachable" } });
  });
});

describe("warm", () => {
  const prepared = (changes: Partial<Site> = {}) => {
    const made = world(changes);
    const { upstream, registry, blobs } = made;
    const layerOf = (text: string) => {
      const bytes = Buffer.from(text);
      return {
        digest: upstream.blob("acme/app", bytes),
        size: bytes.length,
        mediaType: "application/vnd.oci.image.layer.v1.tar",
      };
    };
    const image = (name: string) => {
      const layers = [layerOf("shared by all"), layerOf(`layer of ${name}`)];
      const digest = upstream.manifest("acme/app", name, { config: layerOf(`config of ${name}`), layers });
      return { digest, mediaType: IMAGE, size: 1 };
    };
    const platform = (os: string, architecture: string, variant?: string) => ({ platform: { os, architecture, variant } });
    const children = {
      amd64: image("amd64"),
      arm64: image("arm64"),
      armv7: image("armv7"),
      attestation: image("attestation"),
    };
    upstream.manifest(
      "acme/app",
      "v1",
      {
        manifests: [
          { ...children.amd64, ...platform("linux", "amd64") },
          { ...children.arm64, ...platform("linux", "arm64") },
          { ...children.armv7, ...platform("linux", "arm", "v7") },
          { ...children.attestation, ...platform("unknown", "unknown") },
        ],
      },
      INDEX,
    );
    const told: number[] = [];
    const run = (reference: string, options: Partial<WarmOptions> = {}) =>
      warm({ registry, blobs, ctx: context() }, repo, reference as Tag, {
        signal: new AbortController().signal,
        progress: ({ done, total }) => void told.push(done, total),
        ...options,
      });
    return { ...made, children, run, told };
  };

  it("fetches the platform of this machine, and no other; a second time no byte", async () => {
    const { run, upstream, children, told } = prepared();
    const here = process.arch === "arm64" ? "arm64" : "amd64";
    const warmed = await run("v1");
    expect(warmed).toMatchObject({ reference: "v1", manifests: 2, blobs: 3, held: 0, failures: [] });
    expect(warmed.fetched).toBe(upstream.blobBytes);
    expect(told.at(-2)).toBe(told.at(-1));
    expect(upstream.asked.filter((line) => line.startsWith("getManifest"))).toEqual([
      "getManifest acme/app v1 -",
      `getManifest acme/app ${children[here].digest} -`,
    ]);
    const bytes = upstream.blobBytes;
    upstream.asked.length = 0;
    expect(await run("v1")).toMatchObject({ blobs: 3, fetched: 0, held: bytes, failures: [] });
    expect(upstream.blobBytes).toBe(bytes);
    expect(upstream.asked).toEqual([]);
  });

  it("fetches those that are asked for, or all; what they share once", async () => {
    const { run, upstream } = prepared();
    expect(await run("v1", { platforms: ["linux/arm", "linux/arm64/v8"] })).toMatchObject({
      manifests: 3,
      blobs: 5,
      failures: [],
    });
    expect(await run("v1", { platforms: "all" })).toMatchObject({ manifests: 5, blobs: 9, failures: [] });
    expect(upstream.count("getBlob")).toBe(9);
  });

  it("makes everything ready for an outage", async () => {
    const { run, get, cut, children, registry, upstream } = prepared();
    await run("v1", { platforms: ["linux/amd64"] });
    cut();
    expect(await seen(get())).toBe("hit");
    expect(await seen(get(children.amd64.digest))).toBe("hit");
    for (const digest of upstream.repo("acme/app").blobs.keys()) {
      const wanted = /amd64|shared/.test(upstream.repo("acme/app").blobs.get(digest)!.toString());
      const { body } = await registry.getBlob({ repo, digest }, context()).catch(() => ({ body: undefined }));
      expect(body !== undefined).toBe(wanted);
      body?.destroy();
    }
  });

  it("takes an image without an index as it is, and digests as well as tags", async () => {
    const { run, children } = prepared();
    expect(await run("amd64", { platforms: ["windows/amd64"] })).toMatchObject({ manifests: 1, blobs: 3, failures: [] });
    expect(await run(children.arm64.digest)).toMatchObject({ digest: children.arm64.digest, manifests: 1, failures: [] });
  });

  it("takes what an index names without a platform, whatever is asked for", async () => {
    const { run, upstream, children } = prepared();
    upstream.manifest("acme/app", "charts", { manifests: [children.amd64] }, INDEX);
    expect(await run("charts", { platforms: ["linux/riscv64"] })).toMatchObject({ manifests: 2, blobs: 3, failures: [] });
  });

  it("says what failed, and goes on with the rest", async () => {
    const { run, upstream } = prepared();
    const [gone] = [...upstream.repo("acme/app").blobs].find(([, bytes]) => bytes.toString() === "layer of amd64")!;
    upstream.repo("acme/app").blobs.delete(gone);
    expect(await run("v1", { platforms: ["linux/amd64"] })).toMatchObject({
      blobs: 3,
      failures: [{ reference: gone, code: "BLOB_UNKNOWN" }],
    });
    expect(await run("v1", { platforms: ["plan9/386"] })).toMatchObject({
      failures: [{ reference: "v1", message: expect.stringContaining("linux/amd64, linux/arm64, linux/arm/v7") as string }],
    });
    expect(await run("nowhere")).toMatchObject({ manifests: 0, failures: [{ reference: "nowhere", code: "MANIFEST_UNKNOWN" }] });
  });

  it("stops when nobody wants it any more", async () => {
    const { run, upstream } = prepared();
    const stop = new AbortController();
    upstream.gate = new Promise(() => undefined);
    const running = run("v1", { signal: stop.signal });
    stop.abort(new Error("enough"));
    upstream.gate = Promise.resolve();
    await expect(running).rejects.toThrow("enough");
  });

  it("goes round in no circle", async () => {
    const { run, upstream } = prepared();
    let below: Reference = upstream.manifest("acme/app", "deep", { manifests: [] }, INDEX);
    for (let n = 0; n < 9; n += 1)
      below = upstream.manifest(
        "acme/app",
        "deep",
        { manifests: [{ digest: below, platform: { os: "linux", architecture: "amd64" } }], n },
        INDEX,
      );
    const warmed = await run("deep", { platforms: "all" });
    expect(warmed.failures).toEqual([expect.objectContaining({ message: "more than 4 indexes in one another" })]);
  });
});

describe("refresh", () => {
  const refresh = ({ registry }: ReturnType<typeof world>) => registry.refresh(repo, "v1" as Tag, context());

  it("asks upstream however fresh it is: HEAD while it stands, GET when it has moved", async () => {
    const made = world();
    const { upstream, get } = made;
    const first = upstream.manifest("acme/app", "v1", { n: 1 });
    await get();
    upstream.asked.length = 0;
    expect(await refresh(made)).toEqual({ reference: "v1", before: first, after: first, upstream: first, pinned: false });
    expect(upstream.asked).toEqual(["statManifest acme/app v1 -"]);
    const second = upstream.manifest("acme/app", "v1", { n: 2 });
    expect(await refresh(made)).toEqual({ reference: "v1", before: first, after: second, upstream: second, pinned: false });
    expect(upstream.asked.slice(1)).toEqual(["statManifest acme/app v1 -", `getManifest acme/app ${second} -`]);
    expect((await get()).descriptor.digest).toBe(second);
    expect(upstream.asked).toHaveLength(3);
  });

  it("gets what is not held yet", async () => {
    const made = world();
    const digest = made.upstream.manifest("acme/app", "v1", { n: 1 });
    expect(await refresh(made)).toEqual({ reference: "v1", after: digest, upstream: digest, pinned: false });
  });

  it("tells of a pinned tag what it could be, and leaves it", async () => {
    const made = world({ rules: [{ match: "**:v1", pin: true }] });
    const first = made.upstream.manifest("acme/app", "v1", { n: 1 });
    await made.get();
    const second = made.upstream.manifest("acme/app", "v1", { n: 2 });
    expect(await refresh(made)).toEqual({ reference: "v1", before: first, after: first, upstream: second, pinned: true });
    expect(await made.blobs.stat(parseDigest(second))).toBeUndefined();
  });

  it("fails as upstream does, and is denied where reading is", async () => {
    const made = world();
    await expect(refresh(made)).rejects.toMatchObject({ code: "MANIFEST_UNKNOWN" });
    made.upstream.failure = new OciError("UPSTREAM_UNREACHABLE", "refused");
    await expect(refresh(made)).rejects.toMatchObject({ code: "UPSTREAM_UNREACHABLE" });
    await expect(refresh(world({ rules: [{ match: "**", deny: true }] }))).rejects.toMatchObject({ code: "DENIED" });
  });
});
