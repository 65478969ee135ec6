// Flights over a real socket to an upstream that tears, stalls, throttles and forgets: they go on from the byte reached, and wait as told.
import { describe, expect, it } from "vitest";
import {
  type Behaviour,
  closeOnSecond,
  cutAt,
  drip,
  flip401,
  html,
  ignoreRange,
  redirectExpiring,
  stall,
  status,
  wrongBytes,
  wrongContentRange,
  wrongLength,
} from "../faults/behaviours.ts";
import type { FaultUpstream } from "../faults/upstream.ts";
import { blob, context, readBlob, seen } from "./stack.ts";
import { BLOBS, IDLE, SCALED, seeded, wired } from "./wired.ts";

const SIZE = 1_000_000;
const KIB = 1024;

/** What the registry itself was asked for. */
const rangesOf = (upstream: FaultUpstream) =>
  upstream.requests((one) => one.method === "GET" && one.origin === "registry").map(({ range }) => range);

describe("an upstream that tears", () => {
  it("is asked for the rest, as often as it brings some", async () => {
    const { registry, upstream, flights, blobs } = await wired();
    const { bytes, digest } = seeded(upstream, SIZE);
    upstream.fault(BLOBS, cutAt(90_000), 20);
    expect(bytes.equals((await readBlob(registry, blob("acme/app", digest), context())) as Buffer)).toBe(true);
    const ranges = [undefined, ...Array.from({ length: 11 }, (_, n) => `bytes=${(n + 1) * 90_000}-`)];
    expect(rangesOf(upstream)).toEqual(ranges);
    expect(upstream.bytes(BLOBS)).toBe(SIZE);
    await expect.poll(() => blobs.stat(digest)).toEqual({ size: SIZE });
    expect(flights.counts()).toMatchObject({ begun: 1, retried: 11, landed: 1 });
  });

  it("in silence is left after the idle limit, and asked for the rest", async () => {
    const { registry, upstream } = await wired({ idle: IDLE });
    const { bytes, digest } = seeded(upstream, SIZE);
    upstream.fault((one) => one.range === undefined, stall(300_000));
    upstream.fault((one) => one.range === "bytes=300000-", stall(0), 1);
    expect(bytes.equals((await readBlob(registry, blob("acme/app", digest), context())) as Buffer)).toBe(true);
    expect(rangesOf(upstream)).toEqual([undefined, "bytes=300000-", "bytes=300000-"]);
  });

  it("and knows no ranges sends it all again, of which what is there is left out", async () => {
    const { registry, upstream, blobs } = await wired();
    const { bytes, digest } = seeded(upstream, SIZE);
    upstream.fault(BLOBS, ignoreRange);
    upstream.fault(BLOBS, cutAt(400_000), 1);
    expect(bytes.equals((await readBlob(registry, blob("acme/app", digest), context())) as Buffer)).toBe(true);
    expect(upstream.bytes(BLOBS)).toBe(SIZE + 400_000);
    await expect.poll(() => blobs.stat(digest)).toEqual({ size: SIZE });
  });

  it("by a signed URL that expires with its use is asked for a new one each time", async () => {
    const { registry, upstream } = await wired();
    const { bytes, digest } = seeded(upstream, SIZE);
    upstream.fault((one) => one.origin === "registry" && BLOBS.test(one.path), redirectExpiring(1));
    upstream.fault((one) => one.origin === "store", cutAt(400_000), 2);
    expect(bytes.equals((await readBlob(registry, blob("acme/app", digest), context())) as Buffer)).toBe(true);
    expect(rangesOf(upstream)).toEqual([undefined, "bytes=400000-", "bytes=800000-"]);
    const store = upstream.requests((one) => one.origin === "store");
    expect(new Set(store.map(({ path }) => path)).size).toBe(3);
    expect(store.map(({ status: said }) => said)).toEqual([200, 206, 206]);
    expect(upstream.bytes((one) => one.origin === "store")).toBe(SIZE);
  });

  it("by a signed URL that has expired before it was used is asked once more", async () => {
    const { registry, upstream } = await wired();
    const { bytes, digest } = seeded(upstream, SIZE);
    upstream.fault((one) => one.origin === "registry" && BLOBS.test(one.path), redirectExpiring(1));
    upstream.fault((one) => one.origin === "store", cutAt(400_000), 1);
    upstream.fault((one) => one.origin === "store" && one.range === "bytes=400000-", status(403), 2);
    expect(bytes.equals((await readBlob(registry, blob("acme/app", digest), context())) as Buffer)).toBe(true);
    expect(rangesOf(upstream)).toEqual([undefined, ...Array<string>(3).fill("bytes=400000-")]);
  });

  it("closes connections that are used again", async () => {
    const { registry, upstream } = await wired();
    const blobsOf = [seeded(upstream, 10_000), seeded(upstream, 20_000), seeded(upstream, 30_001)];
    upstream.fault(BLOBS, closeOnSecond);
    for (const { bytes, digest } of blobsOf)
      expect(bytes.equals((await readBlob(registry, blob("acme/app", digest), context())) as Buffer)).toBe(true);
  });

  it("and brings nothing more is given up in time; what has come is kept for the next reader", async () => {
    const { registry, upstream, flights, blobs } = await wired();
    const { bytes, digest } = seeded(upstream, SIZE);
    const lift = upstream.fault((one) => one.range !== undefined, cutAt(0));
    upstream.fault(BLOBS, cutAt(400_000), 1);
    expect(await readBlob(registry, blob("acme/app", digest), context())).toBe("cut");
    expect(upstream.count(BLOBS)).toBeLessThanOrEqual(1 + 2 * SCALED.retry.attempts);
    await expect.poll(() => flights.get(digest)).toBeUndefined();
    expect(flights.counts()).toMatchObject({ "failed.unreachable": 1 });
    expect(blobs.leftover(digest)).toBe(399_999);
    lift();
    upstream.clear();
    expect(bytes.equals((await readBlob(registry, blob("acme/app", digest), context())) as Buffer)).toBe(true);
    expect(rangesOf(upstream)).toEqual(["bytes=399999-"]);
    expect(upstream.bytes(BLOBS)).toBe(SIZE - 399_999);
    expect(flights.counts()).toMatchObject({ begun: 2, resumed: 1, landed: 1 });
  });
});

