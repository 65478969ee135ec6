// The disk store: its suite, and what can happen to a disk and to a process.
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import { StoreFull } from "../../src/store/blobs.ts";
import { type DiskOptions, openDisk } from "../../src/store/disk.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { StoreUnusable } from "../../src/store/unusable.ts";
import { blobStoreSuite } from "../suites/blobs.ts";

const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), "layover-disk-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

const ROOMY = async () => ({ free: 2 ** 40, total: 2 ** 40 });

const open = async (options: Partial<DiskOptions> = {}) => {
  const store = await openDisk({ folder: folder(), room: ROOMY, ...options });
  onTestFinished(() => store.close());
  return store;
};

const descriptors = (): number => readdirSync("/proc/self/fd").length;

/** No file under a test's folder is open. */
const nothingOpen = async (): Promise<void> => {
  const openFiles = () => readdirSync("/proc/self/fd").flatMap((fd) => targetOf(fd));
  await expect.poll(() => openFiles().filter((path) => /layover-disk-.*\/(spool|blobs)\//.test(path))).toEqual([]);
};

const targetOf = (fd: string): string[] => {
  try {
    return [readlinkSync(`/proc/self/fd/${fd}`)];
  } catch {
    return [];
  }
};

blobStoreSuite("disk", open, nothingOpen);
blobStoreSuite("memory", async () => memoryBlobs());

describe("a disk store", () => {
  it("leaves no descriptor and no spool file behind, however its readers and writers end", async () => {
    const path = folder();
    const store = await open({ folder: path });
    const before = descriptors();
    for (let round = 0; round < 10; round += 1) {
      const bytes = Buffer.alloc(100_000, round);
      const stage = await store.stage();
      const left = stage.follow(0).on("error", () => undefined);
      await stage.append(bytes);
      left.destroy();
      const stays = Promise.allSettled([stage.follow(0).toArray()]);
      if (round % 2 === 0) {
        await stage.verify(digestOf(bytes));
        await stage.commit();
        expect((await stays)[0].status).toBe("fulfilled");
      } else {
        await stage.discard(new Error("no"));
        expect((await stays)[0]).toMatchObject({ status: "rejected", reason: { message: "no" } });
      }
      const unread = await store.read(digestOf(bytes));
      unread?.destroy();
    }
    await expect.poll(descriptors).toBeLessThanOrEqual(before);
    expect(readdirSync(join(path, "spool"))).toEqual([]);
  });

  it("is one process's", async () => {
    const path = folder();
    await open({ folder: path });
    await expect(openDisk({ folder: path, lockWait: 0 })).rejects.toThrow(/another Layover process/);
  });

  it("says what is wrong with a folder that cannot be used", async () => {
    const path = join(folder(), "file");
    writeFileSync(path, "in the way");
    await expect(openDisk({ folder: path })).rejects.toThrow(StoreUnusable);
    await expect(openDisk({ folder: join(path, "below") })).rejects.toThrow(/ENOTDIR/);
  });

  it("throws away what a dead process left in the spool that is no fill of a blob", async () => {
    const path = folder();
    await mkdir(join(path, "spool"));
    writeFileSync(join(path, "spool/leftover"), "half a layer");
    await open({ folder: path });
    expect(readdirSync(join(path, "spool"))).toEqual([]);
  });

  it("takes nothing that would eat into the reserve, and promises the same room once", async () => {
    const room = async () => ({ free: 1_500, total: 10_000 });
    const store = await open({ room, reserve: 0.1 });
    const first = await store.stage(300);
    await expect(store.stage(300)).rejects.toThrow(StoreFull);
    const second = await store.stage(200);
    await expect(store.stage(1)).rejects.toThrow(StoreFull);
    for (const stage of [first, second]) await stage.discard(new Error("over"));
  });
});

describe("a cap on a disk store", () => {
  it("counts what is there, what is on its way, and what has gone", async () => {
    const path = folder();
    const keep = async (store: Awaited<ReturnType<typeof openDisk>>, bytes: Buffer) => {
      const stage = await store.stage(bytes.length);
      await stage.append(bytes);
      await stage.verify(digestOf(bytes));
      await stage.commit();
    };
    const first = await openDisk({ folder: path, room: ROOMY, maxSize: 1_000 });
    await keep(first, Buffer.alloc(600, 1));
    await expect(first.stage(500)).rejects.toThrow(StoreFull);
    await (await first.stage(400)).discard(new Error("not wanted"));
    await first.close();
    const second = await open({ folder: path, maxSize: 1_000 });
    second.room.give(-600);
    await expect(second.stage(500)).rejects.toThrow(StoreFull);
    await second.delete(digestOf(Buffer.alloc(600, 1)));
    await (await second.stage(500)).discard(new Error("not wanted"));
  });
});
