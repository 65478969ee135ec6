// What makes room for what is new: what goes, in which order, what stays, and what is said of it.
import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Digest } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import { StoreFull } from "../../src/store/blobs.ts";
import { body, holds, type Keeping, keeping, logged, put } from "./keeping.ts";

const KEY = { site: "s.example", repo: "acme/app" as Repository };

/** Commits in this order, a second apart. */
const putAll = async (kept: Keeping, bodies: readonly (readonly [Buffer, (readonly Digest[])?])[]): Promise<Digest[]> => {
  const digests: Digest[] = [];
  for (const [bytes, parts] of bodies) {
    digests.push(await put(kept.blobs, bytes, parts));
    kept.pass(1_000);
  }
  return digests;
};

/** Which of them are held, without using them. */
const heldOf = (kept: Keeping, digests: readonly Digest[]): boolean[] => digests.map((digest) => existsSync(kept.fileOf(digest)));

const tagged = (kept: Keeping, tag: string, digest: Digest) =>
  kept.facts.moveTag({ ...KEY, tag: tag as Tag }, { digest, at: 1, reason: "pull" }, 0);

describe("room for what is new", () => {
  it("is made by what was used longest ago", async () => {
    const kept = await keeping({ maxSize: 1_000 });
    const digests = await putAll(kept, [[body(300, 1)], [body(300, 2)], [body(300, 3)]]);
    await kept.blobs.readAll(digests[0]!, 1_000);
    const added = await put(kept.blobs, body(300, 4));
    expect(heldOf(kept, [...digests, added])).toEqual([true, false, true, true]);
    expect(await kept.state()).toMatchObject({ held: 900, count: 3, lastSweep: { freed: 300, count: 1, exhausted: false } });
  });

  it("is made by a manifest before its parts, and only then by them, before anything newer", async () => {
    const kept = await keeping({ maxSize: 1_000 });
    const [layer, config, top, other] = await putAll(kept, [[body(200, 1)], [body(50, 2)]]).then(async ([layer, config]) => [
      layer!,
      config!,
      ...(await putAll(kept, [[body(50, 3), [layer!, config!]], [body(600, 4)]])),
    ]);
    // the layer alone was used since: that keeps nobody from letting its manifest go first
    await kept.blobs.readAll(layer!, 1_000);
    const added = await put(kept.blobs, body(375, 5));
    expect(heldOf(kept, [top!, config!, layer!, other!, added])).toEqual([false, false, false, true, true]);
    expect((await kept.facts.holdings.totals()).bytes).toBeLessThanOrEqual(1_000);
  });

  it("is not made by what another manifest still needs", async () => {
    const kept = await keeping({ maxSize: 1_000 });
    const shared = await put(kept.blobs, body(300, 1));
    kept.pass(1_000);
    const [one, two] = await putAll(kept, [
      [body(200, 2), [shared]],
      [body(200, 3), [shared]],
    ]);
    kept.pass(1_000);
    await put(kept.blobs, body(400, 4));
    expect(heldOf(kept, [one!, two!, shared])).toEqual([false, true, true]);
  });

  it("is not made by what is being read, and is when the reader is done", async () => {
    const kept = await keeping({ maxSize: 410_000 });
    const [old, newer] = await putAll(kept, [[body(200_000, 1)], [body(200_000, 2)]]);
    const reader = (await kept.blobs.read(old!))!;
    kept.pass(1_000);
    await kept.blobs.stat(newer!);
    await put(kept.blobs, body(200_000, 3));
    expect(heldOf(kept, [old!, newer!])).toEqual([true, false]);
    expect(Buffer.concat((await reader.toArray()) as Buffer[])).toEqual(body(200_000, 1));
    kept.pass(60_000);
    await put(kept.blobs, body(200_000, 4));
    expect(heldOf(kept, [old!])).toEqual([false]);
  });

  it("is never made by what is pinned, nor by what belongs to it", async () => {
    const kept = await keeping({ maxSize: 1_000, isPinned: (_site, _repo, reference) => reference === "v1" });
    const layer = await put(kept.blobs, body(300, 1));
    const top = await put(kept.blobs, body(100, 2), [layer]);
    await tagged(kept, "v1", top);
    kept.pass(1_000);
    const other = await put(kept.blobs, body(500, 3));
    await tagged(kept, "v2", other);
    await put(kept.blobs, body(400, 4));
    expect(heldOf(kept, [layer, top, other])).toEqual([true, true, false]);
    await expect(kept.blobs.stage(700)).rejects.toThrow(StoreFull);
    expect(heldOf(kept, [layer, top])).toEqual([true, true]);
  });

  it("is not made at all for what would not fit into the whole", async () => {
    const kept = await keeping({ maxSize: 1_000 });
    const digests = await putAll(kept, [[body(300, 1)], [body(300, 2)]]);
    await expect(kept.blobs.stage(1_001)).rejects.toThrow(StoreFull);
    expect(heldOf(kept, digests)).toEqual([true, true]);
  });

  it("is made as a body of unknown length grows", async () => {
    const kept = await keeping({ maxSize: 1_050 });
    const digests = await putAll(kept, [[body(400, 1)], [body(400, 2)]]);
    const stage = await kept.blobs.stage();
    for (let n = 0; n < 6; n += 1) await stage.append(Buffer.alloc(100));
    expect(heldOf(kept, digests)).toEqual([false, true]);
    await stage.discard(new Error("over"));
  });

  it("is made a little ahead, so that the next need not wait", async () => {
    const kept = await keeping({ maxSize: 100_000 });
    const digests = await putAll(kept, [[body(50_000, 1)], [body(49_000, 2)]]);
    await expect.poll(() => heldOf(kept, digests)).toEqual([false, true]);
  });

  it("that is wanted by many at once is made once for each", async () => {
    const kept = await keeping({ maxSize: 10_000 });
    for (let n = 0; n < 10; n += 1) {
      await put(kept.blobs, body(1_000, n));
      kept.pass(1_000);
    }
    const stages = await Promise.all([1, 2, 3, 4].map(() => kept.blobs.stage(1_000)));
    expect((await kept.state()).held).toBeLessThanOrEqual(6_000);
    expect((await kept.state()).held).toBeGreaterThanOrEqual(5_000);
    for (const stage of stages) await stage.discard(new Error("over"));
  });

  it("is made on a file system that others fill", async () => {
    let free = 500_000;
    const kept = await keeping({ room: async () => ({ free, total: 1_000_000 }) });
    const [old] = await putAll(kept, [[body(100_000, 1)], [body(100_000, 2)]]);
    free = 150_000;
    await expect
      .poll(async () => put(kept.blobs, body(100_000, 3)).then(() => heldOf(kept, [old!])[0]), { timeout: 3_000 })
      .toBe(false);
  });
});

