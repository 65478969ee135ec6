// What every blob store must do, whatever it keeps its bytes in.
import type { Readable } from "node:stream";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { byteStreamOf } from "../../src/lib/readable-source.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { type BlobStore, HOLDBACK, Overflow, type Stage, StoreFull } from "../../src/store/blobs.ts";

const bytesOf = (length: number, seed = 1): Buffer =>
  Buffer.from(Array.from({ length }, (_, at) => (at * 31 * seed + (at >> 8)) % 256));

const read = async (store: BlobStore, digest: Digest, range?: { start: number; end: number }): Promise<Buffer | undefined> => {
  const body = await store.read(digest, range);
  return body === undefined ? undefined : Buffer.concat((await body.toArray()) as Buffer[]);
};

const all = async (stage: Stage, start = 0, end?: number): Promise<Buffer> =>
  Buffer.concat((await stage.follow(start, end).toArray()) as Buffer[]);

const put = async (store: BlobStore, bytes: Buffer, algorithm: "sha256" | "sha512" = "sha256"): Promise<Digest> => {
  const digest = digestOf(bytes, algorithm);
  const stage = await store.stage(bytes.length, algorithm);
  await stage.append(bytes);
  expect(await stage.verify(digest)).toBe(true);
  await stage.commit();
  return digest;
};

