// What clients see of a store that throws things away, spoils them or has no room: whole bodies, always, and never more than upstream allows.
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Site } from "../../src/sites.ts";
import type { KeptOptions } from "../../src/store/kept.ts";
import { verifyBlobs } from "../../src/store/verify.ts";
import { body, keeping } from "../store/keeping.ts";
import { blob, context, manifest, readBlob, seen, stack } from "./stack.ts";

const never = () => new AbortController().signal;

const world = async (options: Partial<KeptOptions> = {}, changes: Partial<Site> = {}) => {
  const kept = await keeping(options);
  await kept.reconciled;
  const front = stack(changes, kept.blobs, {}, undefined, kept.facts);
  return { kept, ...front };
};

/** A public repository with one image of one layer. */
const publish = (front: Awaited<ReturnType<typeof world>>, repo: string, tag: string, bytes: Buffer) => {
  front.upstream.repo(repo, { isPublic: true });
  const layer = front.upstream.blob(repo, bytes);
  const top = front.upstream.manifest(repo, tag, { layers: [{ digest: layer }] });
  return { layer, top };
};

const pull = async ({ registry, flights }: Awaited<ReturnType<typeof world>>, repo: string, tag: string, layer: string) => {
  const how = await seen(registry.getManifest(manifest(repo, tag), context()));
  const bytes = await readBlob(registry, blob(repo, layer), context());
  await flights.get(blob(repo, layer).digest)?.done;
  return { how, bytes };
};

describe("what has made way for something else", () => {
  it("comes from upstream again, by tag, by digest and as a blob, and is then held again", async () => {
    const front = await world({ maxSize: 1_000_000 });
    const { kept, registry, upstream } = front;
    const { layer, top } = publish(front, "acme/app", "v1", body(400_000, 1));
    await pull(front, "acme/app", "v1", layer);
    expect([top, layer].map((digest) => existsSync(kept.fileOf(digest)))).toEqual([true, true]);
    kept.pass(60_000);
    const other = publish(front, "acme/big", "v1", body(900_000, 2));
    await pull(front, "acme/big", "v1", other.layer);
    expect([top, layer].map((digest) => existsSync(kept.fileOf(digest)))).toEqual([false, false]);
    // a tag that is fresh leads to nothing that is not there
    expect(await seen(registry.statManifest(manifest("acme/app", "v1"), context()))).not.toBe("hit");
    upstream.asked.length = 0;
    kept.pass(60_000);
    expect((await pull(front, "acme/app", "v1", layer)).bytes).toEqual(body(400_000, 1));
    expect(upstream.count("getManifest acme/app")).toBe(1);
    expect(upstream.count("getBlob acme/app")).toBe(1);
    expect(await seen(registry.getManifest(manifest("acme/app", top), context()))).toBe("hit");
    expect((await kept.state()).held).toBeLessThanOrEqual(1_000_000);
  });

  it("cannot be had while upstream is away, and is said to be so", async () => {
    const front = await world({ maxSize: 1_000_000 });
    const { kept, registry } = front;
    const { layer, top } = publish(front, "acme/app", "v1", body(400_000, 1));
    await pull(front, "acme/app", "v1", layer);
    kept.pass(60_000);
    await pull(front, "acme/big", "v1", publish(front, "acme/big", "v1", body(900_000, 2)).layer);
    front.cut();
    for (const reference of ["v1", top])
      expect(await seen(registry.getManifest(manifest("acme/app", reference), context()))).toBe("UPSTREAM_UNREACHABLE");
    expect(await seen(registry.getBlob(blob("acme/app", layer), context()))).toBe("UPSTREAM_UNREACHABLE");
    expect((await pull(front, "acme/big", "v1", publish(front, "acme/big", "v1", body(900_000, 2)).layer)).bytes).toEqual(
      body(900_000, 2),
    );
  });

  it("gives nobody a right that he had not: who was refused is refused", async () => {
    const front = await world({ maxSize: 1_000_000 });
    const { kept, registry, upstream } = front;
    upstream.repo("ann/app", { readers: ["ann"] });
    const layer = upstream.blob("ann/app", body(400_000, 1));
    expect(await readBlob(registry, blob("ann/app", layer), context("ann"))).toEqual(body(400_000, 1));
    await front.flights.get(layer)?.done;
    kept.pass(60_000);
    await pull(front, "acme/big", "v1", publish(front, "acme/big", "v1", body(900_000, 2)).layer);
    expect(existsSync(kept.fileOf(layer))).toBe(false);
    expect(await seen(registry.getBlob(blob("ann/app", layer), context("bob")))).toBe("UNAUTHORIZED");
    expect(await readBlob(registry, blob("ann/app", layer), context("ann"))).toEqual(body(400_000, 1));
    await front.flights.get(layer)?.done;
    expect(await seen(registry.getBlob(blob("ann/app", layer), context("bob")))).toBe("UNAUTHORIZED");
  });

  it("stays for the other repository that still needs it", async () => {
    const front = await world({ maxSize: 1_000_000 });
    const { kept, upstream } = front;
    const shared = publish(front, "acme/two", "v1", body(300_000, 1));
    publish(front, "acme/one", "v0", body(300_000, 1));
    const own = upstream.blob("acme/one", body(200_000, 4));
    const top = upstream.manifest("acme/one", "v1", { layers: [{ digest: shared.layer }, { digest: own }] });
    for (const layer of [shared.layer, own]) await pull(front, "acme/one", "v1", layer);
    kept.pass(10_000);
    await pull(front, "acme/two", "v1", shared.layer);
    kept.pass(10_000);
    await pull(front, "acme/three", "v1", publish(front, "acme/three", "v1", body(600_000, 3)).layer);
    expect([top, own, shared.layer].map((digest) => existsSync(kept.fileOf(digest)))).toEqual([false, false, true]);
    upstream.asked.length = 0;
    expect((await pull(front, "acme/two", "v1", shared.layer)).bytes).toEqual(body(300_000, 1));
    expect(upstream.count("getBlob")).toBe(0);
  });
});