describe("no room", () => {
  it("is said once, and once that there is some again", async () => {
    const { log, lines } = logged();
    let pinned = true;
    const kept = await keeping({ maxSize: 1_000, log, isPinned: () => pinned });
    const top = await put(kept.blobs, body(900, 1));
    await tagged(kept, "v1", top);
    for (let n = 0; n < 5; n += 1) {
      kept.pass(10_000);
      await expect(kept.blobs.stage(200)).rejects.toThrow(StoreFull);
    }
    expect(lines.filter((line) => line.startsWith("warn"))).toHaveLength(1);
    expect((await kept.state()).lastSweep).toMatchObject({ freed: 0, kept: { pinned: 1 }, exhausted: true });
    // small ones find room all the while: that is not yet the end of it
    await put(kept.blobs, body(10, 2));
    await expect(kept.blobs.stage(200)).rejects.toThrow(StoreFull);
    expect(lines).toHaveLength(1);
    expect(kept.disk.room.isFull).toBe(true);
    pinned = false;
    kept.pass(10_000);
    await (await kept.blobs.stage(200)).discard(new Error("over"));
    expect(lines.filter((line) => line.includes("again"))).toHaveLength(1);
    expect(kept.disk.room.isFull).toBe(false);
  });

  it("is made by what a thousand tags and more stand for, unless one of them is pinned", async () => {
    const kept = await keeping({ maxSize: 1_000, isPinned: (_site, _repo, reference) => reference === "v2001" });
    const [loose, firm] = [await put(kept.blobs, body(400, 1)), await put(kept.blobs, body(400, 2))];
    for (let n = 0; n < 1_001; n += 1) {
      await tagged(kept, `a${n}`, loose);
      await tagged(kept, `v${n + 1_001}`, firm);
    }
    kept.pass(10_000);
    await (await kept.blobs.stage(500)).discard(new Error("over"));
    expect(heldOf(kept, [loose, firm])).toEqual([false, true]);
  });

  it("is not looked for again with every body that comes by", async () => {
    const kept = await keeping({ maxSize: 1_000, isPinned: () => true });
    await tagged(kept, "v1", await put(kept.blobs, body(900, 1)));
    const { holdings } = kept.facts;
    const idle = holdings.idle.bind(holdings);
    let looks = 0;
    holdings.idle = (after, limit) => {
      if (after === undefined) looks += 1;
      return idle(after, limit);
    };
    for (let n = 0; n < 5; n += 1) await expect(kept.blobs.stage(200)).rejects.toThrow(StoreFull);
    expect(looks).toBe(1);
    kept.pass(60_000);
    await expect(kept.blobs.stage(200)).rejects.toThrow(StoreFull);
    expect(looks).toBe(2);
  });

  it("is no matter of what is larger than the whole, of which it is only said that it is so", async () => {
    const { log, lines } = logged();
    const kept = await keeping({ maxSize: 1_000, log });
    for (let n = 0; n < 3; n += 1) await expect(kept.blobs.stage(2_000)).rejects.toThrow(StoreFull);
    expect(lines).toEqual(["warn a body goes by without being kept: it is larger than all that may be held"]);
    expect(kept.disk.room.isFull).toBe(false);
  });
});

describe("maxAge", () => {
  it("lets go what was not used for so long, whatever room there is, but not what is pinned", async () => {
    const kept = await keeping({ isPinned: (_site, _repo, reference) => reference === "v1" });
    const layer = await put(kept.blobs, body(100, 1));
    const top = await put(kept.blobs, body(100, 2), [layer]);
    const pinned = await put(kept.blobs, body(100, 3));
    await tagged(kept, "v1", pinned);
    kept.pass(60_000);
    const used = await put(kept.blobs, body(100, 4));
    expect(await kept.sweep.expire(60_000)).toMatchObject({ freed: 0, count: 0 });
    kept.pass(1);
    expect(await kept.sweep.expire(60_000)).toMatchObject({
      freed: 200,
      count: 2,
      wanted: undefined,
      exhausted: false,
      kept: { pinned: 1 },
    });
    expect(heldOf(kept, [layer, top, pinned, used])).toEqual([false, false, true, true]);
  });

  it("is looked after by itself", async () => {
    const kept = await keeping({ maxAge: 2_000, clock: Date.now });
    const old = await put(kept.blobs, body(100, 1));
    await expect.poll(() => heldOf(kept, [old])[0], { timeout: 6_000 }).toBe(false);
    expect(await holds(kept.blobs, old)).toBe(false);
  });
});
