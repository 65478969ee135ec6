// One download per digest, whoever joins, leaves or is refused, and whatever upstream does.
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { OciError } from "../../src/oci/error.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { inPieces } from "../lib/pieces.ts";
import { blob, context, readBlob, seen, stack } from "./stack.ts";

/** No two thousand bytes of it are alike. */
const bytesOf = (length: number): Buffer => {
  const bytes = Buffer.alloc(length);
  for (let at = 0; at + 4 <= length; at += 4) bytes.writeUInt32LE((at * 2_654_435_761) >>> 0, at);
  return bytes;
};
const BYTES = bytesOf(100_000);

const world = (store = memoryBlobs()) => {
  const made = stack({}, store);
  made.upstream.repo("acme/app", { isPublic: true });
  return { ...made, digest: made.upstream.blob("acme/app", BYTES) };
};

describe("a flight", () => {
  it("is one for many, and commits", async () => {
    const { registry, upstream, blobs, digest } = world();
    upstream.bodyOf = (bytes) => inPieces(bytes, 1_000);
    const read = () => readBlob(registry, blob("acme/app", digest), context());
    const all = await Promise.all(Array.from({ length: 12 }, read));
    for (const bytes of all) expect(bytes).toEqual(BYTES);
    expect(upstream.blobBytes).toBe(BYTES.length);
    await expect.poll(() => blobs.stat(digest)).toEqual({ size: BYTES.length });
    expect(await seen(registry.getBlob(blob("acme/app", digest), context()))).toBe("hit");
  });

  it("goes on when its first reader leaves", async () => {
    const { registry, upstream, blobs, digest } = world();
    upstream.bodyOf = (bytes) => inPieces(bytes, 1_000);
    const gone = new AbortController();
    const { body } = await registry.getBlob(blob("acme/app", digest), context(undefined, [], gone.signal));
    body.on("error", () => undefined).destroy();
    gone.abort(new Error("gone"));
    await expect.poll(() => blobs.stat(digest)).toEqual({ size: BYTES.length });
    expect(upstream.blobBytes).toBe(BYTES.length);
  });

  it("goes on from the byte reached when upstream breaks off", async () => {
    const { registry, upstream, digest } = world();
    upstream.bodyOf = (bytes, _query, nth) => inPieces(bytes, 1_000, nth < 3 ? 20_000 : bytes.length);
    expect(await readBlob(registry, blob("acme/app", digest), context())).toEqual(BYTES);
    expect(upstream.asked.filter((line) => line.startsWith("getBlob"))).toEqual([
      `getBlob acme/app ${digest} -`,
      `getBlob acme/app ${digest} bytes=20000- -`,
      `getBlob acme/app ${digest} bytes=40000- -`,
      `getBlob acme/app ${digest} bytes=60000- -`,
    ]);
  });

  it("is cut, never ended cleanly, when the bytes are wrong, and nothing is kept", async () => {
    const { registry, upstream, blobs, flights, digest } = world();
    upstream.bodyOf = (bytes) => inPieces(Buffer.concat([bytes.subarray(0, -1), Buffer.of(bytes.at(-1)! ^ 1)]), 1_000);
    expect(await readBlob(registry, blob("acme/app", digest), context())).toBe("cut");
    await expect.poll(() => flights.get(digest)).toBeUndefined();
    expect(await blobs.stat(digest)).toBeUndefined();
    upstream.bodyOf = (bytes) => inPieces(bytes, 1_000);
    expect(await readBlob(registry, blob("acme/app", digest), context())).toEqual(BYTES);
  });

  it("is cut when more comes than was promised", async () => {
    const { registry, upstream, blobs, digest } = world();
    upstream.bodyOf = (bytes) => inPieces(Buffer.concat([bytes, Buffer.from("more")]), 1_000);
    expect(await readBlob(registry, blob("acme/app", digest), context())).toBe("cut");
    expect(await blobs.stat(digest)).toBeUndefined();
  });

  it("gives up on an upstream that brings nothing more", { timeout: 15_000 }, async () => {
    const { registry, upstream, digest } = world();
    upstream.bodyOf = (bytes, _query, nth) => inPieces(bytes, 1_000, nth === 0 ? 20_000 : 0);
    expect(await readBlob(registry, blob("acme/app", digest), context())).toBe("cut");
    expect(upstream.count("getBlob")).toBeLessThanOrEqual(7);
  });

  it("lets no slow reader hold up the fill", async () => {
    const { registry, upstream, blobs, digest } = world();
    upstream.bodyOf = (bytes) => inPieces(bytes, 1_000);
    const { body } = await registry.getBlob(blob("acme/app", digest), context());
    await expect.poll(() => blobs.stat(digest)).toEqual({ size: BYTES.length });
    expect(Buffer.concat((await body.toArray()) as Buffer[])).toEqual(BYTES);
  });

  it("is joined by a range, near its head; one far ahead goes straight to upstream", async () => {
    const far = bytesOf(18 * 1024 * 1024);
    const { registry, upstream } = world();
    const digest = upstream.blob("acme/app", far);
    const whole = readBlob(registry, blob("acme/app", digest), context());
    const near = await readBlob(registry, blob("acme/app", digest, { start: 10, end: 19 }), context());
    expect(near).toEqual(far.subarray(10, 20));
    expect(far.equals((await whole) as Buffer)).toBe(true);
    const again = stack();
    again.upstream.repo("acme/app", { isPublic: true });
    const cold = again.upstream.blob("acme/app", far);
    const query = blob("acme/app", cold, { start: 17 * 1024 * 1024, end: 17 * 1024 * 1024 + 9 });
    expect(await seen(again.registry.getBlob(query, context()))).toBe("uncached");
    expect(again.upstream.blobBytes).toBe(10);
  });

  it("streams without keeping when there is no room", async () => {
    const { registry, upstream, blobs, digest } = world(memoryBlobs(1_000));
    expect(await readBlob(registry, blob("acme/app", digest), context())).toEqual(BYTES);
    expect(await readBlob(registry, blob("acme/app", digest), context())).toEqual(BYTES);
    expect(await blobs.stat(digest)).toBeUndefined();
    expect(upstream.count("getBlob")).toBeGreaterThanOrEqual(2);
  });

  it("checks what it streams without keeping, too", async () => {
    const { registry, upstream, digest } = world(memoryBlobs(1_000));
    upstream.bodyOf = (bytes) => inPieces(Buffer.concat([bytes.subarray(0, -1), Buffer.of(bytes.at(-1)! ^ 1)]), 1_000);
    expect(await readBlob(registry, blob("acme/app", digest), context())).toBe("cut");
  });

  it("takes an empty blob", async () => {
    const { registry, upstream, blobs } = world();
    const digest = upstream.blob("acme/app", Buffer.alloc(0));
    expect(await readBlob(registry, blob("acme/app", digest), context())).toEqual(Buffer.alloc(0));
    await expect.poll(() => blobs.stat(digest)).toEqual({ size: 0 });
  });
});