describe("an upstream that has enough", () => {
  it.each([429, 503])("and says so with %i in mid-flight is left alone as long as it asks, while readers wait", async (code) => {
    const { registry, upstream } = await wired({ flights: { retry: { ...SCALED.retry, longest: 3_000 } } });
    const { bytes, digest } = seeded(upstream, SIZE);
    upstream.fault(BLOBS, cutAt(400_000), 1);
    upstream.fault((one) => one.range !== undefined, status(code, { "retry-after": "1" }), 1);
    const began = performance.now();
    expect(bytes.equals((await readBlob(registry, blob("acme/app", digest), context())) as Buffer)).toBe(true);
    expect(performance.now() - began).toBeGreaterThan(990);
    expect(upstream.count(BLOBS)).toBe(3);
  });

  it("and asks for longer than is bearable is not asked again; what has come is kept", async () => {
    const { registry, upstream, flights, blobs } = await wired();
    const { digest } = seeded(upstream, SIZE);
    upstream.fault(BLOBS, cutAt(400_000), 1);
    upstream.fault((one) => one.range !== undefined, status(429, { "retry-after": "3600" }));
    expect(await readBlob(registry, blob("acme/app", digest), context())).toBe("cut");
    expect(upstream.count(BLOBS)).toBe(2);
    await expect.poll(() => blobs.leftover(digest)).toBe(399_999);
    expect(flights.counts()).toMatchObject({ "failed.throttled": 1, retried: 1 });
  });

  it("before the first byte says so to the client", async () => {
    const { registry, upstream, flights } = await wired();
    const { digest } = seeded(upstream, SIZE);
    upstream.fault(BLOBS, status(429, { "retry-after": "7" }));
    const all = Array.from({ length: 10 }, () => seen(registry.getBlob(blob("acme/app", digest), context())));
    expect(new Set(await Promise.all(all))).toEqual(new Set(["TOOMANYREQUESTS"]));
    expect(flights.counts().landed).toBe(0);
  });
});

describe("a range far ahead of what has come", () => {
  const FAR = 17 * KIB * KIB;

  it("goes past the store, on over torn connections, and asks for no more than it is", async () => {
    const { registry, upstream, flights, blobs } = await wired();
    const { bytes, digest } = seeded(upstream, FAR + 200_000);
    upstream.fault(BLOBS, cutAt(30_000), 2);
    const range = { start: FAR, end: FAR + 99_999 };
    const read = await readBlob(registry, blob("acme/app", digest, range), context());
    expect(bytes.subarray(FAR, FAR + 100_000).equals(read as Buffer)).toBe(true);
    expect(rangesOf(upstream)).toEqual([0, 30_000, 60_000].map((at) => `bytes=${FAR + at}-${FAR + 99_999}`));
    expect(upstream.bytes(BLOBS)).toBe(100_000);
    expect([flights.counts().begun, await blobs.stat(digest)]).toEqual([0, undefined]);
  });

  it("stops when its reader leaves, also while it waits to try again", async () => {
    const { registry, upstream } = await wired({ flights: { retry: { attempts: 5, first: 60_000, most: 60_000, longest: 1 } } });
    const { digest } = seeded(upstream, FAR + 200_000);
    const lift = upstream.fault(BLOBS, drip(1_000, 5));
    const get = async () => (await registry.getBlob(blob("acme/app", digest, { start: FAR }), context())).body;
    const body = (await get()).resume();
    await expect.poll(() => upstream.bytes(BLOBS)).toBeGreaterThan(5_000);
    body.destroy();
    await expect.poll(() => upstream.requests(BLOBS).every(({ isOver }) => isOver)).toBe(true);
    expect(upstream.bytes(BLOBS)).toBeLessThan(150_000);
    lift();
    upstream.fault(BLOBS, cutAt(1_000));
    const waiting = (await get()).resume();
    await expect.poll(() => upstream.requests(BLOBS).filter(({ isOver }) => isOver).length).toBe(2);
    waiting.destroy();
    await expect.poll(() => waiting.closed).toBe(true);
    expect(upstream.count(BLOBS)).toBe(2);
  });
});

