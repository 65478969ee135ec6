// A hit needs the same right as a miss: how rights begin and end as time passes and questions cross. Who may read what is in http/matrix.test.ts.
import { describe, expect, it, vi } from "vitest";
import { OciError } from "../../src/oci/error.ts";
import type { Context, Registry } from "../../src/oci/registry.ts";
import { blob, context, HOUR, MINUTE, manifest, POLICY, readBlob, seen, stack } from "./stack.ts";

const ALICE = "Basic YWxpY2U6YQ==";
const BOB = "Basic Ym9iOmI=";
const BYTES = Buffer.from("a layer of alice's own");

const prepared = async (changes: Parameters<typeof stack>[0] = {}) => {
  const world = stack(changes);
  const { upstream, registry } = world;
  upstream.repo("alice/app", { readers: [ALICE] });
  upstream.repo("bob/app", { readers: [BOB] });
  const layer = upstream.blob("alice/app", BYTES);
  const digest = upstream.manifest("alice/app", "v1", { layers: [{ digest: layer }] });
  const ways: Record<string, (ctx: Context) => Promise<{ provenance: { source: string } }>> = {
    "manifest by tag": (ctx) => registry.getManifest(manifest("alice/app", "v1"), ctx),
    "manifest by digest": (ctx) => registry.getManifest(manifest("alice/app", digest), ctx),
    "manifest HEAD by tag": (ctx) => registry.statManifest(manifest("alice/app", "v1"), ctx),
    "manifest HEAD by digest": (ctx) => registry.statManifest(manifest("alice/app", digest), ctx),
    blob: (ctx) => registry.getBlob(blob("alice/app", layer), ctx),
    "blob HEAD": (ctx) => registry.statBlob(blob("alice/app", layer), ctx),
    "blob range": (ctx) => registry.getBlob(blob("alice/app", layer, { start: 2, end: 5 }), ctx),
    tags: (ctx) => registry.listTags({ repo: manifest("alice/app", "v1").repo }, ctx),
    referrers: (ctx) => registry.listReferrers(blob("alice/app", digest), ctx),
  };
  const fill = async () => {
    expect(await readBlob(registry, blob("alice/app", layer), context(ALICE))).toEqual(BYTES);
    for (const way of Object.values(ways)) await way(context(ALICE));
  };
  return { ...world, layer, digest, ways, fill };
};

const WAYS = [
  "manifest by tag",
  "manifest by digest",
  "manifest HEAD by tag",
  "manifest HEAD by digest",
  "blob",
  "blob HEAD",
  "blob range",
  "tags",
  "referrers",
];

describe.each(WAYS)("%s", (way) => {
  it("is not another user's in an outage, and still its owner's for staleAccess", async () => {
    const { ways, fill, cut, pass } = await prepared();
    await fill();
    cut();
    expect(await seen(ways[way]!(context(BOB)))).toBe("UPSTREAM_UNREACHABLE");
    expect(await seen(ways[way]!(context()))).toBe("UPSTREAM_UNREACHABLE");
    expect(["hit", "stale"]).toContain(await seen(ways[way]!(context(ALICE))));
    pass(23 * HOUR);
    expect(await seen(ways[way]!(context(ALICE)))).toBe("stale");
    pass(2 * HOUR);
    expect(await seen(ways[way]!(context(ALICE)))).toBe("UPSTREAM_UNREACHABLE");
  });

  it("is a revoked user's no longer than grantFor", async () => {
    const { ways, fill, upstream, pass } = await prepared();
    await fill();
    upstream.repo("alice/app").readers.clear();
    pass(5 * MINUTE + 1);
    expect(await seen(ways[way]!(context(ALICE)))).toBe("UNAUTHORIZED");
    upstream.failure = new OciError("UPSTREAM_UNREACHABLE", "refused");
    expect(await seen(ways[way]!(context(ALICE)))).toBe("UPSTREAM_UNREACHABLE");
  });
});

describe("a queue of our own that is full", () => {
  it.each(WAYS)("is no outage to whom %s may be no more", async (way) => {
    const { ways, fill, upstream, pass, rights } = await prepared();
    await fill();
    pass(5 * MINUTE + 1);
    upstream.failure = new OciError("UNAVAILABLE", "too many wait already");
    expect(await seen(ways[way]!(context(ALICE)))).toBe("UNAVAILABLE");
    rights.published(manifest("alice/app", "v1").repo, rights.asking());
    pass(2 * HOUR);
    expect(["hit", "stale"]).toContain(await seen(ways[way]!(context(ALICE))));
  });
});