describe("who joins a flight", () => {
  const ALICE = "Basic alice";

  it("needs a right of his own, before upstream has answered and after", async () => {
    const { registry, upstream } = stack();
    upstream.repo("alice/app", { readers: [ALICE] });
    const digest = upstream.blob("alice/app", BYTES);
    let open: () => void = () => undefined;
    upstream.gate = new Promise((resolve) => {
      open = resolve;
    });
    upstream.bodyOf = (bytes) => inPieces(bytes, 1_000);
    const owner = readBlob(registry, blob("alice/app", digest), context(ALICE));
    await vi.waitFor(() => expect(upstream.count("getBlob")).toBe(1));
    const early = seen(registry.getBlob(blob("alice/app", digest), context()));
    await vi.waitFor(() => expect(upstream.count("statBlob")).toBe(1));
    open();
    expect(await early).toBe("UNAUTHORIZED");
    expect(await seen(registry.getBlob(blob("alice/app", digest), context("Basic bob")))).toBe("UNAUTHORIZED");
    expect(await owner).toEqual(BYTES);
  });

  it("is not refused for what another was refused for", async () => {
    const { registry, upstream } = stack();
    upstream.repo("alice/app", { readers: [ALICE] });
    const digest = upstream.blob("alice/app", BYTES);
    const [stranger, owner] = await Promise.all([
      seen(registry.getBlob(blob("alice/app", digest), context())),
      readBlob(registry, blob("alice/app", digest), context(ALICE)),
    ]);
    expect(stranger).toBe("UNAUTHORIZED");
    expect(owner).toEqual(BYTES);
  });

  it("learns at once that upstream is away", async () => {
    const { registry, upstream, digest } = world();
    upstream.failure = new OciError("UPSTREAM_UNREACHABLE", "refused");
    expect(await seen(registry.getBlob(blob("acme/app", digest), context()))).toBe("UPSTREAM_UNREACHABLE");
  });
});

describe("whatever the order of joins, leaves and tears", () => {
  const reader = fc.record({
    start: fc.nat(BYTES.length - 1),
    length: fc.integer({ min: 1, max: BYTES.length }),
    delay: fc.nat(5),
    leaves: fc.boolean(),
  });

  it("every reader that stays has the exact bytes, and upstream sends each byte once", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(reader, { minLength: 1, maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 30_000 }), { maxLength: 3 }),
        async (readers, tears) => {
          const { registry, upstream, blobs, digest } = world();
          upstream.bodyOf = (bytes, _query, nth) => inPieces(bytes, 7_001, tears[nth] ?? bytes.length);
          let sent = 0;
          const plain = upstream.bodyOf;
          upstream.bodyOf = (bytes, query, nth) =>
            plain(bytes, query, nth).on("data", (chunk: Buffer) => {
              sent += chunk.length;
            });
          await Promise.all(
            readers.map(async ({ start, length, delay, leaves }) => {
              for (let turn = 0; turn < delay; turn += 1) await new Promise((resolve) => setImmediate(resolve));
              const end = Math.min(start + length, BYTES.length) - 1;
              const { body } = await registry.getBlob(blob("acme/app", digest, { start, end }), context());
              if (leaves) return void body.on("error", () => undefined).destroy();
              expect(Buffer.concat((await body.toArray()) as Buffer[])).toEqual(BYTES.subarray(start, end + 1));
            }),
          );
          await expect.poll(() => blobs.stat(digest)).toEqual({ size: BYTES.length });
          expect(sent).toBe(BYTES.length);
        },
      ),
      { numRuns: 40 },
    );
  });
});
