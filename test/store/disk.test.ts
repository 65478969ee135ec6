// The disk store: its suite, and what can happen to a disk and to a process.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
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

blobStoreSuite("disk", open);
blobStoreSuite("memory", async () => memoryBlobs());

const descriptors = (): number => readdirSync("/proc/self/fd").length;

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

  it("throws away what a dead process left in the spool, and nothing else", async () => {
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
    const attempt = async (): Promise<string> => {
      const stage = await second.stage(500).catch((error: Error) => error.name);
      if (typeof stage === "string") return stage;
      await stage.discard(new Error("not wanted"));
      return "taken";
    };
    await expect.poll(attempt).toBe("StoreFull");
    await second.delete(digestOf(Buffer.alloc(600, 1)));
    await (await second.stage(500)).discard(new Error("not wanted"));
  });
});

describe("kill -9", () => {
  const CHILD = `
    import { openDisk } from ${JSON.stringify(new URL("../../src/store/disk.ts", import.meta.url).href)};
    import { openSqlite } from ${JSON.stringify(new URL("../../src/store/sqlite.ts", import.meta.url).href)};
    import { digestOf } from ${JSON.stringify(new URL("../../src/oci/digest.ts", import.meta.url).href)};
    const folder = process.argv[1];
    const blobs = await openDisk({ folder, room: async () => ({ free: 2 ** 40, total: 2 ** 40 }) });
    const facts = openSqlite(folder + "/facts.sqlite");
    for (let n = Number(process.argv[2]); ; n += 1) {
      const bytes = Buffer.alloc(20_000 + n, n % 256);
      const digest = digestOf(bytes);
      const stage = await blobs.stage(bytes.length);
      for (let at = 0; at < bytes.length; at += 4_000) await stage.append(bytes.subarray(at, at + 4_000));
      await stage.verify(digest);
      await stage.commit();
      await facts.moveTag({ site: "s", repo: "r", tag: "t" + n }, { digest, at: n, reason: "pull" }, 0);
      process.stdout.write(n + " " + digest + "\\n");
    }`;

  const lines = (child: ChildProcess, count: number): Promise<string[]> =>
    new Promise((resolve, reject) => {
      let heard = "";
      child.stdout!.on("data", (chunk: Buffer) => {
        heard += chunk.toString();
        if (heard.split("\n").length > count) child.kill("SIGKILL");
      });
      child.stderr!.on("data", (chunk: Buffer) => reject(new Error(chunk.toString())));
      child.once("close", () => resolve(heard.split("\n").slice(0, -1)));
    });

  it("at any moment loses nothing that was committed, and shows nothing that was not", { timeout: 60_000 }, async () => {
    const { openSqlite } = await import("../../src/store/sqlite.ts");
    const path = folder();
    let next = 0;
    for (const count of [1, 7, 20]) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", CHILD, path, String(next)], {
        stdio: ["ignore", "pipe", "pipe"],
      });
      const committed = (await lines(child, count)).map((line) => line.split(" ") as [string, string]);
      expect(committed.length).toBeGreaterThanOrEqual(count);
      const store = await openDisk({ folder: path, room: ROOMY });
      const facts = openSqlite(join(path, "facts.sqlite"));
      try {
        for (const [n, digest] of committed) {
          const bytes = await store.readAll(digest as never, 1_000_000);
          expect(bytes === undefined ? "lost" : digestOf(bytes)).toBe(digest);
          expect((await facts.tag({ site: "s", repo: "r" as never, tag: `t${n}` as never }))?.digest).toBe(digest);
        }
        const held = readdirSync(join(path, "blobs"), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
        for (const { name } of held) {
          const bytes = await store.readAll(`sha256:${name}` as never, 1_000_000);
          expect(digestOf(bytes!)).toBe(`sha256:${name}`);
        }
        expect(readdirSync(join(path, "spool"))).toEqual([]);
      } finally {
        await store.close();
        await facts.close();
      }
      next = Number(committed.at(-1)![0]) + 10;
    }
  });
});
