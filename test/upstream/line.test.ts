// Slots over real sockets: whatever becomes of a request, and in whatever order, its slot is free again.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { OciError } from "../../src/oci/error.ts";
import { parseReference, parseRepository } from "../../src/oci/reference.ts";
import { drop } from "../../src/upstream/body.ts";
import { upstreamRegistry } from "../../src/upstream/client.ts";
import type { Received, Sent, Transport } from "../../src/upstream/transport.ts";
import { cutAt, hold, html, redirect, stall, status } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { asking, askingAt, failureOf, registryAt, transportFor } from "./asking.ts";

const repo = parseRepository("a");

const world = async (concurrency = 3, length = 400_000) => {
  const upstream = await faultUpstream();
  const { digest } = upstream.content.putBlob("a", Buffer.alloc(length, "b"));
  upstream.content.seed({ repo: "a", tag: "1" });
  const transport = transportFor({ concurrency });
  const slots = () => transport.lines.of(upstream.url.origin).slots;
  return { upstream, digest: parseDigest(digest), transport, slots, blob: new URL(`/v2/a/blobs/${digest}`, upstream.url) };
};

const free = async (transport: Transport, origin: string) => {
  const { slots } = transport.lines.of(origin);
  await expect.poll(() => [slots.running, slots.waiting], { timeout: 5_000 }).toEqual([0, 0]);
};

type End = (send: (more?: Partial<Sent>) => Promise<Received>) => Promise<unknown>;

const ENDS: Record<string, End> = {
  "read to its end": async (send) => (await send()).body.dump({ limit: 1_000_000 }),
  "destroyed at once": async (send) => (await send()).body.on("error", () => undefined).destroy(),
  "destroyed with an error, in its midst": async (send) => {
    const { body } = await send();
    for await (const _ of body) {
      body.on("error", () => undefined).destroy(new Error("enough"));
      return;
    }
  },
  dropped: async (send) => drop((await send()).body),
  "left before it is sent": (send) => send({ signal: AbortSignal.abort(new Error("left")) }),
  "left soon after": (send) => send({ signal: AbortSignal.timeout(1) }).then(({ body }) => body.dump()),
  "left while it is read": async (send) => {
    const stop = new AbortController();
    const { body } = await send({ signal: stop.signal });
    body.once("data", () => stop.abort(new Error("left")));
    await body.toArray();
  },
  "refused when it is its turn": (send) =>
    send({
      check: () => {
        throw new OciError("TOOMANYREQUESTS", "no");
      },
    }),
  "a HEAD": async (send) => drop((await send({ method: "HEAD", kind: "question" })).body),
};

describe("a slot", () => {
  it("is free again however requests end", async () => {
    const { upstream, transport, blob } = await world();
    const spoils = [
      undefined,
      cutAt(100_000),
      status(500),
      status(508),
      redirect(),
      html,
      stall(1_000),
      status(302, { location: "" }, ""),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ end: fc.constantFrom(...Object.keys(ENDS)), spoil: fc.constantFrom(...spoils) }), { maxLength: 12 }),
        async (schedule) => {
          upstream.clearFaults();
          const works = schedule.map(async ({ end, spoil }, n) => {
            const url = new URL(`?n=${n}`, blob);
            if (spoil !== undefined) upstream.fault((request) => request.path.endsWith(`?n=${n}`), spoil);
            const signal = AbortSignal.timeout(700);
            const { tally } = asking();
            const send = (more: Partial<Sent> = {}) =>
              transport.send({
                method: "GET",
                url,
                headers: {},
                signal,
                tally,
                kind: n % 2 === 0 ? "blob" : "question",
                ...more,
              });
            await ENDS[end]!(send).catch(() => undefined);
          });
          await Promise.all(works);
          await free(transport, upstream.url.origin);
        },
      ),
      { numRuns: 25 },
    );
  });

  it("is free again when nobody is there, and when upstream goes away in the midst of it", async () => {
    const { upstream, transport, blob } = await world();
    const { signal, tally } = asking();
    const works = Array.from({ length: 10 }, async () => {
      const { body } = await transport.send({ method: "GET", url: blob, headers: {}, signal, tally, kind: "blob" });
      await body.toArray();
    });
    upstream.fault(/blobs/, stall(1_000));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await upstream.stop();
    for (const { status: outcome } of await Promise.allSettled(works)) expect(outcome).toBe("rejected");
    await free(transport, upstream.url.origin);
  });

  it("of the registry is not kept by a body that comes from elsewhere", async () => {
    const { upstream, digest, transport, slots } = await world(1);
    upstream.fault(/blobs/, redirect());
    upstream.fault(/signed/, stall(1_000));
    const registry = registryAt(upstream.url, undefined, transport);
    const { body } = await registry.getBlob({ repo, digest }, asking());
    await expect.poll(() => slots().running).toBe(0);
    expect((await registry.getManifest({ repo, reference: parseReference("1") }, asking())).bytes.length).toBeGreaterThan(0);
    body.destroy();
  });
});