/** What a reader has that brings its own buffer. */
async function* pulled(body: Readable, size: number): AsyncGenerator<Buffer> {
  const bytes = byteStreamOf(body);
  const buffer = Buffer.alloc(size);
  try {
    for (let length = await bytes.readInto(buffer); length > 0; length = await bytes.readInto(buffer))
      yield Buffer.from(buffer.subarray(0, length));
  } finally {
    bytes.destroy();
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** `make` gives an empty store; its maker cleans up. `settled` resolves once nothing of what was opened is open any more. */
export const blobStoreSuite = (
  name: string,
  make: () => Promise<BlobStore>,
  settled: () => Promise<void> = async () => undefined,
): void => {
  describe(`${name}: blobs`, () => {
    it("are there once committed, whole and by range, under either algorithm", async () => {
      const store = await make();
      const bytes = bytesOf(10_000);
      for (const algorithm of ["sha256", "sha512"] as const) {
        expect(await store.stat(digestOf(bytes, algorithm))).toBeUndefined();
        const digest = await put(store, bytes, algorithm);
        expect(await store.stat(digest)).toEqual({ size: 10_000 });
        expect(await read(store, digest)).toEqual(bytes);
        expect(await read(store, digest, { start: 10, end: 10 })).toEqual(bytes.subarray(10, 11));
        expect(await read(store, digest, { start: 9_990, end: 9_999 })).toEqual(bytes.subarray(9_990));
        expect(await store.readAll(digest, 10_000)).toEqual(bytes);
        expect(await store.readAll(digest, 9_999)).toBeUndefined();
      }
    });

    it("may be empty", async () => {
      const store = await make();
      const digest = await put(store, Buffer.alloc(0));
      expect(await read(store, digest)).toEqual(Buffer.alloc(0));
    });

    it("that are not held are undefined, not an error", async () => {
      const store = await make();
      const digest = digestOf(Buffer.from("nothing"));
      expect(await read(store, digest)).toBeUndefined();
      expect(await store.readAll(digest, 10)).toBeUndefined();
      expect(await store.delete(digest)).toBe(false);
    });

    it("can be committed twice, also at once", async () => {
      const store = await make();
      const bytes = bytesOf(5_000);
      const digests = await Promise.all([put(store, bytes), put(store, bytes), put(store, bytes)]);
      expect(await read(store, digests[0])).toEqual(bytes);
    });

    it("are the same for a reader that brings its own buffer, of any size, to the borders", async () => {
      const store = await make();
      for (const length of [0, 1, 64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1]) {
        const bytes = bytesOf(length);
        const digest = await put(store, bytes);
        const ranges = length === 0 ? [undefined] : [undefined, { start: 0, end: 0 }, { start: length - 1, end: length - 1 }];
        for (const range of ranges) {
          for (const size of [length + 1, Math.max(1, length), Math.max(1, length - 1), 1_000]) {
            const chunks: Buffer[] = [];
            for await (const chunk of pulled((await store.read(digest, range))!, size)) chunks.push(chunk);
            expect(Buffer.concat(chunks)).toEqual(range === undefined ? bytes : bytes.subarray(range.start, range.end + 1));
          }
        }
      }
      await settled();
    });

    it("are read to the end although they are deleted meanwhile", async () => {
      const store = await make();
      const bytes = bytesOf(3 * 1024 * 1024);
      const digest = await put(store, bytes);
      const body = (await store.read(digest))!;
      expect(await store.delete(digest)).toBe(true);
      expect(bytes.equals(Buffer.concat((await body.toArray()) as Buffer[]))).toBe(true);
      expect(await store.stat(digest)).toBeUndefined();
    });
  });

  describe(`${name}: a stage`, () => {
    it("is no blob before it is committed", async () => {
      const store = await make();
      const bytes = bytesOf(1_000);
      const stage = await store.stage();
      await stage.append(bytes);
      expect(stage.size).toBe(1_000);
      expect(await stage.verify(digestOf(bytes))).toBe(true);
      expect(await store.stat(digestOf(bytes))).toBeUndefined();
      await stage.discard(new Error("not wanted"));
      expect(await store.stat(digestOf(bytes))).toBeUndefined();
    });

    it("holds its last byte back until it is verified, and releases it without a commit", async () => {
      const store = await make();
      const bytes = bytesOf(1_000);
      const stage = await store.stage();
      const follower = stage.follow(0);
      const seen: Buffer[] = [];
      follower.on("data", (chunk: Buffer) => seen.push(chunk));
      await stage.append(bytes);
      await expect.poll(() => Buffer.concat(seen).length).toBe(1_000 - HOLDBACK);
      for (let turns = 0; turns < 20; turns += 1) await turn();
      expect(Buffer.concat(seen).length).toBe(1_000 - HOLDBACK);
      expect(await stage.verify(digestOf(bytes))).toBe(true);
      await expect.poll(() => follower.readableEnded).toBe(true);
      expect(Buffer.concat(seen)).toEqual(bytes);
      await stage.discard(new Error("over"));
    });

    it("that is wrong is refused, and cuts its followers", async () => {
      const store = await make();
      const stage = await store.stage();
      await stage.append(bytesOf(1_000));
      const follower = Promise.allSettled([all(stage)]);
      expect(await stage.verify(digestOf(bytesOf(1_000, 3)))).toBe(false);
      await stage.discard(new Error("wrong bytes"));
      expect((await follower)[0]).toMatchObject({ status: "rejected", reason: { message: "wrong bytes" } });
      await expect(all(stage)).rejects.toThrow();
    });

    it("is followed while it is committed, and after", async () => {
      const store = await make();
      const bytes = bytesOf(200_000);
      const stage = await store.stage();
      await stage.append(bytes);
      const before = all(stage);
      await stage.verify(digestOf(bytes));
      const between = all(stage, 5, 99_999);
      await stage.commit();
      const after = all(stage, 100_000);
      expect(await before).toEqual(bytes);
      expect(await between).toEqual(bytes.subarray(5, 100_000));
      expect(await after).toEqual(bytes.subarray(100_000));
      await stage.discard(new Error("too late to matter"));
      expect(await store.stat(digestOf(bytes))).toEqual({ size: 200_000 });
    });

    it("takes no more once it is verified or discarded", async () => {
      const store = await make();
      const bytes = bytesOf(10);
      const done = await store.stage();
      await done.append(bytes);
      await done.verify(digestOf(bytes));
      await expect(done.append(bytes)).rejects.toThrow();
      await done.discard(new Error("over"));
      const gone = await store.stage();
      await gone.discard(new Error("over"));
      await expect(gone.append(bytes)).rejects.toThrow();
      await expect(gone.commit()).rejects.toThrow();
    });
  });

  describe(`${name}: a stage that is over`, () => {
    it("cannot be committed once it is discarded, verified or not", async () => {
      const store = await make();
      const bytes = bytesOf(100);
      const stage = await store.stage();
      await stage.append(bytes);
      await stage.verify(digestOf(bytes));
      await stage.discard(new Error("not wanted"));
      await expect(stage.commit()).rejects.toThrow(/discarded/);
      expect(await store.stat(digestOf(bytes))).toBeUndefined();
      await stage.discard(new Error("again"));
    });

    it("because its bytes are wrong takes no more, and gets no second verdict", async () => {
      const store = await make();
      const bytes = bytesOf(100);
      const stage = await store.stage();
      await stage.append(bytes);
      expect(await stage.verify(digestOf(Buffer.from("another")))).toBe(false);
      await expect(stage.append(bytes)).rejects.toThrow();
      await expect(stage.verify(digestOf(bytes))).rejects.toThrow();
      await expect(stage.commit()).rejects.toThrow();
      await stage.discard(new Error("wrong bytes"));
      expect(await store.stat(digestOf(bytes))).toBeUndefined();
    });

    it("is committed once, however often and at once it is asked for, and a discard takes nothing back", async () => {
      const store = await make();
      const bytes = bytesOf(100_000);
      const stage = await store.stage();
      await stage.append(bytes);
      await stage.verify(digestOf(bytes));
      await Promise.all([stage.commit(), stage.commit(), stage.discard(new Error("too late"))]);
      await stage.commit();
      expect(await read(store, digestOf(bytes))).toEqual(bytes);
      expect(await all(stage)).toEqual(bytes);
    });

    it("can be asked for nothing past its end", async () => {
      const store = await make();
      const bytes = bytesOf(1_000);
      const stage = await store.stage();
      await stage.append(bytes);
      const tooLong = Promise.allSettled([all(stage, 500, 1_000)]);
      await stage.verify(digestOf(bytes));
      expect((await tooLong)[0].status).toBe("rejected");
      expect(await all(stage, 1_000)).toEqual(Buffer.alloc(0));
      expect(await all(stage, 999)).toEqual(bytes.subarray(999));
      await stage.discard(new Error("over"));
    });
  });

  describe(`${name}: a fill`, () => {
    const { signal } = new AbortController();
    const broken = async (store: BlobStore, bytes: Buffer, algorithm: "sha256" | "sha512" = "sha256"): Promise<Digest> => {
      const digest = digestOf(bytes, algorithm);
      const stage = await store.fill(digest, bytes.length);
      await stage.append(bytes.subarray(0, Math.ceil(bytes.length / 2)));
      const follower = Promise.allSettled([all(stage)]);
      await stage.leave(new Error("broken off"));
      expect((await follower)[0]).toMatchObject({ status: "rejected", reason: { message: "broken off" } });
      await expect(stage.append(bytes)).rejects.toThrow();
      await expect(stage.commit()).rejects.toThrow();
      return digest;
    };

    it("goes on where the one before was left, but for a byte, under either algorithm", async () => {
      const store = await make();
      const bytes = bytesOf(700_001);
      for (const algorithm of ["sha256", "sha512"] as const) {
        const digest = await broken(store, bytes, algorithm);
        expect(store.leftover(digest)).toBe(350_000);
        const stage = await store.fill(digest, bytes.length);
        expect([stage.size, stage.left]).toEqual([0, 350_000]);
        expect(store.leftover(digest)).toBe(0);
        await expect(stage.append(bytes)).rejects.toThrow();
        const [whole, part] = [all(stage), all(stage, 300_000, 400_000)];
        await stage.readBack(signal);
        expect([stage.size, stage.left]).toEqual([350_000, 0]);
        await stage.append(bytes.subarray(350_000));
        expect(await stage.verify(digest)).toBe(true);
        await stage.commit();
        expect(bytes.equals(await whole)).toBe(true);
        expect(bytes.subarray(300_000, 400_001).equals(await part)).toBe(true);
        expect(bytes.equals((await read(store, digest))!)).toBe(true);
        expect(store.leftover(digest)).toBe(0);
      }
      await settled();
    });

    it("leaves as much as it found, when it is left before it has read that back, or appended", async () => {
      const store = await make();
      const digest = await broken(store, bytesOf(10_000));
      await (await store.fill(digest)).leave(new Error("at once"));
      expect(store.leftover(digest)).toBe(4_999);
      const stage = await store.fill(digest);
      await stage.readBack(signal);
      await stage.leave(new Error("again"));
      expect(store.leftover(digest)).toBe(4_999);
    });

    it("leaves nothing once it was wrong, discarded, or committed, and nothing of nothing", async () => {
      const store = await make();
      const bytes = bytesOf(10_000);
      const digest = await broken(store, bytes);
      const wrong = await store.fill(digest);
      await wrong.readBack(signal);
      await wrong.append(bytesOf(5_001, 3));
      expect(await wrong.verify(digest)).toBe(false);
      await wrong.leave(new Error("wrong bytes"));
      expect(store.leftover(digest)).toBe(0);
      await broken(store, bytes);
      await (await store.fill(digest)).discard(new Error("not wanted"));
      expect(store.leftover(digest)).toBe(0);
      await (await store.fill(digest)).leave(new Error("nothing came"));
      expect(store.leftover(digest)).toBe(0);
      const plain = await store.stage();
      await plain.append(bytes);
      await plain.leave(new Error("no fill"));
      expect(store.leftover(digest)).toBe(0);
      await settled();
    });

    it("is one at a time for a digest; another is a stage like any other", async () => {
      const store = await make();
      const bytes = bytesOf(1_000);
      const digest = digestOf(bytes);
      const [first, second] = [await store.fill(digest), await store.fill(digest)];
      for (const stage of [first, second]) await stage.append(bytes);
      await second.leave(new Error("not the fill"));
      expect(store.leftover(digest)).toBe(0);
      expect(await first.verify(digest)).toBe(true);
      await first.commit();
      expect(await read(store, digest)).toEqual(bytes);
    });
  });

  describe(`${name}: a stage without room`, () => {
    it("lets its followers read all that is there, and tells them the hash of it", async () => {
      const store = await make();
      const bytes = bytesOf(200_000);
      const digest = digestOf(bytes);
      const stage = await store.fill(digest, bytes.length);
      await stage.append(bytes.subarray(0, 120_000));
      const follow = async (start: number, end?: number) => {
        const chunks: Buffer[] = [];
        const body = stage.follow(start, end);
        const failure = await (async () => {
          for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk);
        })().catch((error: unknown) => error);
        return { bytes: Buffer.concat(chunks), failure };
      };
      const [whole, within, past] = [follow(0), follow(5, 119_999), follow(10, 150_000)];
      await stage.overflow(new StoreFull("no room"));
      for (const [follower, start] of [
        [whole, 0],
        [past, 10],
      ] as const) {
        const { bytes: seen, failure } = await follower;
        expect(bytes.subarray(start, 120_000).equals(seen)).toBe(true);
        if (!(failure instanceof Overflow)) throw failure;
        expect(failure.size).toBe(120_000);
        const hasher = failure.hasher.copy();
        hasher.update(bytes.subarray(120_000));
        expect(hasher.digest()).toBe(digest);
      }
      expect(await within).toMatchObject({ failure: undefined });
      await expect(stage.append(bytes)).rejects.toThrow();
      expect(store.leftover(digest)).toBe(0);
      await settled();
    });
  });

  describe(`${name}: a store that is closed`, () => {
    it("can be closed again", async () => {
      const store = await make();
      await store.close();
      await store.close();
    });
  });

  describe(`${name}: readers of what grows`, () => {
    it("that leave are gone at once, not when the writer comes to an end", async () => {
      const store = await make();
      const stage = await store.stage();
      await stage.append(bytesOf(100));
      const follower = stage.follow(0).resume();
      for (let turns = 0; turns < 20; turns += 1) await turn();
      await new Promise((resolve) => follower.once("close", resolve).destroy());
      await stage.discard(new Error("over"));
    });

    const reader = fc.record({
      joins: fc.nat(12),
      start: fc.nat(4_999),
      length: fc.integer({ min: 1, max: 5_000 }),
      leaves: fc.option(fc.nat(12), { nil: undefined }),
      slow: fc.boolean(),
      // into a buffer of so many bytes, used again and again; as a plain stream without
      into: fc.option(fc.integer({ min: 1, max: 2_000 }), { nil: undefined }),
    });
    const plan = fc.record({
      pieces: fc.array(fc.integer({ min: 1, max: 1_500 }), { minLength: 1, maxLength: 8 }),
      readers: fc.array(reader, { maxLength: 6 }),
      end: fc.constantFrom("commit", "wrong", "discard"),
    });

    it("have the exact bytes or an error, whatever the order", { timeout: 60_000 }, async () => {
      const store = await make();
      await fc.assert(
        fc.asyncProperty(plan, async ({ pieces, readers, end }) => {
          const bytes = bytesOf(
            pieces.reduce((sum, piece) => sum + piece, 0),
            pieces.length,
          );
          const stage = await store.stage();
          let isJudged = false;
          const following = readers.map(async ({ joins, start, length, leaves, slow, into }) => {
            for (let turns = 0; turns < joins; turns += 1) await turn();
            const from = start % bytes.length;
            const to = Math.min(from + length, bytes.length) - 1;
            const body = stage.follow(from, to);
            if (leaves !== undefined) {
              const reading =
                into === undefined
                  ? undefined
                  : byteStreamOf(body)
                      .readInto(Buffer.alloc(into))
                      .catch(() => undefined);
              for (let turns = 0; turns < leaves; turns += 1) await turn();
              body.destroy();
              await reading;
              return;
            }
            const chunks: Buffer[] = [];
            try {
              for await (const chunk of into === undefined ? (body as AsyncIterable<Buffer>) : pulled(body, into)) {
                chunks.push(chunk);
                if (!isJudged) expect(from + Buffer.concat(chunks).length).toBeLessThanOrEqual(stage.size - HOLDBACK);
                if (slow) await turn();
              }
            } catch (error) {
              expect(error).toMatchObject({ message: "no good" });
              // wherever it broke off, it never got past what was held back
              expect(end).not.toBe("commit");
              expect(from + Buffer.concat(chunks).length).toBeLessThanOrEqual(bytes.length - HOLDBACK);
              return;
            }
            expect(Buffer.concat(chunks)).toEqual(bytes.subarray(from, to + 1));
            if (end !== "commit") expect(to).toBeLessThan(bytes.length - HOLDBACK);
          });
          let at = 0;
          for (const piece of pieces) {
            await turn();
            await stage.append(bytes.subarray(at, at + piece));
            at += piece;
          }
          const digest = end === "commit" ? digestOf(bytes) : digestOf(Buffer.from("another"));
          isJudged = end === "commit";
          const isRight = end === "discard" ? false : await stage.verify(digest);
          if (isRight) await stage.commit();
          else await stage.discard(new Error("no good"));
          await Promise.all(following);
          expect((await store.stat(digestOf(bytes))) !== undefined).toBe(end === "commit");
          await store.delete(digestOf(bytes));
        }),
        { numRuns: 150 },
      );
      await settled();
    });
  });
};
