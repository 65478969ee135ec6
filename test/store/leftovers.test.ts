// What stays of fills that broke off: over a start, in number and age, as room, and on a disk that is full in mid-file.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { algorithmOf, type Digest, digestOf, hexOf } from "../../src/oci/digest.ts";
import { StoreFull } from "../../src/store/blobs.ts";
import { type DiskOptions, openDisk } from "../../src/store/disk.ts";
import { painted } from "../lib/pattern.ts";

const HOUR = 60 * 60_000;
const { signal } = new AbortController();

const spoolIn = (): { folder: string; spool: string } => {
  const folder = mkdtempSync(join(tmpdir(), "layover-left-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const spool = join(folder, "spool");
  mkdirSync(spool);
  return { folder, spool };
};

const open = async (options: Partial<DiskOptions> & { folder: string }) => {
  const store = await openDisk({ room: async () => ({ free: 2 ** 40, total: 2 ** 40 }), ...options });
  onTestFinished(() => store.close());
  return store;
};

const nameOf = (digest: Digest): string => `${algorithmOf(digest)}-${hexOf(digest)}`;

/** As a process that was killed leaves it. */
const left = (spool: string, digest: Digest, bytes: Buffer, age = 0): void => {
  const path = join(spool, nameOf(digest));
  writeFileSync(path, bytes);
  const then = (Date.now() - age) / 1_000;
  utimesSync(path, then, then);
};

describe("at a start", () => {
  it("fills of the last day stay, and nothing else does", async () => {
    const { folder, spool } = spoolIn();
    const bytes = painted(1, 3_000);
    const young = digestOf(bytes);
    const other = digestOf(bytes, "sha512");
    const old = digestOf(Buffer.from("old"));
    const held = digestOf(painted(2, 500));
    left(spool, young, bytes.subarray(0, 2_000), 23 * HOUR);
    left(spool, other, bytes.subarray(0, 1_000));
    left(spool, old, bytes.subarray(0, 2_000), 25 * HOUR);
    left(spool, digestOf(Buffer.from("nothing came")), Buffer.alloc(0));
    left(spool, held, painted(2, 400));
    writeFileSync(join(spool, "sha256-abc"), "half a layer");
    writeFileSync(join(spool, "0d9c0b1c-2f4e-4f0e-9f0a-3f0d6a6c1d11"), "half a layer");
    mkdirSync(join(spool, nameOf(digestOf(Buffer.from("a folder")))));
    symlinkSync("/etc/passwd", join(spool, nameOf(digestOf(Buffer.from("a link")))));
    const first = await openDisk({ folder: mkdtempSync(join(folder, "other-")) });
    await first.close();
    mkdirSync(join(folder, "blobs/sha256", hexOf(held).slice(0, 2)), { recursive: true });
    writeFileSync(join(folder, "blobs/sha256", hexOf(held).slice(0, 2), hexOf(held)), painted(2, 500));
    const store = await open({ folder });
    expect(readdirSync(spool).sort()).toEqual([nameOf(young), nameOf(other)].sort());
    expect([young, other, old, held].map((digest) => store.leftover(digest))).toEqual([1_999, 999, 0, 0]);
    for (const [digest, from] of [
      [young, 1_999],
      [other, 999],
    ] as const) {
      const stage = await store.fill(digest, bytes.length);
      await stage.readBack(signal);
      await stage.append(bytes.subarray(from));
      expect(await stage.verify(digest)).toBe(true);
      await stage.commit();
      expect(await store.readAll(digest, 3_000)).toEqual(bytes);
    }
    expect(readdirSync(spool)).toEqual([]);
  });

  it("there are no more of them than a few dozen, the youngest", async () => {
    const { folder, spool } = spoolIn();
    const digests = Array.from({ length: 70 }, (_, n) => digestOf(Buffer.from(`${n}`)));
    for (const [n, digest] of digests.entries()) left(spool, digest, Buffer.alloc(10), n * 60_000);
    const store = await open({ folder });
    expect(digests.map((digest) => store.leftover(digest))).toEqual([...Array<number>(64).fill(9), ...Array<number>(6).fill(0)]);
    expect(readdirSync(spool).length).toBe(64);
  });

  it("one that another has made something else of is found out, and gone for good", async () => {
    const { folder, spool } = spoolIn();
    const bytes = painted(1, 3_000);
    const digest = digestOf(bytes);
    left(spool, digest, painted(2, 2_000));
    const store = await open({ folder });
    const stage = await store.fill(digest, bytes.length);
    await stage.readBack(signal);
    await stage.append(bytes.subarray(1_999));
    expect(await stage.verify(digest)).toBe(false);
    await stage.discard(new Error("wrong bytes"));
    expect(readdirSync(spool)).toEqual([]);
    expect(store.leftover(digest)).toBe(0);
  });
});

describe("the room of leftovers", () => {
  it("counts, and is given up for what is wanted now, the oldest first", async () => {
    const { folder, spool } = spoolIn();
    const [older, newer] = [digestOf(Buffer.from("older")), digestOf(Buffer.from("newer"))];
    left(spool, older, Buffer.alloc(400), HOUR);
    left(spool, newer, Buffer.alloc(400));
    const store = await open({ folder, maxSize: 1_000 });
    const fits = await store.stage(200);
    expect([older, newer].map((digest) => store.leftover(digest))).toEqual([399, 399]);
    await fits.append(Buffer.alloc(200));
    // in the middle of a body as well as before it
    await fits.append(Buffer.alloc(100));
    expect([older, newer].map((digest) => store.leftover(digest))).toEqual([0, 399]);
    const more = await store.stage(700);
    expect(readdirSync(spool).includes(nameOf(newer))).toBe(false);
    await expect(store.stage(1)).rejects.toThrow(StoreFull);
    await fits.discard(new Error("over"));
    await more.discard(new Error("over"));
    expect(readdirSync(spool)).toEqual([]);
  });

  it("is taken over by the fill that goes on, once, and is free when that is over", async () => {
    const { folder, spool } = spoolIn();
    const bytes = painted(1, 900);
    const digest = digestOf(bytes);
    left(spool, digest, bytes.subarray(0, 600));
    const store = await open({ folder, maxSize: 1_000 });
    for (let round = 0; round < 3; round += 1) {
      const stage = await store.fill(digest, bytes.length);
      await stage.readBack(signal);
      await stage.append(bytes.subarray(stage.size, stage.size + 50));
      await stage.leave(new Error("broken off"));
    }
    const last = await store.fill(digest, bytes.length);
    await expect(store.stage(101)).rejects.toThrow(StoreFull);
    await last.readBack(signal);
    expect(last.size).toBe(746);
    await last.append(bytes.subarray(last.size));
    expect(await last.verify(digest)).toBe(true);
    await last.commit();
    await expect(store.stage(101)).rejects.toThrow(StoreFull);
    await (await store.stage(100)).discard(new Error("it fits"));
    await store.delete(digest);
    await (await store.stage(1_000)).discard(new Error("it fits"));
  });
});

describe("a reader of a stage that the disk has no room for", () => {
  it("is told the hash of what is there, not of what was on its way", async () => {
    const { folder, spool } = spoolIn();
    const bytes = painted(1, 9_000);
    const store = await open({ folder, maxSize: 5_000 });
    const stage = await store.fill(digestOf(bytes));
    await stage.append(bytes.subarray(0, 4_000));
    const failure = await stage.append(bytes.subarray(4_000)).catch((error: unknown) => error);
    if (!(failure instanceof StoreFull)) throw failure;
    const told = new Promise<unknown>((resolve) => stage.follow(3_999, 8_999).resume().once("error", resolve));
    await stage.overflow(failure);
    const { hasher, size } = (await told) as { hasher: { update(bytes: Buffer): void; digest(): Digest }; size: number };
    expect(size).toBe(4_000);
    hasher.update(bytes.subarray(4_000));
    expect(hasher.digest()).toBe(digestOf(bytes));
    expect(readdirSync(spool)).toEqual([]);
    await (await store.stage(5_000)).discard(new Error("it fits"));
  });
});
