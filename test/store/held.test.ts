// A data folder opened whole: everything that a store must do, and the account that it keeps of what it holds.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import type { Repository } from "../../src/oci/reference.ts";
import { openDisk } from "../../src/store/disk.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import { blobStoreSuite } from "../suites/blobs.ts";
import { body, holds, keeping, logged, nothingOpen, put, ROOMY, scratch } from "./keeping.ts";

blobStoreSuite("kept", async () => (await keeping()).blobs, nothingOpen);

describe("what is held", () => {
  it("is known when it is committed, and not any more when it is deleted", async () => {
    const { blobs, facts } = await keeping();
    const a = await put(blobs, body(100, 1));
    const m = await put(blobs, body(10, 2), [a]);
    expect(await facts.holdings.totals()).toEqual({ count: 2, bytes: 110 });
    expect(await facts.holdings.holding(m)).toMatchObject({ size: 10, isManifest: true });
    expect(await facts.holdings.neededBy(a, 5)).toEqual([m]);
    await blobs.delete(m);
    expect(await facts.holdings.neededBy(a, 5)).toEqual([]);
    await put(blobs, body(100, 1));
    expect(await facts.holdings.totals()).toEqual({ count: 1, bytes: 100 });
  });

  it("is used by whoever asks for it, and the facts learn it before they are closed", async () => {
    const kept = await keeping();
    const digests = [
      await put(kept.blobs, body(100, 1)),
      await put(kept.blobs, body(100, 2)),
      await put(kept.blobs, body(100, 3)),
    ];
    const ways: ((digest: Digest) => Promise<unknown>)[] = [
      (digest) => kept.blobs.stat(digest),
      (digest) => kept.blobs.read(digest),
      (digest) => kept.blobs.readAll(digest, 1_000),
    ];
    const added = (await kept.facts.holdings.holding(digests[0]!))!.usedAt;
    for (const [n, way] of ways.entries()) {
      kept.pass(1_000);
      await way(digests[n]!);
    }
    await kept.close();
    const facts = openSqlite(join(kept.folder, "facts.sqlite"));
    for (const [n, digest] of digests.entries())
      expect((await facts.holdings.holding(digest))?.usedAt).toBe(added + (n + 1) * 1_000);
    await facts.close();
  });

  it("is counted at the next start without being looked at, and held to the cap", async () => {
    const first = await keeping({ maxSize: 1_000 });
    await put(first.blobs, body(600, 1));
    await first.close();
    const second = await keeping({ folder: first.folder, maxSize: 1_000 });
    expect(await second.state()).toMatchObject({ held: 600, count: 1, left: 400, maxSize: 1_000 });
  });

  it("is not noted when its commit fails", async () => {
    const { blobs, facts, folder } = await keeping();
    const bytes = body(100, 1);
    const digest = digestOf(bytes);
    const stage = await blobs.stage(100);
    await stage.append(bytes);
    await stage.verify(digest);
    // its shelf cannot be made
    mkdirSync(join(folder, "blobs"), { recursive: true });
    writeFileSync(join(folder, "blobs/sha256"), "in the way");
    await expect(stage.commit()).rejects.toThrow();
    await stage.discard(new Error("over"));
    expect(await facts.holdings.holding(digest)).toBeUndefined();
  });

  it("is kept all the same when the facts cannot be written, and noted at the next start", async () => {
    const { log, lines } = logged();
    const first = await keeping({ log });
    first.facts.holdings.hold = () => Promise.reject(new Error("locked"));
    const digest = await put(first.blobs, body(100, 1));
    expect(await holds(first.blobs, digest)).toBe(true);
    expect(lines).toContain("error what is held could not be noted");
    await first.close();
    const second = await keeping({ folder: first.folder });
    await second.reconciled;
    expect(await second.facts.holdings.holding(digest)).toMatchObject({ size: 100 });
  });
});

