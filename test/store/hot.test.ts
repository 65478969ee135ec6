// Small blobs from memory around another store: everything that a store must do, whatever is remembered and forgotten meanwhile.
import { mkdtempSync, readdirSync, readlinkSync, rmSync, truncateSync, unlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import type { ByteStream } from "../../src/lib/byte-stream.ts";
import { type Digest, digestOf, hexOf } from "../../src/oci/digest.ts";
import type { BlobStore } from "../../src/store/blobs.ts";
import { openDisk } from "../../src/store/disk.ts";
import { hot } from "../../src/store/hot.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { painted } from "../lib/pattern.ts";
import { blobStoreSuite } from "../suites/blobs.ts";

const KIB = 1024;
const SMALL = 64 * KIB;
const MEMORY = 16 * 1024 * KIB;

const diskAt = async () => {
  const folder = mkdtempSync(join(tmpdir(), "layover-hot-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const disk = await openDisk({ folder, room: async () => ({ free: 2 ** 40, total: 2 ** 40 }) });
  onTestFinished(() => disk.close());
  const fileOf = (digest: Digest) => join(folder, "blobs", "sha256", hexOf(digest).slice(0, 2), hexOf(digest));
  return { disk, fileOf };
};

const nothingOpen = async (): Promise<void> => {
  const isOurs = (fd: string): boolean => {
    try {
      return /layover-hot-.*\/(spool|blobs)\//.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false;
    }
  };
  await expect.poll(() => readdirSync("/proc/self/fd").filter(isOurs)).toEqual([]);
};

blobStoreSuite("hot over disk", async () => hot((await diskAt()).disk), nothingOpen);
blobStoreSuite("hot over memory", async () => hot(memoryBlobs()));

const put = async (store: BlobStore, bytes: Buffer): Promise<Digest> => {
  const digest = digestOf(bytes);
  const stage = await store.stage(bytes.length);
  await stage.append(bytes);
  await stage.verify(digest);
  await stage.commit();
  return digest;
};

const readOf = async (store: BlobStore, digest: Digest, range?: { start: number; end: number }): Promise<Buffer | undefined> => {
  const body = await store.read(digest, range);
  return body === undefined ? undefined : Buffer.concat((await body.toArray()) as Buffer[]);
};

/** Says what it was asked, and waits at its gate before and after each answer. */
const watched = (inner: BlobStore, gate: () => Promise<unknown> = () => Promise.resolve()) => {
  const asked: string[] = [];
  const through = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    asked.push(what);
    await gate();
    const answer = await work();
    await gate();
    return answer;
  };
  const store: BlobStore = {
    stat: (digest) => through("stat", () => inner.stat(digest)),
    read: (digest, range) => through("read", () => inner.read(digest, range)),
    readAll: (digest, limit) => through("readAll", () => inner.readAll(digest, limit)),
    delete: (digest) => through("delete", () => inner.delete(digest)),
    stage: (expected, algorithm) => inner.stage(expected, algorithm),
    fill: (digest, expected) => inner.fill(digest, expected),
    leftover: (digest) => inner.leftover(digest),
    close: () => inner.close(),
  };
  return { store, asked };
};

describe("a hot store", () => {
  it.each([
    [0, true],
    [1, true],
    [SMALL - 1, true],
    [SMALL, true],
    [SMALL + 1, false],
  ])("of a blob of %i bytes, asks for it once: %s", async (size, once) => {
    const { store, asked } = watched(memoryBlobs());
    const hotStore = hot(store);
    const digest = await put(hotStore, painted(1, size));
    for (let time = 0; time < 3; time += 1) expect(await readOf(hotStore, digest)).toEqual(painted(1, size));
    expect(asked.length === 1).toBe(once);
    expect(await hotStore.stat(digest)).toEqual({ size });
    expect(await hotStore.readAll(digest, size)).toEqual(painted(1, size));
    if (size > 0) expect(await hotStore.readAll(digest, size - 1)).toBeUndefined();
  });

  it("gives the ranges of what it remembers, to the borders", async () => {
    const store = hot(memoryBlobs());
    const bytes = painted(2, 1_000);
    const digest = await put(store, bytes);
    for (const [start, end] of [
      [0, 0],
      [0, 999],
      [999, 999],
      [1, 998],
    ] as const)
      for (let time = 0; time < 2; time += 1)
        expect(await readOf(store, digest, { start, end })).toEqual(bytes.subarray(start, end + 1));
  });

  it("is changed by nobody who reads it as a stream", async () => {
    const store = hot(memoryBlobs());
    const bytes = painted(3, 10_000);
    const digest = await put(store, Buffer.from(bytes));
    for (const chunk of (await (await store.read(digest))!.toArray()) as Buffer[]) chunk.fill(0);
    const into = Buffer.alloc(10_000);
    expect(await ((await store.read(digest)) as ByteStream).readInto(into)).toBe(10_000);
    into.fill(0);
    expect(await readOf(store, digest)).toEqual(bytes);
  });

  it("remembers no more than its memory, the latest of all, and forgets only what it can read again", async () => {
    const { store, asked } = watched(memoryBlobs());
    const hotStore = hot(store);
    const blobs = Array.from({ length: MEMORY / SMALL + 50 }, (_, seed) => painted(seed, SMALL));
    const digests: Digest[] = [];
    for (const bytes of blobs) digests.push(await put(hotStore, bytes));
    for (const digest of digests) await hotStore.readAll(digest, SMALL);
    asked.length = 0;
    for (const digest of digests.slice(-200)) await hotStore.readAll(digest, SMALL);
    expect(asked).toEqual([]);
    for (const [at, digest] of digests.entries()) expect((await readOf(hotStore, digest))!.equals(blobs[at]!)).toBe(true);
    expect(asked.length).toBeGreaterThanOrEqual(50);
  });

  it("counts what it costs to remember a blob of a few bytes", async () => {
    const few = Array.from({ length: 70_000 }, (_, at) => Buffer.of(at >> 16, at >> 8, at));
    const blobs = new Map(few.map((bytes) => [digestOf(bytes), bytes]));
    const { store, asked } = watched({ ...memoryBlobs(), readAll: async (digest) => blobs.get(digest) });
    const hotStore = hot(store);
    const digests = [...blobs.keys()];
    for (const digest of digests) await hotStore.readAll(digest, SMALL);
    asked.length = 0;
    for (const digest of digests.slice(0, 100)) await hotStore.readAll(digest, SMALL);
    expect(asked.length).toBe(100);
  });

  it("throws what its store throws, and remembers nothing of it", async () => {
    const inner = memoryBlobs();
    let ill = true;
    const store = hot({
      ...inner,
      readAll: (digest, limit) => (ill ? Promise.reject(new Error("ill")) : inner.readAll(digest, limit)),
    });
    const digest = await put(store, painted(4, 100));
    await expect(store.read(digest)).rejects.toThrow("ill");
    await expect(store.readAll(digest, SMALL)).rejects.toThrow("ill");
    ill = false;
    expect(await readOf(store, digest)).toEqual(painted(4, 100));
  });

  it("neither gives nor remembers what a disk has spoilt: the file is mended, and so is the answer", async () => {
    const { disk, fileOf } = await diskAt();
    const store = hot(disk);
    const digest = await put(store, painted(8, 1_000));
    truncateSync(fileOf(digest), 900);
    await expect(store.readAll(digest, SMALL)).rejects.toThrow("something else");
    await expect(store.read(digest)).rejects.toThrow("something else");
    await put(store, painted(8, 1_000));
    expect(await readOf(store, digest)).toEqual(painted(8, 1_000));
  });

  it("goes on with what it remembers of a file that went behind its back, and misses what it does not", async () => {
    const { disk, fileOf } = await diskAt();
    const store = hot(disk);
    const known = await put(store, painted(5, 100));
    const unknown = await put(store, painted(6, 100));
    await readOf(store, known);
    for (const digest of [known, unknown]) unlinkSync(fileOf(digest));
    expect(await readOf(store, known)).toEqual(painted(5, 100));
    expect(await store.stat(known)).toEqual({ size: 100 });
    expect(await store.stat(unknown)).toBeUndefined();
    expect(await readOf(store, unknown)).toBeUndefined();
    expect(await store.delete(known)).toBe(false);
    expect(await store.stat(known)).toBeUndefined();
    expect(await readOf(store, known)).toBeUndefined();
  });

  it("never ends cleanly a large body whose file is cut under its reader", async () => {
    const { disk, fileOf } = await diskAt();
    const store = hot(disk);
    const size = 2 * 1024 * KIB;
    const digest = await put(store, painted(7, size));
    for (const range of [undefined, { start: 1_000_000, end: size - 1 }]) {
      const body = (await store.read(digest, range)) as ByteStream;
      truncateSync(fileOf(digest), 1_500_000);
      const into = Buffer.alloc(SMALL);
      const all = async () => {
        while ((await body.readInto(into)) > 0);
      };
      await expect(all()).rejects.toThrow("shorter than it was");
      body.destroy();
      truncateSync(fileOf(digest), size);
    }
    await nothingOpen();
  });
});

describe("a hot store whose blobs are deleted while they are read", () => {
  const operation = fc.record({
    kind: fc.constantFrom("read", "readAll", "stat", "delete", "put"),
    which: fc.nat(2),
    joins: fc.nat(15),
  });

  it("never has again what is deleted, and never gives but the exact bytes", { timeout: 60_000 }, async () => {
    const bytes = [painted(1, 100), painted(2, SMALL), painted(3, SMALL + 1)];
    const digests = bytes.map((one) => digestOf(one));
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { minLength: 2, maxLength: 14 }),
        fc.array(fc.nat(4), { minLength: 1 }),
        async (operations, waits) => {
          let waited = 0;
          const gate = async () => {
            waited += 1;
            for (let turns = waits[waited % waits.length]!; turns > 0; turns -= 1) await turn();
          };
          const store = hot(watched(memoryBlobs(), gate).store);
          for (const one of bytes) await put(store, one);
          // of each blob, the latest moment at which a put or a delete of it began or ended
          const writes = bytes.map(() => ({ began: 0, isUnderWay: 0, isHeld: true as boolean | undefined }));
          await Promise.all(
            operations.map(async ({ kind, which, joins }) => {
              for (let turns = 0; turns < joins; turns += 1) await turn();
              const digest = digests[which]!;
              const write = writes[which]!;
              if (kind === "put" || kind === "delete") {
                const isAlone = write.isUnderWay === 0;
                write.began += 1;
                write.isUnderWay += 1;
                const mine = write.began;
                await (kind === "put" ? put(store, bytes[which]!) : store.delete(digest));
                write.isUnderWay -= 1;
                // of two at once, nobody knows which was the last
                write.isHeld = isAlone && write.began === mine ? kind === "put" : undefined;
                return;
              }
              const { began, isUnderWay, isHeld } = write;
              const got =
                kind === "read"
                  ? await readOf(store, digest)
                  : kind === "readAll"
                    ? await store.readAll(digest, 1_000_000)
                    : await store.stat(digest);
              const isKnown = isUnderWay === 0 && write.began === began && isHeld !== undefined;
              if (isKnown) expect(got !== undefined).toBe(isHeld);
              if (Buffer.isBuffer(got)) expect(got.equals(bytes[which]!)).toBe(true);
              else if (got !== undefined) expect(got).toEqual({ size: bytes[which]!.length });
            }),
          );
          for (const [which, digest] of digests.entries()) {
            await store.delete(digest);
            expect(await store.stat(digest)).toBeUndefined();
            expect(await readOf(store, digest)).toBeUndefined();
            expect(await store.readAll(digest, 1_000_000), `blob ${which}`).toBeUndefined();
          }
        },
      ),
      { numRuns: 200 },
    );
  });
});
