import { buffer } from "node:stream/consumers";
import { describe, expect, it } from "vitest";
import { digestOf, parseDigest } from "../../src/oci/digest.ts";
import { formatRange, type RangeRequest } from "../../src/oci/range.ts";
import { parseRepository } from "../../src/oci/reference.ts";
import type { Blob } from "../../src/oci/registry.ts";
import {
  cutAt,
  drip,
  header,
  html,
  ignoreRange,
  redirect,
  redirectTo,
  stall,
  status,
  wrongBytes,
  wrongContentRange,
  wrongLength,
} from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, registryAt, transportFor } from "./asking.ts";

const repo = parseRepository("team/app");
const SIZE = 300_000;

const layer = async (size = SIZE, transport = transportFor()) => {
  const upstream = await faultUpstream();
  const { bytes, digest } = upstream.content.seed({ repo, layers: size }).layers[0]!;
  const registry = registryAt(upstream.url, undefined, transport);
  const get = (range?: RangeRequest, ctx = asking()): Promise<Blob> =>
    registry.getBlob({ repo, digest: parseDigest(digest), ...(range === undefined ? {} : { range }) }, ctx);
  return { upstream, bytes, digest: parseDigest(digest), registry, get };
};

describe("a blob", () => {
  it("comes as it is, with its size, and is counted as it passes", async () => {
    const { get, bytes, digest } = await layer();
    const ctx = asking();
    const blob = await get(undefined, ctx);
    expect(blob).toMatchObject({
      descriptor: { digest, size: SIZE },
      range: undefined,
      provenance: { source: "miss" },
    });
    expect(await buffer(blob.body)).toEqual(bytes);
    expect(ctx.tally).toEqual({ upstreamBytes: SIZE, upstreamRequests: 1 });
  });

  it("of no bytes is a blob", async () => {
    const { get } = await layer(0);
    const blob = await get();
    expect(blob.descriptor.size).toBe(0);
    expect(await buffer(blob.body)).toHaveLength(0);
  });

  it("may be held at another origin, which gets the range and no credential", async () => {
    const { upstream, get, bytes } = await layer();
    upstream.fault(({ origin }) => origin === "registry", redirect());
    const ctx = asking({ credential: "Bearer secret" });
    const blob = await get({ start: 299_000 }, ctx);
    expect(await buffer(blob.body)).toEqual(bytes.subarray(299_000));
    expect(upstream.requests(({ origin }) => origin === "store")).toMatchObject([
      { range: "bytes=299000-", hasAuthorization: false },
    ]);
    expect(ctx.tally).toEqual({ upstreamBytes: 1_000, upstreamRequests: 2 });
  });

  it("without a length has no size, and ends where its chunks end", async () => {
    const { upstream, get, bytes } = await layer();
    upstream.fault(/blobs/, header("content-length", undefined));
    const blob = await get();
    expect(blob.descriptor.size).toBeUndefined();
    expect(await buffer(blob.body)).toEqual(bytes);
  });

  it("is not held against its digest here: whoever keeps it does that", async () => {
    const { upstream, get, digest } = await layer();
    upstream.fault(/blobs/, wrongBytes);
    expect(digestOf(await buffer((await get()).body))).not.toBe(digest);
  });

  it.each([
    ["cut", cutAt(100_000)],
    ["short of its length", wrongLength(10)],
  ])("that is %s errors instead of ending", async (_what, behaviour) => {
    const { upstream, get } = await layer();
    upstream.fault(/blobs/, behaviour);
    expect((await failureOf(buffer((await get()).body))).code).toBe("UPSTREAM_UNREACHABLE");
  });

  it("without a length that is cut errors instead of ending", async () => {
    const { upstream, get } = await layer();
    upstream.fault(/blobs/, header("content-length", undefined));
    upstream.fault(/blobs/, cutAt(100_000));
    expect((await failureOf(buffer((await get()).body))).code).toBe("UPSTREAM_UNREACHABLE");
  });

  it("that breaks off before anybody reads it ends no process, and says so to its reader", async () => {
    const { upstream, get } = await layer();
    upstream.fault(/blobs/, cutAt(10));
    const { body } = await get();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect((await failureOf(buffer(body))).code).toBe("UPSTREAM_UNREACHABLE");
  });

  it("that falls silent errors, but one that drips for longer than that does not", async () => {
    const { upstream, get, bytes } = await layer(2_000, transportFor({ idle: 1_000 }));
    upstream.fault(/blobs/, drip(100, 60), 1);
    const began = performance.now();
    expect(await buffer((await get()).body)).toEqual(bytes);
    expect(performance.now() - began).toBeGreaterThan(1_000);
    upstream.fault(/blobs/, stall(100));
    expect((await failureOf(buffer((await get()).body))).code).toBe("UPSTREAM_UNREACHABLE");
  });

  it.each([
    ["an HTML page", html],
    ["encoded", header("content-encoding", "gzip")],
    ["a part that nobody asked for", status(206, { "content-range": "bytes 0-1/2" }, "ab")],
    ["nothing", status(204)],
  ])("that is %s is refused", async (_what, behaviour) => {
    const { upstream, get } = await layer();
    upstream.fault(/blobs/, behaviour);
    expect((await failureOf(get())).code).toBe("UPSTREAM_INVALID");
  });

  it.each<[number, string]>([
    [401, "UNAUTHORIZED"],
    [403, "DENIED"],
    [404, "BLOB_UNKNOWN"],
    [416, "RANGE_INVALID"],
    [429, "TOOMANYREQUESTS"],
    [500, "UPSTREAM_INVALID"],
  ])("refused with %i is %s", async (code, expected) => {
    const { upstream, get } = await layer();
    upstream.fault(/blobs/, status(code));
    expect(await failureOf(get({ start: 1 }))).toMatchObject({ code: expected, status: code });
  });

  it("that a signed URL will not give any more counts as an outage, whatever the store calls it", async () => {
    const { upstream, get } = await layer();
    const store = await faultUpstream();
    upstream.fault(/blobs/, redirectTo(new URL("/signed", store.url).href));
    for (const code of [400, 401, 403]) {
      store.clearFaults();
      store.fault(/signed/, status(code, { "www-authenticate": "AWS" }, "<Error><Code>ExpiredToken</Code></Error>"));
      expect(await failureOf(get())).toMatchObject({ code: "UPSTREAM_UNREACHABLE", isRefusal: false, upstream: undefined });
    }
  });

  it("is let go of when its reader leaves: upstream sees the connection end", async () => {
    const { upstream, get } = await layer();
    upstream.fault(/blobs/, stall(1_000));
    const { body } = await get();
    body.once("data", () => body.destroy());
    await expect.poll(() => upstream.log[0]!.isOver).toBe(true);
  });

  it("ends with the reason of a caller that leaves", async () => {
    const { upstream, get } = await layer();
    upstream.fault(/blobs/, stall(1_000));
    const client = new AbortController();
    const { body } = await get(undefined, asking({ signal: client.signal }));
    const reason = new Error("the client left");
    const reading = buffer(body);
    client.abort(reason);
    await expect(reading).rejects.toBe(reason);
  });

  it("waits for a slow reader instead of piling up", async () => {
    const { upstream, get } = await layer(30_000_000);
    const ctx = asking();
    const { body } = await get(undefined, ctx);
    await new Promise((resolve) => void body.once("readable", resolve));
    await expect.poll(() => upstream.bytes(), { interval: 100 }).toBeGreaterThan(100_000);
    expect(ctx.tally.upstreamBytes).toBeLessThan(2_000_000);
    body.destroy();
  });
});