describe("no room at all", () => {
  it("takes no pull from anybody: all is streamed and right, and nothing that is pinned goes", async () => {
    const front = await world({ maxSize: 500_000, isPinned: (_site, repo) => repo === "acme/base" });
    const { kept } = front;
    const base = publish(front, "acme/base", "v1", body(400_000, 1));
    await pull(front, "acme/base", "v1", base.layer);
    for (let round = 0; round < 2; round += 1) {
      kept.pass(60_000);
      const other = publish(front, "acme/app", "v1", body(300_000, 2));
      expect((await pull(front, "acme/app", "v1", other.layer)).bytes).toEqual(body(300_000, 2));
      expect(existsSync(kept.fileOf(other.layer))).toBe(false);
    }
    front.cut();
    expect((await pull(front, "acme/base", "v1", base.layer)).bytes).toEqual(body(400_000, 1));
  });
});

describe("what the disk has spoilt", () => {
  it("is healed by the next request, large or small, once it has been read back", async () => {
    const front = await world();
    const { kept, registry, upstream } = front;
    const { layer, top } = publish(front, "acme/app", "v1", body(400_000, 1));
    await pull(front, "acme/app", "v1", layer);
    writeFileSync(kept.fileOf(layer), body(400_000, 9));
    writeFileSync(kept.fileOf(top), "{}");
    expect(await verifyBlobs(kept, () => undefined, never())).toMatchObject({ spoiltCount: 2 });
    upstream.asked.length = 0;
    expect((await pull(front, "acme/app", "v1", layer)).bytes).toEqual(body(400_000, 1));
    expect(upstream.count("getBlob")).toBe(1);
    expect((await pull(front, "acme/app", "v1", layer)).bytes).toEqual(body(400_000, 1));
    expect(upstream.count("getBlob")).toBe(1);
    expect(upstream.count("getManifest")).toBe(1);
    expect(await seen(registry.getManifest(manifest("acme/app", top), context()))).toBe("hit");
    expect(await verifyBlobs(kept, () => undefined, never())).toMatchObject({ spoiltCount: 0, checked: { count: 2 } });
    expect(readdirSync(join(kept.folder, "quarantine"))).toHaveLength(2);
  });

  it("and is small is healed by the very request that finds it", async () => {
    const front = await world();
    const { kept } = front;
    const { layer, top } = publish(front, "acme/app", "v1", body(4_000, 1));
    await pull(front, "acme/app", "v1", layer);
    await kept.close();
    for (const digest of [layer, top]) writeFileSync(kept.fileOf(digest), "something else");
    const again = await keeping({ folder: kept.folder });
    const second = { kept: again, ...stack({}, again.blobs, {}, undefined, again.facts) };
    publish(second, "acme/app", "v1", body(4_000, 1));
    expect((await pull(second, "acme/app", "v1", layer)).bytes).toEqual(body(4_000, 1));
    expect((await pull(second, "acme/app", "v1", layer)).bytes).toEqual(body(4_000, 1));
    expect(second.upstream.count("getBlob")).toBe(1);
  });
});
