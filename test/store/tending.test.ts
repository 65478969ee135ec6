// What looks after a store: reading it back, taking away what is of no use, forgetting what is not wanted.
import { existsSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import { collect } from "../../src/store/collect.ts";
import { type Forgotten, forget } from "../../src/store/forget.ts";
import type { WorkProgress } from "../../src/store/progress.ts";
import { tend } from "../../src/store/tend.ts";
import { verifyBlobs } from "../../src/store/verify.ts";
import { body, holds, type Keeping, keeping, logged, put } from "./keeping.ts";

const SITE = "s.example";
const APP = "acme/app" as Repository;
const OTHER = "acme/other" as Repository;
const DAY = 24 * 60 * 60_000;
const never = () => new AbortController().signal;
const nobody = () => undefined;
const isThere = (kept: Keeping, digest: Digest) => existsSync(kept.fileOf(digest));

const link = (kept: Keeping, repo: Repository, digest: Digest, mediaType?: string) =>
  kept.facts.addLink({ site: SITE, repo, digest }, { mediaType });
const tag = (kept: Keeping, repo: Repository, name: string, digest: Digest) =>
  kept.facts.moveTag({ site: SITE, repo, tag: name as Tag }, { digest, at: 1, reason: "pull" }, 0);

/** An image of these layers, as a pull leaves it. */
const image = async (kept: Keeping, repo: Repository, name: string, layers: readonly Buffer[]): Promise<Digest[]> => {
  const parts: Digest[] = [];
  for (const layer of layers) parts.push(await put(kept.blobs, layer));
  const top = await put(kept.blobs, Buffer.from(JSON.stringify({ name, layers: parts })), parts);
  for (const part of parts) await link(kept, repo, part);
  await link(kept, repo, top, "a/manifest");
  await tag(kept, repo, name, top);
  return [top, ...parts];
};

describe("reading back what is held", () => {
  it("finds nothing wrong where nothing is, and says how far it is", async () => {
    const kept = await keeping();
    await image(kept, APP, "v1", [body(600_000, 1), body(10, 2)]);
    const seen: WorkProgress[] = [];
    const report = await verifyBlobs(kept, (progress) => void seen.push(progress), never());
    const { bytes } = await kept.facts.holdings.totals();
    expect(report).toEqual({
      checked: { count: 3, bytes },
      spoilt: [],
      spoiltCount: 0,
      dropped: 0,
      added: 0,
      recognised: 0,
      strange: [],
    });
    expect(seen[0]).toMatchObject({ done: 0, total: bytes, unit: "bytes" });
    expect(seen.at(-1)).toEqual({ done: bytes, total: bytes, unit: "bytes" });
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  });

  it("puts what is spoilt into quarantine, whole, out of memory too, and drops what has gone", async () => {
    const kept = await keeping({ maxSize: 10_000_000 });
    await kept.reconciled;
    const [top, flipped, cut, gone] = await image(kept, APP, "v1", [body(300_000, 1), body(200_000, 2), body(100, 3)]);
    // small ones are in memory by now
    await kept.blobs.readAll(top!, 1_000_000);
    writeFileSync(kept.fileOf(flipped!), body(300_000, 9));
    truncateSync(kept.fileOf(cut!), 199_999);
    writeFileSync(kept.fileOf(top!), "{}");
    rmSync(kept.fileOf(gone!));
    const report = await verifyBlobs(kept, nobody, never());
    expect(report.spoilt.map(({ digest }) => digest).sort()).toEqual([top!, flipped!, cut!].sort());
    expect(report).toMatchObject({ spoiltCount: 3, dropped: 1 });
    for (const digest of [top!, flipped!, cut!, gone!]) expect(await holds(kept.blobs, digest)).toBe(false);
    expect(readdirSync(join(kept.folder, "quarantine"))).toHaveLength(3);
    expect(await kept.state()).toMatchObject({ held: 0, count: 0 });
    expect((await verifyBlobs(kept, nobody, never())).checked.count).toBe(0);
  });

  it("knows manifests that came as plain blobs", async () => {
    const kept = await keeping();
    const layer = await put(kept.blobs, body(10, 1));
    const top = await put(kept.blobs, Buffer.from(JSON.stringify({ layers: [{ digest: layer }] })));
    await link(kept, APP, top, "a/manifest");
    expect(await verifyBlobs(kept, nobody, never())).toMatchObject({ recognised: 1 });
    expect(await kept.facts.holdings.neededBy(layer, 2)).toEqual([top]);
  });

  it("stops when nobody wants to know any more", async () => {
    const kept = await keeping();
    for (let n = 0; n < 10; n += 1) await put(kept.blobs, body(300_000, n));
    const stop = new AbortController();
    let looked = 0;
    const work = verifyBlobs(
      kept,
      () => {
        looked += 1;
        if (looked === 3) stop.abort(new Error("enough"));
      },
      stop.signal,
    );
    await expect(work).rejects.toThrow("enough");
    expect(looked).toBe(3);
  });
});

describe("taking away what is of no use", () => {
  const options = { listingsFor: 30 * DAY, grantsFor: DAY };

  it("takes what no repository is known to hold and no manifest names, in any depth, and nothing else", async () => {
    const kept = await keeping();
    const wanted = await image(kept, APP, "v1", [body(100, 1)]);
    const layer = await put(kept.blobs, body(100, 2));
    const manifest = await put(kept.blobs, body(50, 3), [layer]);
    const index = await put(kept.blobs, body(50, 4), [manifest]);
    // what the image needs stays without a link of its own
    await kept.facts.removeLink({ site: SITE, repo: APP, digest: wanted[1]! });
    expect((await collect(kept, options, nobody, never())).blobs).toEqual({ count: 0, bytes: 0 });
    kept.pass(DAY);
    const fresh = await put(kept.blobs, body(10, 5));
    expect((await collect(kept, { ...options, isDry: true }, nobody, never())).blobs).toEqual({ count: 1, bytes: 50 });
    expect(isThere(kept, index)).toBe(true);
    expect((await collect(kept, options, nobody, never())).blobs).toEqual({ count: 3, bytes: 200 });
    expect([...wanted, fresh].map((digest) => isThere(kept, digest))).toEqual([true, true, true]);
    expect([layer, manifest, index].map((digest) => isThere(kept, digest))).toEqual([false, false, false]);
  });

  it("takes links to what is not held, but not to what is on its way, and what has had its time", async () => {
    const kept = await keeping();
    const [top] = await image(kept, APP, "v1", []);
    const [gone, coming] = [digestOf(body(10, 1)), digestOf(body(10, 2))];
    for (const digest of [gone, coming]) await link(kept, APP, digest);
    const stage = await kept.blobs.fill(coming, 10);
    const listing = { mediaType: "a/b", bytes: Buffer.of(1), filtersApplied: undefined, checkedAt: 1 };
    await kept.facts.putListing({ site: SITE, repo: APP, key: "tags" }, listing);
    await kept.facts.putGrants([{ site: SITE, repo: APP, subject: "x", grantedAt: 1, expiresAt: 2 }]);
    const found = { links: 1, listings: 1, grants: 1 };
    expect(await collect(kept, { ...options, isDry: true }, nobody, never())).toMatchObject({ ...found, isDry: true });
    expect(await collect(kept, options, nobody, never())).toMatchObject({ ...found, isDry: false });
    expect(await collect(kept, options, nobody, never())).toMatchObject({ links: 0, listings: 0, grants: 0 });
    expect((await kept.facts.inventory.links(SITE, APP, { limit: 9 })).map(({ digest }) => digest).sort()).toEqual(
      [top!, coming].sort(),
    );
    await stage.discard(new Error("over"));
    expect((await collect(kept, options, nobody, never())).links).toBe(1);
  });
});

describe("tidying up by itself", () => {
  it("goes on after each time, says what went, and ends when it is told to", async () => {
    const { log, lines } = logged();
    const kept = await keeping();
    const unwanted = await put(kept.blobs, body(100, 1));
    kept.pass(DAY);
    const tending = tend(kept, { listingsFor: DAY, grantsFor: DAY, first: 5, every: 5 }, log);
    await expect.poll(() => isThere(kept, unwanted)).toBe(false);
    const second = await put(kept.blobs, body(100, 2));
    kept.pass(DAY);
    await expect.poll(() => isThere(kept, second)).toBe(false);
    await tending.close();
    expect(lines).toEqual(Array.from({ length: 2 }, () => "info what was of no use has gone"));
  });
});

describe("forgetting", () => {
  const forgetting = (kept: Keeping, what: Omit<Forgotten, "site">) => forget(kept, { site: SITE, ...what }, nobody, never());

  it("takes a tag, and what only it stood for", async () => {
    const kept = await keeping();
    const shared = body(100, 1);
    const one = await image(kept, APP, "v1", [shared, body(200, 2)]);
    const two = await image(kept, APP, "v2", [shared, body(300, 3)]);
    const { size } = (await kept.blobs.stat(one[0]!))!;
    expect(await forgetting(kept, { repo: APP, reference: "v1" as Tag })).toEqual({
      tags: ["v1"],
      tagCount: 1,
      links: 2,
      blobs: { count: 2, bytes: 200 + size },
      stayed: 0,
    });
    expect(one.map((digest) => isThere(kept, digest))).toEqual([false, true, false]);
    expect(two.map((digest) => isThere(kept, digest))).toEqual([true, true, true]);
    expect((await kept.facts.tag({ site: SITE, repo: APP, tag: "v1" as Tag }))?.digest).toBeUndefined();
    expect((await kept.facts.tagHistory({ site: SITE, repo: APP, tag: "v1" as Tag }, 9))[0]).toMatchObject({ reason: "delete" });
  });

  it("leaves what another tag stands for, and forgets a digest with all its tags", async () => {
    const kept = await keeping();
    const [top, layer] = await image(kept, APP, "v1", [body(100, 1)]);
    await tag(kept, APP, "latest", top!);
    expect(await forgetting(kept, { repo: APP, reference: "v1" as Tag })).toMatchObject({
      tagCount: 1,
      links: 0,
      blobs: { count: 0 },
    });
    expect(await forgetting(kept, { repo: APP, reference: top! })).toMatchObject({
      tags: ["latest"],
      links: 2,
      blobs: { count: 2 },
    });
    expect([top!, layer!].map((digest) => isThere(kept, digest))).toEqual([false, false]);
  });

  it("leaves what another tag stands for, also among a thousand of other sites", async () => {
    const kept = await keeping();
    const [top, layer] = await image(kept, APP, "v1", [body(100, 1)]);
    await tag(kept, APP, "latest", top!);
    const move = { digest: top, at: 1, reason: "pull" } as const;
    for (let n = 0; n < 1_000; n += 1) await kept.facts.moveTag({ site: "a.example", repo: APP, tag: `t${n}` as Tag }, move, 0);
    expect(await forgetting(kept, { repo: APP, reference: "v1" as Tag })).toMatchObject({ tagCount: 1, links: 0 });
    expect(await kept.facts.link({ site: SITE, repo: APP, digest: top! })).toBeDefined();
    expect(await kept.facts.link({ site: SITE, repo: APP, digest: layer! })).toBeDefined();
  });

  it("takes a whole repository, and nothing that another one holds", async () => {
    const kept = await keeping();
    const shared = body(100, 1);
    const [top, , own] = await image(kept, APP, "v1", [shared, body(200, 2)]);
    await image(kept, APP, "v2", [shared]);
    const others = await image(kept, OTHER, "v3", [shared, body(50, 4)]);
    const listing = { mediaType: "a/b", bytes: Buffer.of(1), filtersApplied: undefined, checkedAt: kept.clock() };
    await kept.facts.putListing({ site: SITE, repo: APP, key: "tags" }, listing);
    expect(await forgetting(kept, { repo: APP })).toMatchObject({ tags: ["v1", "v2"], links: 4, blobs: { count: 3 }, stayed: 1 });
    expect([top!, own!].map((digest) => isThere(kept, digest))).toEqual([false, false]);
    expect(others.map((digest) => isThere(kept, digest))).toEqual([true, true, true]);
    expect(await kept.facts.inventory.repositories(SITE, { limit: 9 })).toMatchObject([{ repo: OTHER }]);
    expect(await kept.facts.listing({ site: SITE, repo: APP, key: "tags" })).toBeUndefined();
  });

  it("takes an index, the manifests that it alone names, and their layers", async () => {
    const kept = await keeping();
    const layer = await put(kept.blobs, body(100, 1));
    const child = await put(kept.blobs, body(60, 2), [layer]);
    const index = await put(kept.blobs, body(50, 3), [child]);
    for (const digest of [layer, child, index]) await link(kept, APP, digest, digest === layer ? undefined : "a/manifest");
    await tag(kept, APP, "v1", index);
    expect(await forgetting(kept, { repo: APP, reference: "v1" as Tag })).toMatchObject({
      links: 3,
      blobs: { count: 3, bytes: 210 },
    });
  });

  it("has nothing to do for what it does not know", async () => {
    const kept = await keeping();
    await image(kept, APP, "v1", [body(100, 1)]);
    const nothing = { tags: [], tagCount: 0, links: 0, blobs: { count: 0, bytes: 0 }, stayed: 0 };
    expect(await forgetting(kept, { repo: APP, reference: "v9" as Tag })).toEqual(nothing);
    expect(await forgetting(kept, { repo: OTHER })).toEqual(nothing);
    expect(await forgetting(kept, { repo: OTHER, reference: digestOf(body(100, 1)) })).toMatchObject({
      links: 0,
      blobs: { count: 0 },
    });
  });

  it("gives others their turn after each tag, whose going has to be on the disk", async () => {
    const kept = await keeping();
    const [top] = await image(kept, APP, "v0", [body(100, 1)]);
    const names = Array.from({ length: 60 }, (_, n) => `v${n + 1}`);
    for (const name of names) await tag(kept, APP, name, top!);
    let most = 0;
    let moved = 0;
    const moveTag = kept.facts.moveTag.bind(kept.facts);
    kept.facts.moveTag = (...move) => {
      moved += 1;
      return moveTag(...move);
    };
    let isOver = false;
    const watch = (before: number) => {
      most = Math.max(most, moved - before);
      const now = moved;
      if (!isOver) setImmediate(() => watch(now));
    };
    watch(0);
    expect(await forgetting(kept, { repo: APP })).toMatchObject({ tagCount: 61 });
    isOver = true;
    expect(moved).toBe(61);
    expect(most).toBeLessThanOrEqual(2);
  });

  it("leaves what somebody reads, whom nobody can follow any more", async () => {
    const kept = await keeping();
    const [, layer] = await image(kept, APP, "v1", [body(300_000, 1)]);
    const reader = (await kept.blobs.read(layer!))!;
    expect(await forgetting(kept, { repo: APP })).toMatchObject({ links: 2, blobs: { count: 1 }, stayed: 1 });
    expect(Buffer.concat((await reader.toArray()) as Buffer[])).toEqual(body(300_000, 1));
    kept.pass(DAY);
    expect((await collect(kept, { listingsFor: DAY, grantsFor: DAY }, nobody, never())).blobs.count).toBe(1);
  });
});
