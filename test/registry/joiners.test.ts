// By whose right a flight goes on: refusals, parking, readers that leave, and what may be downloaded for nobody.
import type { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it, vi } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { OciError } from "../../src/oci/error.ts";
import type { Context } from "../../src/oci/registry.ts";
import { type FlightOptions, flights } from "../../src/registry/flights.ts";
import type { Joining } from "../../src/registry/joiners.ts";
import type { Open } from "../../src/registry/opening.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { painted } from "../lib/pattern.ts";
import { inPieces } from "../lib/pieces.ts";
import { blob, context, readBlob, seen, stack } from "./stack.ts";

const BYTES = painted(1, 100_000);
const [ANN, BOB, EVE] = ["Basic ann", "Basic bob", "Basic eve"];

/** `ann/app` may be read by these; upstream's first answer breaks off after 20,000 bytes. */
const world = (readers: readonly string[], options: Partial<FlightOptions> = {}) => {
  const made = stack({}, memoryBlobs(), options);
  const repo = made.upstream.repo("ann/app", { readers });
  const digest = made.upstream.blob("ann/app", BYTES);
  made.upstream.bodyOf = (bytes, _query, nth) => inPieces(bytes, 1_000, nth === 0 ? 20_000 : bytes.length);
  const gets = () =>
    made.upstream.asked.filter((line) => line.startsWith("getBlob")).map((line) => line.split(" ").slice(3).join(" "));
  return { ...made, repo, digest, query: blob("ann/app", digest), gets };
};

/** Stops after the first byte, and reads the rest when told. */
const begun = async (made: ReturnType<typeof world>, credential: string | undefined, ctx: Partial<Context> = {}) => {
  const { body } = await made.registry.getBlob(made.query, { ...context(credential), ...ctx });
  const rest = (): Promise<Buffer | string> =>
    (body.toArray() as Promise<Buffer[]>).then(
      (chunks) => Buffer.concat(chunks),
      (error: Error) => error.message,
    );
  return { body, rest };
};