describe("a part of a blob", () => {
  it.each<[string, RangeRequest, number, number]>([
    ["from within", { start: 1_000, end: 1_999 }, 1_000, 1_999],
    ["to the end", { start: 299_990 }, 299_990, SIZE - 1],
    ["past the end", { start: 299_990, end: 999_999 }, 299_990, SIZE - 1],
    ["of the last bytes", { suffix: 10 }, 299_990, SIZE - 1],
    ["of more last bytes than there are", { suffix: 999_999 }, 0, SIZE - 1],
  ])("%s", async (_which, range, start, end) => {
    const { get, bytes, upstream } = await layer();
    const part = await get(range);
    expect(part).toMatchObject({ range: { start, end }, descriptor: { size: SIZE } });
    expect(await buffer(part.body)).toEqual(bytes.subarray(start, end + 1));
    expect(upstream.log[0]!.range).toBe(formatRange(range));
  });

  it("beyond the end is RANGE_INVALID", async () => {
    const { get } = await layer();
    expect((await failureOf(get({ start: SIZE }))).code).toBe("RANGE_INVALID");
  });

  it("is the whole where upstream knows no ranges, and says so", async () => {
    const { upstream, get, bytes } = await layer();
    upstream.fault(/blobs/, ignoreRange);
    const blob = await get({ start: 10 });
    expect(blob).toMatchObject({ range: undefined, descriptor: { size: SIZE } });
    expect(await buffer(blob.body)).toEqual(bytes);
  });

  it.each<[string, RangeRequest]>([
    ["bytes 1001-2000/300000", { start: 1_000, end: 1_999 }],
    ["bytes 0-999/300000", { start: 1_000, end: 1_999 }],
    ["bytes 1000-2000/300000", { start: 1_000, end: 1_999 }],
    ["bytes 1000-1999/1500", { start: 1_000, end: 1_999 }],
    ["bytes 1000-1999", { start: 1_000, end: 1_999 }],
    ["pages 1000-1999/300000", { start: 1_000, end: 1_999 }],
    ["bytes */300000", { start: 1_000, end: 1_999 }],
    ["bytes 299000-299998/300000", { start: 299_000 }],
    ["bytes 299980-299999/300000", { suffix: 10 }],
    ["bytes 299995-299999/300000", { suffix: 10 }],
    ["bytes 299990-299999/*", { suffix: 10 }],
  ])("that claims to be %s is refused, and nothing of it stays open", async (value, range) => {
    const { upstream, get } = await layer();
    upstream.fault(/blobs/, wrongContentRange(value));
    // its length would give it away
    upstream.fault(/blobs/, header("content-length", undefined));
    expect((await failureOf(get(range))).code).toBe("UPSTREAM_INVALID");
    await expect.poll(() => upstream.log[0]!.isOver).toBe(true);
  });

  it("whose length is not that of its range is refused", async () => {
    const { upstream, get } = await layer();
    upstream.fault(/blobs/, wrongContentRange("bytes 1000-1998/300000"));
    expect((await failureOf(get({ start: 1_000, end: 1_999 }))).code).toBe("UPSTREAM_INVALID");
  });

  it("without Content-Range is refused", async () => {
    const { upstream, get } = await layer();
    upstream.fault(/blobs/, header("content-range", undefined));
    expect((await failureOf(get({ start: 5 }))).code).toBe("UPSTREAM_INVALID");
  });

  it("of chunks that go on past its range errors, before more than the range is read", async () => {
    const { upstream, get } = await layer();
    upstream.fault(/blobs/, status(206, { "content-range": `bytes 0-9/${SIZE}` }, "x".repeat(1_000_000)));
    upstream.fault(/blobs/, header("content-length", undefined));
    const ctx = asking();
    expect((await failureOf(buffer((await get({ start: 0, end: 9 }, ctx)).body))).code).toBe("UPSTREAM_INVALID");
    expect(ctx.tally.upstreamBytes).toBeLessThan(300_000);
  });

  it("of chunks that end early errors, though no length was said", async () => {
    const { upstream, get } = await layer();
    upstream.fault(/blobs/, status(206, { "content-range": `bytes 0-9/${SIZE}` }, "abcde"));
    upstream.fault(/blobs/, header("content-length", undefined));
    expect((await failureOf(buffer((await get({ start: 0, end: 9 })).body))).code).toBe("UPSTREAM_UNREACHABLE");
  });
});