describe("a file that goes behind our back", () => {
  it("is counted no more once it comes again, is thrown away, or has to go", async () => {
    const kept = await keeping({ maxSize: 100_000 });
    const digests: Digest[] = [];
    for (let n = 0; n < 4; n += 1) digests.push(await put(kept.blobs, body(10_000, n)));
    for (const digest of digests) rmSync(kept.fileOf(digest));
    await put(kept.blobs, body(10_000, 0));
    expect(await kept.state()).toMatchObject({ held: 40_000, count: 4 });
    expect(await kept.blobs.delete(digests[1]!)).toBe(false);
    expect(await kept.state()).toMatchObject({ held: 30_000, count: 3 });
    expect(await kept.blobs.evict(digests[2]!)).toBe(true);
    expect(await kept.blobs.reconcile(digests[3]!)).toBe("dropped");
    expect(await kept.state()).toMatchObject({ held: 10_000, count: 1, left: 90_000 });
    expect(await kept.blobs.readAll(digests[0]!, 20_000)).toEqual(body(10_000, 0));
  });
});

describe("a start", () => {
  it("finds what an older version left, manifests and their parts among it, in the background", async () => {
    const folder = scratch();
    const disk = await openDisk({ folder, room: ROOMY, lockWait: 0 });
    const facts = openSqlite(join(folder, "facts.sqlite"));
    const layer = await put(disk, body(300, 1));
    const manifest = Buffer.from(JSON.stringify({ config: { digest: digestOf(body(9, 9)) }, layers: [{ digest: layer }] }));
    const top = await put(disk, manifest);
    await facts.addLink({ site: "s.example", repo: "acme/app" as Repository, digest: top }, { mediaType: "a/b" });
    await facts.close();
    await disk.close();
    const kept = await keeping({ folder, maxSize: 10_000 });
    await kept.reconciled;
    expect(await kept.facts.holdings.totals()).toEqual({ count: 2, bytes: 300 + manifest.length });
    expect(await kept.facts.holdings.holding(top)).toMatchObject({ isManifest: true });
    expect(await kept.facts.holdings.neededBy(layer, 2)).toEqual([top]);
    expect(await kept.state()).toMatchObject({ held: 300 + manifest.length, reconciled: { files: 2, added: 2, dropped: 0 } });
  });

  it("drops what has gone from the disk, adds what was put there, and says what does not belong", async () => {
    const first = await keeping();
    const [gone, stays] = [await put(first.blobs, body(100, 1)), await put(first.blobs, body(100, 2))];
    await first.close();
    rmSync(first.fileOf(gone));
    const restored = digestOf(body(50, 3));
    for (const [file, bytes] of [
      [first.fileOf(restored), body(50, 3)],
      [join(dirname(first.fileOf(stays)), "lost+found"), body(1, 4)],
    ] as const) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, bytes);
    }
    const second = await keeping({ folder: first.folder, maxSize: 1_000 });
    expect((await second.state()).held).toBe(200);
    await second.reconciled;
    expect(await second.state()).toMatchObject({ held: 150, count: 2, reconciled: { files: 2, added: 1, dropped: 1 } });
    expect((await second.state()).reconciled?.strange).toEqual([join(dirname(first.fileOf(stays)), "lost+found")]);
    expect(await second.facts.holdings.holding(gone)).toBeUndefined();
  });

  it("finds nothing to do where nothing has happened, also beside what comes and goes meanwhile", async () => {
    const first = await keeping();
    const digests = [];
    for (let n = 0; n < 30; n += 1) digests.push(await put(first.blobs, body(100, n)));
    await first.close();
    const second = await keeping({ folder: first.folder });
    for (let n = 0; n < 30; n += 1) {
      await second.blobs.delete(digests[n]!);
      await put(second.blobs, body(100, 100 + n));
    }
    await second.reconciled;
    const { count, held, reconciled } = await second.state();
    expect({ count, held, dropped: reconciled?.dropped, added: reconciled?.added }).toEqual({
      count: 30,
      held: 3_000,
      dropped: 0,
      added: 0,
    });
  });

  it("gives the folder back when its facts cannot be used", async () => {
    const folder = scratch();
    writeFileSync(join(folder, "facts.sqlite"), Buffer.alloc(8_192, "no database "));
    await expect(keeping({ folder })).rejects.toThrow(/facts.sqlite/);
    rmSync(join(folder, "facts.sqlite"));
    await keeping({ folder });
  });
});