describe("a refusal in mid-flight", () => {
  it("is of one joiner's credential: the next one's way is tried, and nobody who reads is cut", async () => {
    const made = world([ANN, BOB]);
    let tear: () => void = () => undefined;
    const torn = new Promise<void>((resolve) => {
      tear = resolve;
    });
    made.upstream.bodyOf = (bytes, _query, nth) =>
      inPieces(bytes, 1_000, nth === 0 ? 20_000 : bytes.length, nth === 0 ? torn : undefined);
    const first = await begun(made, ANN);
    const second = await begun(made, BOB);
    made.repo.readers.delete(ANN);
    tear();
    expect(BYTES.equals((await first.rest()) as Buffer)).toBe(true);
    expect(BYTES.equals((await second.rest()) as Buffer)).toBe(true);
    expect(made.gets()).toEqual([ANN, `bytes=20000- ${ANN}`, `bytes=20000- ${BOB}`]);
    expect(made.flights.counts()).toMatchObject({ begun: 1, joined: 1, parked: 0, landed: 1 });
  });

  it("of the only one parks the flight; who joins with a right takes it on from the byte reached", async () => {
    const made = world([ANN], { parkFor: 5_000 });
    const first = await begun(made, ANN);
    made.repo.readers.delete(ANN);
    await expect.poll(() => made.flights.counts().parked).toBe(1);
    const asked = made.upstream.count("getBlob");
    await sleep(50);
    // parked is silent
    expect(made.upstream.count("getBlob")).toBe(asked);
    expect(await seen(made.registry.getBlob(made.query, context(EVE)))).toBe("UNAUTHORIZED");
    made.repo.readers.add(BOB);
    const second = await begun(made, BOB);
    expect(BYTES.equals((await second.rest()) as Buffer)).toBe(true);
    expect(BYTES.equals((await first.rest()) as Buffer)).toBe(true);
    expect(made.gets().at(-1)).toBe(`bytes=20000- ${BOB}`);
    expect(made.flights.counts()).toMatchObject({ begun: 1, parked: 1, landed: 1 });
  });

  it("parks for so long only: then those who follow are cut, and what has come is kept for who comes later", async () => {
    const made = world([ANN], { parkFor: 100 });
    const first = await begun(made, ANN);
    made.repo.readers.delete(ANN);
    expect(await first.rest()).toMatch(/nobody is left/);
    await expect.poll(() => made.blobs.leftover(made.digest)).toBe(19_999);
    expect(made.flights.counts()).toMatchObject({ parked: 1, "failed.refused": 1 });
    made.repo.readers.add(BOB);
    expect(BYTES.equals((await readBlob(made.registry, made.query, context(BOB))) as Buffer)).toBe(true);
    expect(made.gets().at(-1)).toBe(`bytes=19999- ${BOB}`);
  });

  it("ends a parked flight at once when all who follow have left", async () => {
    const made = world([ANN], { parkFor: 60_000 });
    const { body } = await begun(made, ANN);
    made.repo.readers.delete(ANN);
    await expect.poll(() => made.flights.counts().parked).toBe(1);
    body.destroy();
    await expect.poll(() => made.flights.counts()["failed.refused"]).toBe(1);
    expect(made.blobs.leftover(made.digest)).toBe(19_999);
  });

  it("before the first byte reaches only whom it was said to, an outage all who came through that site", async () => {
    const made = world([BOB]);
    let open: () => void = () => undefined;
    made.upstream.gate = new Promise((resolve) => {
      open = resolve;
    });
    const refused = seen(made.registry.getBlob(made.query, context(EVE)));
    await vi.waitFor(() => expect(made.upstream.count("getBlob")).toBe(1));
    const owners = [readBlob(made.registry, made.query, context(BOB)), readBlob(made.registry, made.query, context(BOB))];
    await vi.waitFor(() => expect(made.upstream.count("statBlob")).toBe(2));
    open();
    expect(await refused).toBe("UNAUTHORIZED");
    for (const owner of owners) expect(BYTES.equals((await owner) as Buffer)).toBe(true);
  });
});

describe("who has had enough of upstream for now", () => {
  it.each(["TOOMANYREQUESTS", "UNAVAILABLE"] as const)("or of our slots (%s) keeps nobody else from it", async (code) => {
    const made = world([BOB]);
    const { promise: enough, reject } = Promise.withResolvers<never>();
    const getBlob = made.upstream.getBlob.bind(made.upstream);
    made.upstream.getBlob = (query, ctx) => (ctx.credential === EVE ? enough : getBlob(query, ctx));
    const throttled = seen(made.registry.getBlob(made.query, context(EVE)));
    const owner = readBlob(made.registry, made.query, context(BOB));
    await vi.waitFor(() => expect(made.flights.counts().joined).toBe(1));
    reject(new OciError(code, "eve has had her share"));
    expect(await throttled).toBe(code);
    expect(BYTES.equals((await owner) as Buffer)).toBe(true);
  });

  it("in mid-flight either, and goes on reading by another's way", async () => {
    const made = world([ANN, BOB]);
    const torn = Promise.withResolvers<void>();
    made.upstream.bodyOf = (bytes, _query, nth) =>
      inPieces(bytes, 1_000, nth === 0 ? 20_000 : bytes.length, nth === 0 ? torn.promise : undefined);
    const first = await begun(made, ANN);
    const second = await begun(made, BOB);
    const getBlob = made.upstream.getBlob.bind(made.upstream);
    const enough = new OciError("TOOMANYREQUESTS", "ann has had her share", { retryAfterMs: 3_600_000 });
    made.upstream.getBlob = (query, ctx) => (ctx.credential === ANN ? Promise.reject(enough) : getBlob(query, ctx));
    torn.resolve();
    for (const reader of [first, second]) expect(BYTES.equals((await reader.rest()) as Buffer)).toBe(true);
  });
});

