// The disk is full in mid-flight: nothing is kept, and every reader goes on by itself from where it is, by its own right, checked where it can be.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { byteStreamOf } from "../../src/lib/readable-source.ts";
import { digestOf } from "../../src/oci/digest.ts";
import type { RangeRequest } from "../../src/oci/range.ts";
import { flights } from "../../src/registry/flights.ts";
import { type BlobStore, type Stage, StoreFull } from "../../src/store/blobs.ts";
import { openDisk } from "../../src/store/disk.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { painted } from "../lib/pattern.ts";
import { inPieces } from "../lib/pieces.ts";
import { logged } from "../store/keeping.ts";
import { blob, context, readBlob, stack } from "./stack.ts";

const SIZE = 400_000;
const BYTES = painted(1, SIZE);
const [ANN, BOB] = ["Basic ann", "Basic bob"];

/** No stage may have more bytes than this, and each takes all of these: however few or many come at once, it overflows at the same byte. */
const quota = (inner: BlobStore, most: number): BlobStore => ({
  ...inner,
  fill: async (digest, expected) => {
    const stage = await inner.fill(digest, expected);
    const append = async (bytes: Uint8Array) => {
      const fitting = bytes.subarray(0, most - stage.size);
      if (fitting.length > 0) await stage.append(fitting);
      if (fitting.length < bytes.length) throw new StoreFull("the quota is used up");
    };
    return new Proxy<Stage>(stage, {
      get(target, name) {
        const value: unknown = name === "append" ? append : Reflect.get(target, name, target);
        return typeof value === "function" && name !== "append" ? (value.bind(target) as unknown) : value;
      },
    });
  },
});

