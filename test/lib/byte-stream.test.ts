// Bytes pulled into the reader's own buffer, from sources of our own and out of other streams: all of them, in order, with the
// error that came after them, and nothing kept of whoever leaves.
import { PassThrough, Readable } from "node:stream";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ByteStream } from "../../src/lib/byte-stream.ts";
import { byteStreamOf, ReadableSource } from "../../src/lib/readable-source.ts";
import { isPainted, type PaintedOptions, PaintedSource, painted } from "./pattern.ts";

const KIB = 1024;

/** By `readInto`, into a buffer of so many bytes; what came, and how it ended. */
const drained = async (body: ByteStream, size = 64 * KIB): Promise<{ bytes: Buffer; error: string | undefined }> => {
  const buffer = Buffer.alloc(size);
  const chunks: Buffer[] = [];
  try {
    for (let length = await body.readInto(buffer); length > 0; length = await body.readInto(buffer))
      chunks.push(Buffer.from(buffer.subarray(0, length)));
    return { bytes: Buffer.concat(chunks), error: undefined };
  } catch (error) {
    return { bytes: Buffer.concat(chunks), error: (error as Error).message };
  } finally {
    body.destroy();
  }
};

/** The same, as anybody reads a stream. */
const collected = async (body: Readable): Promise<{ bytes: Buffer; error: string | undefined }> => {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk);
    return { bytes: Buffer.concat(chunks), error: undefined };
  } catch (error) {
    return { bytes: Buffer.concat(chunks), error: (error as Error).message };
  }
};

const sourceOf = (options: PaintedOptions): { body: ByteStream; source: PaintedSource } => {
  const source = new PaintedSource(options);
  return { source, body: new ByteStream(source) };
};

const SIZES = [0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 512 * KIB + 1];

describe("a byte stream", () => {
  it.each(SIZES)("of %i bytes is the same by either way of reading", async (size) => {
    for (const read of [drained, collected]) {
      const { body, source } = sourceOf({ seed: 1, size });
      const { bytes, error } = await read(body);
      expect({ error, length: bytes.length, right: isPainted(bytes, 1, 0) }).toEqual({
        error: undefined,
        length: size,
        right: true,
      });
      await expect.poll(() => source.isOver).toBe(true);
      expect(source.faults).toEqual([]);
    }
  });

  it.each(SIZES)("of %i bytes in memory is the same by either way of reading, and changes nothing there", async (size) => {
    const bytes = painted(2, size);
    for (const read of [drained, collected]) {
      const got = await read(ByteStream.of(bytes));
      got.bytes.fill(0);
      expect(got.bytes.length).toBe(size);
    }
    expect(isPainted(bytes, 2, 0)).toBe(true);
  });

  it("that fails gives what came before, then the error, however it is read", async () => {
    for (const read of [drained, collected]) {
      const { body, source } = sourceOf({ seed: 3, size: 1_000_000, cuts: [10_000], failsAt: 30_000 });
      expect(await read(body)).toMatchObject({ bytes: { length: 30_000 }, error: "torn" });
      await expect.poll(() => source.isOver).toBe(true);
    }
  });

  it("may fail, or be destroyed with an error, before anybody reads it", async () => {
    const { body, source } = sourceOf({ seed: 4, size: 10 });
    body.destroy(new Error("early"));
    await sleep(5);
    expect(await drained(body)).toMatchObject({ error: "early" });
    expect(source.isOver).toBe(true);
    expect(source.buffers).toEqual([]);
  });

  it("lets nobody read once it is destroyed, not even to a clean end", async () => {
    const { body, source } = sourceOf({ seed: 5, size: 1_000, takes: [20] });
    const waits = body.readInto(Buffer.alloc(10));
    body.destroy();
    await expect(waits).rejects.toThrow("the stream is over");
    await expect(body.readInto(Buffer.alloc(10))).rejects.toThrow("the stream is over");
    await expect.poll(() => source.isOver).toBe(true);
    expect(source.faults).toEqual([]);
  });

  it("is released after the read that is under way, never in the middle of it", async () => {
    for (const read of [
      (body: ByteStream) => void body.readInto(Buffer.alloc(10)).catch(() => undefined),
      (body: ByteStream) => void body.resume(),
    ]) {
      const { body, source } = sourceOf({ seed: 6, size: 1_000, takes: [30] });
      read(body);
      await turn();
      body.destroy();
      expect(source).toMatchObject({ leaves: 1, releases: 0 });
      await expect.poll(() => source.isOver).toBe(true);
      expect(source.faults).toEqual([]);
    }
  });

  it("that drips holds no more memory for its bytes than they are", async () => {
    const { body } = sourceOf({ seed: 7, size: 2_000, cuts: [1] });
    body.read(0);
    await expect.poll(() => body.readableLength).toBe(2_000);
    let held = 0;
    const buffers = new Set<ArrayBufferLike>();
    for (let chunk = body.read(1) as Buffer | null; chunk !== null; chunk = body.read(1) as Buffer | null) {
      if (!buffers.has(chunk.buffer)) held += chunk.buffer.byteLength;
      buffers.add(chunk.buffer);
    }
    expect(held).toBeLessThan(2_000_000);
  });
});