describe("a small blob that the disk has spoilt", () => {
  it("is out of the store when it is first asked for, and held again when it comes again", async () => {
    const { log, lines } = logged();
    const { blobs, facts, fileOf, folder } = await keeping({ log });
    const bytes = body(1_000, 1);
    const digest = await put(blobs, bytes);
    writeFileSync(fileOf(digest), body(1_000, 2));
    expect(await blobs.read(digest)).toBeUndefined();
    expect(await facts.holdings.holding(digest)).toBeUndefined();
    expect(readdirSync(join(folder, "quarantine"))).toHaveLength(1);
    expect(lines.filter((line) => line.startsWith("error"))).toHaveLength(1);
    await put(blobs, bytes);
    expect(await blobs.readAll(digest, 2_000)).toEqual(bytes);
  });
});

describe("a large blob that the disk has spoilt", () => {
  const spoil = async (bytes: Buffer, others: Buffer) => {
    const first = await keeping();
    const digest = await put(first.blobs, bytes);
    await first.close();
    writeFileSync(first.fileOf(digest), others);
    const { log, lines } = logged();
    return { kept: await keeping({ folder: first.folder, log }), digest, lines };
  };

  it.each([
    ["changed", body(700_000, 2)],
    ["cut short", body(700_000, 1).subarray(0, 600_000)],
    ["grown", Buffer.concat([body(700_000, 1), Buffer.from("x")])],
  ])("%s: is cut before its end when it is first read whole, and is then held no more", async (_, others) => {
    const { kept, digest, lines } = await spoil(body(700_000, 1), others);
    const came: Buffer[] = [];
    const reading = async () => {
      for await (const chunk of (await kept.blobs.read(digest))! as AsyncIterable<Buffer>) came.push(chunk);
    };
    await expect(reading()).rejects.toThrow(/something else/);
    expect(Buffer.concat(came).length).toBeLessThan(others.length);
    expect(await kept.blobs.stat(digest)).toBeUndefined();
    expect(lines.filter((line) => line.startsWith("error"))).toHaveLength(1);
    expect(readdirSync(join(kept.folder, "quarantine"))).toHaveLength(1);
    await put(kept.blobs, body(700_000, 1));
    expect(Buffer.concat((await (await kept.blobs.read(digest))!.toArray()) as Buffer[])).toEqual(body(700_000, 1));
  });

  it("is not given to who wants all of it at once, as a long manifest is", async () => {
    const { kept, digest, lines } = await spoil(body(700_000, 1), body(700_000, 2));
    expect(await kept.blobs.readAll(digest, 8_000_000)).toBeUndefined();
    expect(await kept.blobs.stat(digest)).toBeUndefined();
    expect(lines.filter((line) => line.startsWith("error"))).toHaveLength(1);
    await put(kept.blobs, body(700_000, 1));
    expect(await kept.blobs.readAll(digest, 8_000_000)).toEqual(body(700_000, 1));
  });

  it("is taken out once: what has come anew stays, whoever is still reading what it was", async () => {
    const { kept, digest, lines } = await spoil(body(700_000, 1), body(700_000, 2));
    const [quick, slow] = [(await kept.blobs.read(digest))!, (await kept.blobs.read(digest))!];
    await expect(quick.toArray()).rejects.toThrow(/something else/);
    await put(kept.blobs, body(700_000, 1));
    await expect(slow.toArray()).rejects.toThrow(/something else/);
    expect(Buffer.concat((await (await kept.blobs.read(digest))!.toArray()) as Buffer[])).toEqual(body(700_000, 1));
    expect(lines.filter((line) => line.startsWith("error"))).toHaveLength(1);
  });

  it("is looked for once, in no part of it, and not in what was just written", async () => {
    const { kept, digest } = await spoil(body(700_000, 1), body(700_000, 1));
    const readWhole = async (of: Digest) => Buffer.concat((await (await kept.blobs.read(of))!.toArray()) as Buffer[]);
    const part = (await kept.blobs.read(digest, { start: 10, end: 19 }))!;
    expect(Buffer.concat((await part.toArray()) as Buffer[])).toEqual(body(700_000, 1).subarray(10, 20));
    expect(await readWhole(digest)).toEqual(body(700_000, 1));
    const written = await put(kept.blobs, body(800_000, 2));
    for (const [of, other] of [
      [digest, body(700_000, 3)],
      [written, body(800_000, 3)],
    ] as const) {
      writeFileSync(kept.fileOf(of), other);
      expect(await readWhole(of)).toEqual(other);
    }
  });
});