describe("HEAD of a blob", () => {
  it("tells its size", async () => {
    const { registry, upstream, digest } = await layer();
    const ctx = asking();
    expect((await registry.statBlob({ repo, digest }, ctx)).descriptor).toMatchObject({ digest, size: SIZE });
    expect(upstream.log.map(({ method }) => method)).toEqual(["HEAD"]);
    expect(ctx.tally).toEqual({ upstreamBytes: 0, upstreamRequests: 1 });
  });

  it("is followed to where the blob is", async () => {
    const { registry, upstream, digest } = await layer();
    upstream.fault(({ origin }) => origin === "registry", redirect());
    expect((await registry.statBlob({ repo, digest }, asking())).descriptor.size).toBe(SIZE);
    expect(upstream.log.map(({ method }) => method)).toEqual(["HEAD", "HEAD"]);
  });

  it.each([
    [html, "UPSTREAM_INVALID"],
    [status(206, { "content-range": "bytes 0-1/2" }), "UPSTREAM_INVALID"],
    [status(404), "BLOB_UNKNOWN"],
    [status(401), "UNAUTHORIZED"],
  ])("says no as GET does (%#)", async (behaviour, code) => {
    const { registry, upstream, digest } = await layer();
    upstream.fault(/blobs/, behaviour);
    expect((await failureOf(registry.statBlob({ repo, digest }, asking()))).code).toBe(code);
  });
});