describe("any stream as a source", () => {
  it("is given as it is where it is a byte stream", () => {
    const { body } = sourceOf({ seed: 1, size: 1 });
    expect(byteStreamOf(body)).toBe(body);
  });

  it.each([
    ["has ended", () => Readable.from([]).resume(), undefined],
    ["was destroyed", () => new PassThrough().destroy(), "the stream broke off"],
    ["has failed", () => new PassThrough().on("error", () => undefined).destroy(new Error("torn")), "torn"],
  ] as const)("that %s before it was looked at is over at once", async (_what, make, error) => {
    const body = make();
    await expect.poll(() => body.closed).toBe(true);
    expect(await drained(byteStreamOf(body))).toEqual({ bytes: Buffer.alloc(0), error });
  });

  it("that closes without an end has broken off", async () => {
    const body = new PassThrough();
    const got = drained(byteStreamOf(body));
    body.write("some");
    await turn();
    body.destroy();
    expect(await got).toEqual({ bytes: Buffer.from("some"), error: "the stream broke off" });
  });

  it("is held up while its reader is busy, by bytes and by chunks", async () => {
    for (const [cut, most] of [
      [64 * KIB, 1024 * KIB],
      [1, 64 * KIB],
    ] as const) {
      let given = 0;
      const body = new Readable({
        highWaterMark: cut,
        read() {
          given += cut;
          this.push(Buffer.alloc(cut));
        },
      });
      const source = new ReadableSource(body);
      for (let turns = 0; turns < 20_000; turns += 1) await turn();
      expect(given).toBeLessThanOrEqual(most);
      const before = given;
      for (let taken = 0; taken < most; ) taken += await source.read(Buffer.alloc(256 * KIB));
      expect(given).toBeGreaterThan(before);
      source.leave();
      expect(body.destroyed).toBe(true);
    }
  });

  it("wakes a reader that waits when it is left", async () => {
    const source = new ReadableSource(new PassThrough());
    const waits = source.read(Buffer.alloc(10));
    source.leave();
    expect(await waits).toBe(0);
  });

  const step = fc.oneof(
    fc.record({ write: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 300_000 })) }),
    fc.record({ turns: fc.integer({ min: 0, max: 3 }) }),
  );
  const plan = fc.record({
    steps: fc.array(step, { maxLength: 30 }),
    ends: fc.constantFrom("end", "error", "close"),
    buffer: fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1_000, max: 600_000 })),
    rests: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 5 }),
    plain: fc.boolean(),
  });

  it("gives every byte in order, then the end or the error, whoever is the faster", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(plan, async ({ steps, ends, buffer, rests, plain }) => {
        const pushed: (Buffer | null)[] = [];
        let wanted = false;
        // as a socket does: pushes what has come when it is asked
        const body = new Readable({
          highWaterMark: 64 * KIB,
          read() {
            wanted = true;
          },
        });
        const stream = byteStreamOf(body);
        let size = 0;
        const give = async () => {
          for (const one of steps) {
            if ("turns" in one) for (let turns = 0; turns < one.turns; turns += 1) await turn();
            else {
              for (let turns = 0; !wanted && turns < 1_000_000 && !body.destroyed; turns += 1) await turn();
              wanted = false;
              pushed.push(painted(9, one.write, size));
              body.push(pushed.at(-1));
              size += one.write;
            }
          }
          if (ends === "end") body.push(null);
          // what was pushed is delivered first: a Readable throws away what it still holds when it is destroyed
          for (let turns = 0; body.readableLength > 0 && turns < 1_000_000; turns += 1) await turn();
          await turn();
          if (ends === "error") body.destroy(new Error("torn"));
          if (ends === "close") body.destroy();
        };
        const take = async () => {
          if (plain) return collected(stream);
          const into = Buffer.alloc(size > 100_000 ? Math.max(buffer, 1_000) : buffer);
          const chunks: Buffer[] = [];
          let error: string | undefined;
          try {
            for (let at = 0; ; at += 1) {
              const length = await stream.readInto(into);
              if (length === 0) break;
              chunks.push(Buffer.from(into.subarray(0, length)));
              for (let turns = rests[at % rests.length]!; turns > 0 && at < 300; turns -= 1) await turn();
            }
          } catch (failure) {
            error = (failure as Error).message;
          }
          stream.destroy();
          return { bytes: Buffer.concat(chunks), error };
        };
        const [, got] = await Promise.all([give(), take()]);
        expect(got.error).toBe({ end: undefined, error: "torn", close: "the stream broke off" }[ends]);
        expect(got.bytes.length).toBe(size);
        expect(isPainted(got.bytes, 9, 0)).toBe(true);
      }),
      { numRuns: 100 },
    );
  });
});