describe("long downloads", () => {
  it("leave a manifest its slot, and each other what is left", async () => {
    const { upstream, digest, transport, slots } = await world(4);
    upstream.fault(/blobs/, stall(1_000));
    const registry = registryAt(upstream.url, undefined, transport);
    const stop = new AbortController();
    const ctx = asking({ signal: stop.signal });
    const blobs = Array.from({ length: 10 }, () => registry.getBlob({ repo, digest }, ctx).catch((error: unknown) => error));
    await expect.poll(() => [slots().running, slots().waiting]).toEqual([3, 7]);
    await expect.poll(() => upstream.count(/blobs/)).toBe(3);
    expect((await registry.getManifest({ repo, reference: parseReference("1") }, asking())).bytes.length).toBeGreaterThan(0);
    stop.abort(new Error("enough"));
    await Promise.all(blobs);
    await free(transport, upstream.url.origin);
  });
});

describe("a client that reads nothing of many bodies", () => {
  it("leaves others their share", async () => {
    const { upstream, digest, transport, slots } = await world(8, 4_000_000);
    const registry = registryAt(upstream.url, undefined, transport);
    const stop = new AbortController();
    const slow = asking({ signal: stop.signal, client: "192.0.2.1" });
    const bodies = Array.from({ length: 30 }, () => registry.getBlob({ repo, digest }, slow).catch(() => undefined));
    await expect.poll(() => [slots().running, slots().waiting]).toEqual([5, 25]);
    const { body } = await registry.getBlob({ repo, digest }, asking({ client: "192.0.2.2" }));
    expect(Buffer.concat((await body.toArray()) as Buffer[])).toHaveLength(4_000_000);
    stop.abort(new Error("enough"));
    for (const one of await Promise.all(bodies)) one?.body.on("error", () => undefined).destroy();
    await free(transport, upstream.url.origin);
  });
});

describe("who waits for a turn", () => {
  it("waits no longer when upstream turns out to be away", async () => {
    const { upstream, transport, slots } = await world(1);
    const parts = askingAt(upstream.url, { transport });
    const registry = upstreamRegistry(parts);
    const { promise, resolve: open } = Promise.withResolvers<void>();
    upstream.fault(/manifests/, hold(promise));
    const query = { repo, reference: parseReference("1") };
    const works = Array.from({ length: 5 }, () => failureOf(registry.getManifest(query, asking())));
    await expect.poll(() => [slots().waiting, upstream.count(/manifests/)]).toEqual([4, 1]);
    await upstream.stop();
    for (const failure of await Promise.all(works)) expect(failure.code).toBe("UPSTREAM_UNREACHABLE");
    open();
    // the one that was under way may have been asked twice, as it was lost; the others never were
    expect(upstream.count(/manifests/)).toBe(1);
    await free(transport, upstream.url.origin);
  });

  it("is not asked for when its budget is used up meanwhile", async () => {
    const { upstream, transport, slots } = await world(1);
    const registry = registryAt(upstream.url, undefined, transport);
    const { promise, resolve: open } = Promise.withResolvers<void>();
    upstream.fault(/manifests/, status(429, { "retry-after": "700" }));
    upstream.fault(/manifests/, hold(promise));
    const query = { repo, reference: parseReference("1") };
    const works = Array.from({ length: 100 }, () => failureOf(registry.getManifest(query, asking())));
    await expect.poll(() => slots().waiting).toBe(99);
    open();
    for (const failure of await Promise.all(works)) expect(failure.code).toBe("TOOMANYREQUESTS");
    expect(upstream.count(/manifests/)).toBe(1);
  });
});
