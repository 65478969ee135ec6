// What a disk says no to, and what is counted of it.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { digestOf, hexOf } from "../../src/oci/digest.ts";
import { type BlobStore, type Stage, StoreFull } from "../../src/store/blobs.ts";
import { type DiskOptions, openDisk } from "../../src/store/disk.ts";
import { StoreUnusable } from "../../src/store/unusable.ts";

const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), "layover-faults-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

const ROOMY = async () => ({ free: 2 ** 40, total: 2 ** 40 });

const open = async (options: Partial<DiskOptions> = {}): Promise<BlobStore> => {
  const store = await openDisk({ folder: folder(), room: ROOMY, ...options });
  onTestFinished(() => store.close());
  return store;
};

const filled = async (store: BlobStore, bytes: Buffer, expected?: number): Promise<Stage> => {
  const stage = await store.stage(expected);
  await stage.append(bytes);
  return stage;
};

const put = async (store: BlobStore, bytes: Buffer): Promise<void> => {
  const stage = await filled(store, bytes, bytes.length);
  await stage.verify(digestOf(bytes));
  await stage.commit();
};

const over = new Error("over");
const descriptors = (): number => readdirSync("/proc/self/fd").length;

describe("a commit that fails", () => {
  it("stays failed, lets its readers finish, and leaves nothing behind", async () => {
    const path = folder();
    const store = await open({ folder: path });
    const before = descriptors();
    const bytes = Buffer.alloc(50_000, 3);
    const inTheWay = join(path, "blobs/sha256");
    writeFileSync(inTheWay, "not a folder");
    const stage = await filled(store, bytes);
    const reader = stage.follow(0).toArray();
    await stage.verify(digestOf(bytes));
    await expect(stage.commit()).rejects.toThrow(/EEXIST|ENOTDIR/);
    rmSync(inTheWay);
    await expect(stage.commit()).rejects.toThrow(/EEXIST|ENOTDIR/);
    await stage.discard(over);
    expect(Buffer.concat((await reader) as Buffer[]).equals(bytes)).toBe(true);
    await expect.poll(descriptors).toBeLessThanOrEqual(before);
    await expect(stage.follow(0).toArray()).rejects.toBe(over);
    expect(readdirSync(join(path, "spool"))).toEqual([]);
    expect(await store.stat(digestOf(bytes))).toBeUndefined();
    await put(store, bytes);
  });

  it("gives its descriptor back although its file cannot be thrown away", async () => {
    const path = folder();
    const store = await open({ folder: path });
    const before = descriptors();
    const stage = await filled(store, Buffer.from("abc"));
    const [name] = readdirSync(join(path, "spool"));
    rmSync(join(path, "spool", name!));
    mkdirSync(join(path, "spool", name!));
    await expect(stage.discard(over)).rejects.toThrow(/EISDIR|EPERM/);
    await expect.poll(descriptors).toBeLessThanOrEqual(before);
  });
});

describe("a reader", () => {
  it("is told when the bytes under it have been cut", async () => {
    const path = folder();
    const store = await open({ folder: path });
    const stage = await filled(store, Buffer.alloc(10_000));
    const [name] = readdirSync(join(path, "spool"));
    writeFileSync(join(path, "spool", name!), "");
    await expect(stage.follow(0, 5_000).toArray()).rejects.toThrow(/shorter/);
    await stage.discard(over);
  });

  it("that nobody listens to ends no process when its blob is gone", async () => {
    const store = await open();
    const bytes = Buffer.from("here and gone");
    const stage = await filled(store, bytes);
    await stage.verify(digestOf(bytes));
    await stage.commit();
    await store.delete(digestOf(bytes));
    const late = stage.follow(0);
    await new Promise((resolve) => late.once("close", resolve));
    expect(late.errored).toMatchObject({ code: "ENOENT" });
  });
});