describe("a digest that two sites have", () => {
  const joining = (site: string, open: Open): Joining => ({ open, client: "192.0.2.1", site, isEntitled: async () => true });
  const away = async () => Promise.reject(new OciError("UPSTREAM_UNREACHABLE", "connection refused"));
  const opened = (cut: number | undefined): Open => {
    let nth = 0;
    return async (offset) => {
      nth += 1;
      if (nth > 1) return away();
      return { body: inPieces(BYTES.subarray(offset), 1_000, cut), start: offset, total: BYTES.length };
    };
  };
  const { signal } = new AbortController();
  const options = { retry: { attempts: 5, first: 1, most: 5, longest: 10 } };
  const bytesOf = async ({ body }: { body: Readable }) => Buffer.concat((await body.toArray()) as Buffer[]);

  it("is downloaded once, and goes on by the one where the other's upstream goes away", async () => {
    const flying = flights(memoryBlobs(), silent, options);
    const flight = flying.begin(digestOf(BYTES));
    const passages = [
      flight.join(joining("one.example", opened(30_000)), undefined, signal),
      flight.join(joining("two.example", opened(undefined)), undefined, signal),
    ];
    for (const passage of passages) expect(BYTES.equals(await bytesOf(await passage))).toBe(true);
    await flight.done;
    expect(flying.counts()).toMatchObject({ begun: 1, joined: 1, landed: 1 });
  });

  it("tells at once all who came through the one whose upstream is away, and serves those of the other", async () => {
    const flight = flights(memoryBlobs(), silent, options).begin(digestOf(BYTES));
    let asked = 0;
    const refused = () => {
      asked += 1;
      return away();
    };
    const join = (site: string, open: Open) => flight.join(joining(site, open), undefined, signal);
    const away5 = Array.from({ length: 5 }, () =>
      seen(join("one.example", refused).then(() => ({ provenance: { source: "?" } }))),
    );
    const other = join("two.example", opened(undefined));
    expect(await Promise.all(away5)).toEqual(Array(5).fill("UPSTREAM_UNREACHABLE"));
    expect(asked).toBe(1);
    expect(BYTES.equals(await bytesOf(await other))).toBe(true);
    await flight.done;
  });
});