const diskAt = async () => {
  const folder = mkdtempSync(join(tmpdir(), "layover-overflow-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const disk = await openDisk({ folder, room: async () => ({ free: 2 ** 40, total: 2 ** 40 }) });
  onTestFinished(() => disk.close());
  // a class has its methods on its prototype, where a spread does not find them
  const store: BlobStore = {
    stat: (digest) => disk.stat(digest),
    read: (digest, range) => disk.read(digest, range),
    readAll: (digest, limit) => disk.readAll(digest, limit),
    stage: (expected, algorithm) => disk.stage(expected, algorithm),
    fill: (digest, expected) => disk.fill(digest, expected),
    leftover: (digest) => disk.leftover(digest),
    delete: (digest) => disk.delete(digest),
    close: () => disk.close(),
  };
  return { store, spool: join(folder, "spool") };
};

const world = (store: BlobStore, most: number, readers: readonly string[] = [ANN, BOB]) => {
  const made = stack({}, quota(store, most));
  const repo = made.upstream.repo("acme/app", { readers });
  const digest = made.upstream.blob("acme/app", BYTES);
  made.upstream.bodyOf = (bytes) => inPieces(bytes, 7_001);
  return { ...made, repo, digest };
};

const drained = async (body: ReturnType<typeof byteStreamOf>, size: number, slow = false): Promise<Buffer | "cut"> => {
  const chunks: Buffer[] = [];
  const into = Buffer.alloc(size);
  try {
    for (let length = await body.readInto(into); length > 0; length = await body.readInto(into)) {
      chunks.push(Buffer.from(into.subarray(0, length)));
      if (slow) for (let turns = 0; turns < 3; turns += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    return Buffer.concat(chunks);
  } catch {
    return "cut";
  } finally {
    body.destroy();
  }
};

describe("a disk that is full in mid-flight", () => {
  it("cuts nobody: quick and slow readers, whole ones and ranges, each with its own right", async () => {
    const { store, spool } = await diskAt();
    const made = world(store, 150_000);
    const { promise: gate, resolve: go } = Promise.withResolvers<void>();
    made.upstream.bodyOf = (bytes, _query, nth) => inPieces(bytes, 7_001, bytes.length, nth === 0 ? gate : undefined);
    const read = async (credential: string, range?: RangeRequest, size = 10_000, slow = false) => {
      const { body } = await made.registry.getBlob(blob("acme/app", made.digest, range), context(credential));
      return drained(byteStreamOf(body), size, slow);
    };
    const reading = Promise.all([
      read(ANN),
      read(BOB, undefined, 1_000, true),
      read(BOB, { start: 10, end: 99_999 }),
      read(ANN, { start: 100_000, end: 299_999 }),
      read(BOB, { start: 300_000 }),
    ]);
    await expect.poll(() => made.flights.counts().joined).toBe(4);
    go();
    const [quick, slow, within, over, ahead] = await reading;
    expect(BYTES.equals(quick as Buffer)).toBe(true);
    expect(BYTES.equals(slow as Buffer)).toBe(true);
    expect(BYTES.subarray(10, 100_000).equals(within as Buffer)).toBe(true);
    expect(BYTES.subarray(100_000, 300_000).equals(over as Buffer)).toBe(true);
    expect(BYTES.subarray(300_000).equals(ahead as Buffer)).toBe(true);
    const counts = made.flights.counts();
    expect(counts).toMatchObject({ "failed.full": 1, landed: 0 });
    expect(counts.alone).toBe(4);
    // from where each of them was, to where it wanted, by its own credential
    const gets = made.upstream.asked
      .filter((line) => line.startsWith("getBlob"))
      .map((line) => line.split(" ").slice(3).join(" "));
    expect(gets).toContain("bytes=300000-399999 Basic bob");
    expect(gets).toContain("bytes=150000- Basic bob");
    expect(gets).toContain("bytes=150000-299999 Basic ann");
    expect([await made.blobs.stat(made.digest), made.blobs.leftover(made.digest)]).toEqual([undefined, 0]);
    expect(readdirSync(spool)).toEqual([]);
  });

  it("is no news with every body that finds no room: that is the store's own word", async () => {
    const { log, lines } = logged();
    for (const most of [0, 150_000]) {
      const none = { ...memoryBlobs(), fill: () => Promise.reject(new StoreFull("no room")) };
      const flying = flights(most === 0 ? none : quota(memoryBlobs(), most), log);
      const open = async () => ({ body: inPieces(BYTES, 7_001), start: 0, total: SIZE });
      const joining = { open, client: "", site: "registry.test", isEntitled: async () => true };
      const flight = flying.begin(digestOf(BYTES));
      const read = flight.join(joining, undefined, new AbortController().signal).then(({ body }) => drained(body, SIZE));
      await expect(read.then((bytes) => BYTES.equals(bytes as Buffer)).catch((error: Error) => error.name)).resolves.toBe(
        most === 0 ? "StoreFull" : true,
      );
      await flight.done;
      expect(flying.counts()["failed.full"]).toBe(1);
    }
    expect(lines.filter((line) => !line.startsWith("debug"))).toEqual([]);
  });

  it("leaves the whole body checked to its last byte, also of who reads from within what was there", async () => {
    for (const range of [undefined, { start: 1_000 }, { start: 1_000, end: SIZE - 1 }]) {
      const made = world(memoryBlobs(), 150_000);
      made.upstream.bodyOf = (bytes, query) => {
        const wrong = Buffer.from(bytes);
        if (query.range !== undefined) wrong[wrong.length - 50_000]! ^= 1;
        return inPieces(wrong, 7_001);
      };
      expect(await readBlob(made.registry, blob("acme/app", made.digest, range), context(ANN))).toBe("cut");
    }
  });

  it("leaves each reader its own right: who has lost it is cut, and nobody else", async () => {
    const made = world(memoryBlobs(), 150_000);
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    made.upstream.bodyOf = (bytes, _query, nth) => inPieces(bytes, 7_001, bytes.length, nth === 0 ? gate : undefined);
    const [ann, bob] = [ANN, BOB].map((who) => readBlob(made.registry, blob("acme/app", made.digest), context(who)));
    await expect.poll(() => made.flights.counts().joined).toBe(1);
    made.repo.readers.delete(ANN);
    go();
    expect(await ann).toBe("cut");
    expect(BYTES.equals((await bob) as Buffer)).toBe(true);
  });

  it("lets them go on over torn connections, and leave when they like", async () => {
    const made = world(memoryBlobs(), 150_000);
    made.upstream.bodyOf = (bytes, _query, nth) => inPieces(bytes, 7_001, nth === 0 || nth > 4 ? bytes.length : 40_000);
    const leaver = (await made.registry.getBlob(blob("acme/app", made.digest), context(BOB))).body;
    expect(BYTES.equals((await readBlob(made.registry, blob("acme/app", made.digest), context(ANN))) as Buffer)).toBe(true);
    leaver.destroy();
    await expect.poll(() => leaver.closed).toBe(true);
  });

  const reader = fc.record({
    start: fc.nat(SIZE - 1),
    length: fc.oneof(fc.constant(SIZE), fc.integer({ min: 1, max: SIZE })),
    into: fc.integer({ min: 1_000, max: 100_000 }),
    delay: fc.nat(30),
    slow: fc.boolean(),
    leaves: fc.boolean(),
  });

  it("whatever the quota, the tears and the readers: exact bytes for each", { timeout: 60_000 }, async () => {
    const plan = fc.record({
      most: fc.nat(SIZE),
      tears: fc.array(fc.integer({ min: 1, max: SIZE / 2 }), { maxLength: 3 }),
      readers: fc.array(reader, { minLength: 1, maxLength: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ most, tears, readers }) => {
        const made = world(memoryBlobs(), most);
        made.upstream.bodyOf = (bytes, _query, nth) => inPieces(bytes, 7_001, tears[nth] ?? bytes.length);
        await Promise.all(
          readers.map(async ({ start, length, into, delay, slow, leaves }) => {
            for (let turn = 0; turn < delay; turn += 1) await new Promise((resolve) => setImmediate(resolve));
            const end = Math.min(start + length, SIZE) - 1;
            const { body } = await made.registry.getBlob(blob("acme/app", made.digest, { start, end }), context(ANN));
            if (leaves) return void body.destroy();
            const read = await drained(byteStreamOf(body), into, slow);
            expect(BYTES.subarray(start, end + 1).equals(read as Buffer)).toBe(true);
          }),
        );
        await expect.poll(() => made.flights.get(made.digest)).toBeUndefined();
        const isHeld = (await made.blobs.stat(made.digest)) !== undefined;
        if (most < SIZE) expect([isHeld, made.blobs.leftover(made.digest)]).toEqual([false, 0]);
      }),
      { numRuns: 40 },
    );
  });
});