describe("a writer that does not wait", () => {
  it("is refused, and cannot make a blob of what it mixed up", async () => {
    const store = await open();
    const stage = await store.stage();
    const outcomes = await Promise.allSettled([stage.append(Buffer.from("one")), stage.append(Buffer.from("two"))]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    const writing = stage.append(Buffer.from("three"));
    await expect(stage.verify(digestOf(Buffer.from("one")))).rejects.toThrow(/being written/);
    await writing;
    expect(await stage.verify(digestOf(Buffer.from("onethree")))).toBe(true);
    await stage.commit();
    expect((await store.readAll(digestOf(Buffer.from("onethree")), 100))?.toString()).toBe("onethree");
  });

  it("may discard in the middle of an append", async () => {
    const store = await open();
    const before = descriptors();
    const stage = await store.stage();
    const writing = Promise.allSettled([stage.append(Buffer.alloc(4_000_000))]);
    const reader = Promise.allSettled([stage.follow(0).toArray()]);
    await stage.discard(over);
    await writing;
    expect((await reader)[0]).toMatchObject({ status: "rejected", reason: over });
    await expect.poll(descriptors).toBeLessThanOrEqual(before);
  });
});

describe("the room", () => {
  it("is weighed byte by byte for a body of unknown length", async () => {
    let written = 0;
    const store = await open({ room: async () => ({ free: 1_100 - written, total: 1_000 }), reserve: 0.1 });
    const stage = await store.stage();
    for (const length of [600, 400]) {
      await stage.append(Buffer.alloc(length));
      written += length;
    }
    await expect(stage.append(Buffer.alloc(1))).rejects.toThrow(StoreFull);
    await expect(stage.verify(digestOf(Buffer.alloc(1_000)))).rejects.toThrow();
    await stage.discard(over);
  });

  it("goes on being promised after the disk has been asked again", async () => {
    let free = 1_000;
    const store = await open({ room: async () => ({ free, total: 1_000 }), reserve: 0 });
    const stage = await store.stage(800);
    const later = performance.now() + 60_000;
    vi.spyOn(performance, "now").mockReturnValue(later);
    await expect(store.stage(201)).rejects.toThrow(StoreFull);
    await stage.append(Buffer.alloc(800));
    vi.spyOn(performance, "now").mockReturnValue(later + 60_000);
    free = 200;
    const second = await store.stage(200);
    for (const one of [stage, second]) await one.discard(over);
  });

  it("is all given back by stages that end, however they end", async () => {
    const store = await open({ maxSize: 1_000 });
    for (let round = 0; round < 10; round += 1) {
      const stage = await filled(store, Buffer.alloc(500, round), round % 2 === 0 ? 900 : 0);
      await stage.discard(over);
      await stage.discard(over);
    }
    await (await store.stage(1_000)).discard(over);
  });

  it("counts a blob once, also when it is committed by several at once", async () => {
    const store = await open({ maxSize: 1_000 });
    const bytes = Buffer.alloc(200, 1);
    await Promise.all([put(store, bytes), put(store, bytes), put(store, bytes)]);
    await put(store, bytes);
    await (await store.stage(800)).discard(over);
    await expect(store.stage(801)).rejects.toThrow(StoreFull);
    expect((await Promise.all([1, 2, 3].map(() => store.delete(digestOf(bytes))))).filter(Boolean)).toHaveLength(1);
    await (await store.stage(1_000)).discard(over);
    await expect(store.stage(1_001)).rejects.toThrow(StoreFull);
  });

  it("is said to be gone as StoreFull, and a disk that cannot be asked as it is", async () => {
    const store = await open({ room: () => Promise.reject(Object.assign(new Error("EIO"), { code: "EIO" })) });
    await expect(store.stage(1)).rejects.toThrow(/EIO/);
    await expect(store.stage(1)).rejects.not.toThrow(StoreFull);
  });
});

describe("a folder", () => {
  it("that is a file, or has one where a folder belongs, is refused and left alone", async () => {
    for (const name of ["spool", "blobs"]) {
      const path = folder();
      writeFileSync(join(path, name), "in the way");
      await expect(openDisk({ folder: path, lockWait: 0 })).rejects.toThrow(StoreUnusable);
      expect(readdirSync(path)).toContain(name);
    }
    const path = folder();
    mkdirSync(join(path, "lock"));
    await expect(openDisk({ folder: path, lockWait: 0 })).rejects.toThrow(StoreUnusable);
  });

  it.skipIf(process.getuid?.() === 0)("that may not be written is refused", async () => {
    for (const name of ["", "spool", "blobs"]) {
      const path = folder();
      for (const made of ["spool", "blobs"]) mkdirSync(join(path, made));
      chmodSync(join(path, name), 0o500);
      onTestFinished(() => chmodSync(join(path, name), 0o700));
      await expect(openDisk({ folder: path, lockWait: 0 })).rejects.toThrow(StoreUnusable);
    }
  });

  it("keeps blobs that a dead process left, sweeps folders from the spool too, and is nobody's after close", async () => {
    const path = folder();
    const first = await openDisk({ folder: path, room: ROOMY });
    await put(first, Buffer.from("kept"));
    await first.close();
    await expect(first.stage()).rejects.toThrow(/closed/);
    mkdirSync(join(path, "spool/folder/below"), { recursive: true });
    const second = await open({ folder: path, lockWait: 0 });
    expect(readdirSync(join(path, "spool"))).toEqual([]);
    const hex = hexOf(digestOf(Buffer.from("kept")));
    expect(existsSync(join(path, "blobs/sha256", hex.slice(0, 2), hex))).toBe(true);
    expect(await second.stat(digestOf(Buffer.from("kept")))).toEqual({ size: 4 });
  });
});