describe("a flight that every reader has left", () => {
  it("goes on by a right that still stands, and commits", async () => {
    const made = world([ANN]);
    const { body } = await begun(made, ANN);
    body.destroy();
    await expect.poll(() => made.blobs.stat(made.digest)).toEqual({ size: BYTES.length });
    expect(made.gets()).toEqual([ANN, `bytes=20000- ${ANN}`]);
    expect(made.flights.counts()).toMatchObject({ abandoned: 1, landed: 1 });
  });

  it("stops when that right is refused meanwhile, and what has come is kept", async () => {
    const made = world([ANN], { recheckEvery: 0 });
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    made.upstream.bodyOf = (bytes) => inPieces(bytes, 1_000, bytes.length, gate);
    const { body } = await begun(made, ANN);
    body.destroy();
    await expect.poll(() => made.flights.counts().abandoned).toBe(1);
    await made.rights.refused(made.query.repo, ANN);
    go();
    await expect.poll(() => made.flights.counts()["failed.refused"]).toBe(1);
    expect(await made.blobs.stat(made.digest)).toBeUndefined();
    expect(made.upstream.count("getBlob")).toBe(1);
  });

  it("has lent nothing to those who are there: with their own ways refused they wait, whatever who left might do", async () => {
    const made = world([ANN, BOB], { parkFor: 100 });
    let tear: () => void = () => undefined;
    const torn = new Promise<void>((resolve) => {
      tear = resolve;
    });
    made.upstream.bodyOf = (bytes, _query, nth) => inPieces(bytes, 1_000, nth === 0 ? 20_000 : bytes.length, torn);
    const [ann, bob] = [await begun(made, ANN), await begun(made, BOB)];
    ann.body.destroy();
    await expect.poll(() => ann.body.closed).toBe(true);
    made.repo.readers.delete(BOB);
    tear();
    expect(await bob.rest()).toMatch(/nobody is left/);
    expect(made.gets()).toEqual([ANN, `bytes=20000- ${BOB}`]);
    expect(made.flights.counts()).toMatchObject({ parked: 1, abandoned: 0 });
  });

  it("is not opened again by a right that was refused meanwhile", async () => {
    const made = world([ANN], { recheckEvery: 60_000, retry: { attempts: 5, first: 150, most: 150, longest: 1 } });
    const { body } = await begun(made, ANN);
    await expect.poll(() => made.flights.counts().retried).toBe(1);
    body.destroy();
    await made.rights.refused(made.query.repo, ANN);
    await expect.poll(() => made.flights.counts()["failed.refused"]).toBe(1);
    expect(made.gets()).toEqual([ANN]);
    expect(made.blobs.leftover(made.digest)).toBe(19_999);
  });

  it("goes on only so many times for one client, and in all; each reader that comes back takes one off", async () => {
    const made = stack({}, memoryBlobs(), { abandoned: { perClient: 2, inAll: 3 } });
    made.upstream.repo("acme/app", { isPublic: true });
    let open: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    made.upstream.bodyOf = (bytes) => inPieces(bytes, 1_000, bytes.length, gate);
    const digests = Array.from({ length: 6 }, (_, n) => made.upstream.blob("acme/app", painted(n + 2, 50_000)));
    const leave = async (n: number, client: string) => {
      const { body } = await made.registry.getBlob(blob("acme/app", digests[n]!), { ...context(), client });
      body.destroy();
      await expect.poll(() => body.closed).toBe(true);
    };
    await leave(0, "192.0.2.1");
    await leave(1, "192.0.2.1");
    await leave(2, "192.0.2.1");
    expect([0, 1, 2].map((n) => made.flights.get(digests[n]!) !== undefined)).toEqual([true, true, false]);
    await leave(3, "192.0.2.2");
    await leave(4, "192.0.2.2");
    expect([3, 4].map((n) => made.flights.get(digests[n]!) !== undefined)).toEqual([true, false]);
    // back again, to stay
    const back = readBlob(made.registry, blob("acme/app", digests[0]!), { ...context(), client: "192.0.2.1" });
    await expect.poll(() => made.flights.counts().joined).toBe(1);
    await leave(5, "192.0.2.1");
    expect(made.flights.get(digests[5]!)).toBeDefined();
    open();
    expect(painted(2, 50_000).equals((await back) as Buffer)).toBe(true);
    const held = () => Promise.all(digests.map(async (digest) => (await made.blobs.stat(digest)) !== undefined));
    await expect.poll(held).toEqual([true, true, false, true, false, true]);
    // none is left over from before
    for (const n of [2, 4]) await leave(n, "192.0.2.1");
    await expect.poll(held).toEqual(Array(6).fill(true));
    expect(made.flights.counts()).toMatchObject({ "failed.abandoned": 2, abandoned: 6, landed: 6 });
  });

  it("is kept when the process is to end, and goes on at the next", async () => {
    const blobs = memoryBlobs();
    const made = stack({}, blobs);
    made.upstream.repo("acme/app", { isPublic: true });
    const digest = made.upstream.blob("acme/app", BYTES);
    const never = new Promise<void>(() => undefined);
    made.upstream.bodyOf = (bytes) => inPieces(bytes, 10_000, bytes.length, never);
    const { body } = await made.registry.getBlob(blob("acme/app", digest), context());
    const rest = seen(body.toArray().then(() => ({ provenance: { source: "whole" } })));
    await expect.poll(() => made.flights.get(digest)?.head).toBe(10_000);
    await made.flights.close();
    expect(await rest).toMatch(/shutting down|UNAVAILABLE/);
    const left = blobs.leftover(digest);
    expect(left).toBe(9_999);
    const next = stack({}, blobs);
    next.upstream.repo("acme/app", { isPublic: true });
    next.upstream.blob("acme/app", BYTES);
    expect(BYTES.equals((await readBlob(next.registry, blob("acme/app", digest), context())) as Buffer)).toBe(true);
    expect(next.upstream.blobBytes).toBe(BYTES.length - left);
  });
});