describe("a right that is taken away while upstream is asked", () => {
  it.each(WAYS)("is none when that comes to nothing: %s", async (way) => {
    const { ways, fill, upstream, pass, rights } = await prepared();
    await fill();
    pass(5 * MINUTE + 1);
    const { promise, reject } = Promise.withResolvers<void>();
    upstream.gate = promise;
    const before = upstream.asked.length;
    const asked = seen(ways[way]!(context(ALICE)));
    await vi.waitFor(() => expect(upstream.asked.length).toBeGreaterThan(before));
    await rights.refused(manifest("alice/app", "v1").repo, ALICE);
    reject(new OciError("UPSTREAM_UNREACHABLE", "connection reset"));
    expect(await asked).toBe("UPSTREAM_UNREACHABLE");
  });
});

describe("links", () => {
  it("are not made by what a manifest claims: a secret digest named in the attacker's own repository stays secret", async () => {
    const { registry, upstream, layer, digest, fill } = await prepared();
    await fill();
    upstream.manifest("bob/app", "evil", { layers: [{ digest: layer }], subject: { digest } });
    upstream.manifest("bob/app", "index", { manifests: [{ digest }] }, "application/vnd.oci.image.index.v1+json");
    for (const tag of ["evil", "index"]) await registry.getManifest(manifest("bob/app", tag), context(BOB));
    expect(await seen(registry.getBlob(blob("bob/app", layer), context(BOB)))).toBe("BLOB_UNKNOWN");
    expect(await seen(registry.statBlob(blob("bob/app", layer), context(BOB)))).toBe("BLOB_UNKNOWN");
    expect(await seen(registry.getManifest(manifest("bob/app", digest), context(BOB)))).toBe("MANIFEST_UNKNOWN");
    upstream.failure = new OciError("UPSTREAM_UNREACHABLE", "refused");
    expect(await seen(registry.getBlob(blob("bob/app", layer), context(BOB)))).toBe("UPSTREAM_UNREACHABLE");
  });

  it("are made by upstream's own yes: a shared layer is downloaded once and read in both repositories", async () => {
    const { registry, upstream, layer, fill } = await prepared();
    await fill();
    upstream.blob("bob/app", BYTES);
    const before = upstream.blobBytes;
    expect(await readBlob(registry, blob("bob/app", layer), context(BOB))).toEqual(BYTES);
    expect(upstream.blobBytes).toBe(before);
    expect(upstream.count(`statBlob bob/app ${layer} ${BOB}`)).toBe(1);
  });
});

describe("a question that is under way", () => {
  it.each([
    ["that nobody asked for before", "statManifest", false],
    ["that is held", "statManifest", true],
    ["that nobody fetched before", "getManifest", false],
    ["that is held and fetched", "getManifest", true],
  ] as const)("for a tag %s answers only whose credential it was asked with", async (_what, way, isHeld) => {
    const { registry, upstream, fill, pass } = await prepared();
    if (isHeld) await fill();
    pass(6 * MINUTE);
    const before = upstream.asked.length;
    let open: () => void = () => undefined;
    upstream.gate = new Promise((resolve) => {
      open = resolve;
    });
    const query = manifest("alice/app", "v1");
    const asked = [ALICE, BOB, undefined].map((credential) => seen(registry[way](query, context(credential))));
    await vi.waitFor(() => expect(upstream.asked.length).toBeGreaterThan(before));
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    open();
    const [owner, other, stranger] = await Promise.all(asked);
    expect(owner).toMatch(/miss|hit|revalidated/);
    expect([other, stranger]).toEqual(["UNAUTHORIZED", "UNAUTHORIZED"]);
  });
});

describe("a yes that comes after a later no", () => {
  it("brings no right back", async () => {
    const { registry, upstream, ways, fill } = await prepared();
    await fill();
    const { promise, resolve } = Promise.withResolvers<void>();
    upstream.gate = promise;
    const early = seen(ways["blob HEAD"]!(context(ALICE)));
    await vi.waitFor(() => expect(upstream.asked.at(-1)).toMatch(/^statBlob/));
    upstream.gate = Promise.resolve();
    upstream.repo("alice/app").readers.clear();
    expect(await seen(ways["blob HEAD"]!(context(ALICE)))).toBe("UNAUTHORIZED");
    expect(await seen(ways["blob"]!(context(ALICE)))).toBe("UNAUTHORIZED");
    resolve();
    expect(await early).toBe("miss");
    expect(await seen(ways["blob"]!(context(ALICE)))).toBe("UNAUTHORIZED");
    expect(await seen(registry.getManifest(manifest("alice/app", "v1"), context(ALICE)))).toBe("UNAUTHORIZED");
  });

  it("makes nothing public again, and a yes that was asked for after it does", async () => {
    const { rights } = stack();
    const { repo } = manifest("alice/app", "v1");
    const before = rights.asking();
    await rights.hidden(repo);
    rights.published(repo, before);
    expect(await rights.isPublic(repo)).toBe(false);
    rights.published(repo, rights.asking());
    expect(await rights.isPublic(repo)).toBe(true);
  });
});