describe("a line that is slow", () => {
  it("takes far longer than any limit, and gets there", { timeout: 20_000 }, async () => {
    const { registry, upstream, flights } = await wired({ idle: IDLE });
    const { bytes, digest } = seeded(upstream, 300 * KIB);
    upstream.fault(BLOBS, drip(KIB, 10));
    upstream.fault(BLOBS, cutAt(70 * KIB), 1);
    const began = performance.now();
    const readers = Array.from({ length: 3 }, () => readBlob(registry, blob("acme/app", digest), context()));
    for (const read of await Promise.all(readers)) expect(bytes.equals(read as Buffer)).toBe(true);
    const { retry, parkFor } = SCALED;
    // no limit, at a thousandth of what it is, is a total one; undici's timers tick twice a second, however short they are
    expect(performance.now() - began).toBeGreaterThan(Math.max(2_500, 4 * (IDLE + parkFor + retry.longest)));
    expect(flights.counts()).toMatchObject({ begun: 1, retried: 1, landed: 1 });
    expect(upstream.bytes(BLOBS)).toBe(300 * KIB);
  });
});

describe("an upstream that cannot be believed", () => {
  const shorter: Behaviour = ({ answer }) => {
    answer.content = answer.content.subarray(0, 900_000);
  };
  const lies: [string, Behaviour, string][] = [
    ["other bytes", wrongBytes, "failed.digest"],
    ["fewer bytes than it promises", wrongLength(10), "failed.length"],
    ["more bytes than it promises", wrongLength(-10), "failed.digest"],
  ];

  it.each(lies)("and sends %s has its readers cut, and nothing kept", async (_name, lie, counted) => {
    const { registry, upstream, flights, blobs } = await wired();
    const { bytes, digest } = seeded(upstream, 100_000);
    const lift = upstream.fault(BLOBS, lie);
    expect(await readBlob(registry, blob("acme/app", digest), context())).toBe("cut");
    await expect.poll(() => flights.get(digest)).toBeUndefined();
    expect(flights.counts()).toMatchObject({ [counted]: 1, landed: 0 });
    expect(await blobs.stat(digest)).toBeUndefined();
    lift();
    expect(bytes.equals((await readBlob(registry, blob("acme/app", digest), context())) as Buffer)).toBe(true);
  });

  it.each([
    ["a wrong Content-Range", wrongContentRange("bytes 1-999999/1000000"), "failed.answer"],
    ["another length", shorter, "failed.length"],
    ["a web page", html, "failed.answer"],
  ] as [string, Behaviour, string][])(
    "and goes on with %s has its readers cut, and nothing kept",
    async (_name, lie, counted) => {
      const { registry, upstream, flights, blobs } = await wired();
      const { digest } = seeded(upstream, SIZE);
      upstream.fault((one) => one.range !== undefined, lie);
      upstream.fault(BLOBS, cutAt(400_000), 1);
      expect(await readBlob(registry, blob("acme/app", digest), context())).toBe("cut");
      await expect.poll(() => flights.get(digest)).toBeUndefined();
      expect(flights.counts()).toMatchObject({ [counted]: 1, landed: 0 });
      expect([await blobs.stat(digest), blobs.leftover(digest)]).toEqual([undefined, 0]);
    },
  );

  it("and begins with a web page is not believed either", async () => {
    const { registry, upstream, flights } = await wired();
    const { digest } = seeded(upstream, SIZE);
    upstream.fault(BLOBS, html);
    expect(await seen(registry.getBlob(blob("acme/app", digest), context()))).toBe("UPSTREAM_INVALID");
    await expect.poll(() => flights.counts()["failed.answer"]).toBe(1);
  });

  it("and changes its mind about a credential loses nobody who reads", async () => {
    const { registry, upstream, flights } = await wired();
    const { bytes, digest } = seeded(upstream, SIZE);
    upstream.fault((one) => one.method === "GET", flip401());
    upstream.fault(BLOBS, cutAt(300_000), 1);
    const first = readBlob(registry, blob("acme/app", digest), context());
    await expect.poll(() => flights.counts().parked).toBe(1);
    const second = readBlob(registry, blob("acme/app", digest), context());
    for (const read of await Promise.all([first, second])) expect(bytes.equals(read as Buffer)).toBe(true);
    expect(rangesOf(upstream)).toEqual([undefined, "bytes=300000-", "bytes=300000-"]);
  });
});