describe("public repositories", () => {
  const publicWorld = () => {
    const world = stack();
    world.upstream.repo("library/node", { isPublic: true });
    return { ...world, layer: world.upstream.blob("library/node", BYTES) };
  };

  it("need no question for the next client, whoever it is", async () => {
    const { registry, upstream, layer } = publicWorld();
    await readBlob(registry, blob("library/node", layer), context());
    const asked = upstream.asked.length;
    for (const who of [undefined, ALICE, BOB])
      expect(await seen(registry.getBlob(blob("library/node", layer), context(who)))).toBe("hit");
    expect(upstream.asked.length).toBe(asked);
  });

  it("are found out in the background after a credential's yes, and then outlive an outage for strangers", async () => {
    const { registry, layer, rights, cut } = publicWorld();
    await readBlob(registry, blob("library/node", layer), context(ALICE));
    await expect.poll(() => rights.isPublic(blob("library/node", layer).repo)).toBe(true);
    cut();
    expect(await readBlob(registry, blob("library/node", layer), context())).toEqual(BYTES);
  });

  it("are not taken for public because one credential may read them", async () => {
    const { registry, upstream, layer, rights, fill } = await prepared();
    await fill();
    await expect.poll(() => upstream.asked.some((line) => line.endsWith(" -"))).toBe(true);
    expect(await rights.isPublic(blob("alice/app", layer).repo)).toBe(false);
    expect(await seen(registry.getBlob(blob("alice/app", layer), context()))).toBe("UNAUTHORIZED");
  });
});

describe("a 404 of upstream", () => {
  it("keeps or drops what is held, by onGone, for whom may still read the repository", async () => {
    for (const onGone of ["keep", "drop"] as const) {
      const { registry, upstream, digest, fill, pass } = await prepared({ policy: { ...POLICY, onGone } });
      await fill();
      upstream.repo("alice/app").tags.clear();
      upstream.repo("alice/app").manifests.clear();
      pass(6 * MINUTE);
      const want = onGone === "keep" ? /stale|hit/ : /MANIFEST_UNKNOWN/;
      expect(await seen(registry.getManifest(manifest("alice/app", "v1"), context(ALICE)))).toMatch(want);
      expect(await seen(registry.getManifest(manifest("alice/app", digest), context(ALICE)))).toMatch(want);
    }
  });

  it.each(["a stranger", "another user", "a reader while lists cannot be had"])(
    "to %s takes a tag from nobody, also where what is gone is dropped",
    async (who) => {
      const { registry, upstream, digest, fill, pass, cut } = await prepared({ policy: { ...POLICY, onGone: "drop" } });
      await fill();
      pass(6 * MINUTE);
      upstream.hides = true;
      if (who.startsWith("a reader")) {
        upstream.repo("alice/app").tags.clear();
        const failure = new OciError("UPSTREAM_UNREACHABLE", "gone in between");
        vi.spyOn(upstream, "listTags").mockRejectedValueOnce(failure);
      }
      const credential =
        { "a stranger": undefined, "another user": BOB }[who] ?? (who.startsWith("a reader") ? ALICE : undefined);
      expect(await seen(registry.getManifest(manifest("alice/app", "v1"), context(credential)))).toMatch(/UNKNOWN/);
      cut();
      const { descriptor } = await registry.getManifest(manifest("alice/app", "v1"), context(ALICE));
      expect(descriptor.digest).toBe(digest);
    },
  );

  it("of the whole repository takes it from everybody", async () => {
    const { registry, upstream, digest, fill, pass } = await prepared();
    await fill();
    upstream.repos.delete("alice/app");
    pass(6 * MINUTE);
    expect(await seen(registry.getManifest(manifest("alice/app", "v1"), context(ALICE)))).toBe("NAME_UNKNOWN");
    expect(await seen(registry.getManifest(manifest("alice/app", digest), context(ALICE)))).toBe("NAME_UNKNOWN");
  });
});

describe("policy", () => {
  it("asks for no repository that allow leaves out", async () => {
    const { registry, upstream } = stack({ allow: ["acme/**", "library/*"] });
    upstream.repo("other/app", { isPublic: true });
    const wanted = (repo: string) => seen((registry as Registry).listTags({ repo: manifest(repo, "x").repo }, context()));
    expect(await wanted("other/app")).toBe("DENIED");
    expect(await wanted("library/a/b")).toBe("DENIED");
    expect(upstream.asked).toEqual([]);
    expect(await wanted("acme/a/b")).toBe("NAME_UNKNOWN");
  });
});
