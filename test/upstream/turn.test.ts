// Several upstreams, and one that is ill, over real sockets: how often each is asked. Only looks for what is away wait for real; all other time
// is a number that tests turn.
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { isOciError, OciError } from "../../src/oci/error.ts";
import { parseReference, parseRepository } from "../../src/oci/reference.ts";
import { upstreamRegistry } from "../../src/upstream/client.ts";
import { UpstreamHealth } from "../../src/upstream/health.ts";
import { pingUpstream } from "../../src/upstream/ping.ts";
import { firstOf } from "../../src/upstream/turn.ts";
import { closeOnSecond, cutAt, flip401, hold, html, redirect, status } from "../faults/behaviours.ts";
import { type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { asking, askingAt, failureOf, transportFor } from "./asking.ts";

const repo = parseRepository("a");
const MANIFESTS = /manifests/;
const tag = (name: string) => ({ repo, reference: parseReference(name) });

const world = async (count = 1) => {
  const upstreams: FaultUpstream[] = [];
  const layer = Buffer.from("a layer");
  for (let n = 0; n < count; n += 1) {
    const upstream = await faultUpstream();
    for (const name of ["1", "2", "3"]) upstream.content.seed({ repo: "a", tag: name });
    upstream.content.putBlob("a", layer);
    upstreams.push(upstream);
  }
  const time = { now: 1_000 };
  const transport = transportFor();
  const parts = askingAt(
    upstreams.map(({ url }) => url),
    { transport, now: () => time.now },
  );
  const registry = upstreamRegistry(parts);
  const health = new UpstreamHealth(parts.upstreams, transport);
  const outcome = async (work: Promise<unknown>): Promise<string> => {
    try {
      await work;
      return "answered";
    } catch (error) {
      if (!isOciError(error)) throw error;
      return error.code;
    }
  };
  const get = (name = "1", signal = new AbortController().signal) =>
    outcome(registry.getManifest(tag(name), asking({ client: "192.0.2.1", signal })));
  const states = () => health.standing.map(({ state }) => state);
  const digest = parseDigest(upstreams[0]!.content.putBlob("a", layer).digest);
  return { upstreams, first: upstreams[0]!, second: upstreams[1]!, parts, registry, health, time, get, states, outcome, digest };
};

describe("several upstreams", () => {
  it("are asked in order: the first alone while it answers, whatever it answers", async () => {
    const { first, second, get } = await world(2);
    for (const behaviour of [status(404), status(401), status(403)]) {
      first.fault(MANIFESTS, behaviour, 1);
      expect(await get()).not.toBe("answered");
    }
    expect(await get()).toBe("answered");
    expect(second.count()).toBe(0);
  });

  it("one that is gone is passed over at once, and used again when it is back", async () => {
    const { first, second, get, states, health } = await world(2);
    await first.stop();
    for (let n = 0; n < 5; n += 1) expect(await get()).toBe("answered");
    expect(second.count(MANIFESTS)).toBe(5);
    expect(states()).toEqual(["unreachable", "up"]);
    expect(health.up).toBe(true);
    await first.start();
    await expect.poll(states, { timeout: 10_000 }).toEqual(["up", "up"]);
    expect(await get()).toBe("answered");
    expect(first.count(MANIFESTS)).toBe(1);
  });

  it("one that hangs is passed over once a client has lost its patience with it", async () => {
    const { first, second, get, states, health, time } = await world(2);
    first.fault(MANIFESTS, hold(new Promise(() => undefined)));
    const stop = new AbortController();
    const hanging = get("1", stop.signal).catch(() => "left");
    await expect.poll(() => first.count()).toBe(1);
    time.now += 2_000;
    health.late();
    expect(states()).toEqual(["unreachable", "up"]);
    expect(await get("2")).toBe("answered");
    expect([first.count(MANIFESTS), second.count()]).toEqual([1, 1]);
    stop.abort(new Error("left"));
    expect(await hanging).toBe("left");
  });

  it("one that answers 5xx is passed over from the third time on, and tried again by one question", async () => {
    const { first, second, get, time } = await world(2);
    first.fault(MANIFESTS, status(500));
    for (let n = 0; n < 6; n += 1) expect(await get()).toBe("answered");
    expect([first.count(), second.count()]).toEqual([3, 6]);
    time.now += 700;
    const all = await Promise.all(Array.from({ length: 20 }, () => get("2")));
    expect(new Set(all)).toEqual(new Set(["answered"]));
    expect(first.count()).toBe(4);
    first.clearFaults();
    time.now += 1_300;
    expect(await get("3")).toBe("answered");
    expect([first.count(), second.count()]).toEqual([5, 26]);
  });

  it("are away when all of them are, and each that comes back ends it", async () => {
    const { first, second, get, health, states } = await world(2);
    await Promise.all([first.stop(), second.stop()]);
    expect(await get()).toBe("UPSTREAM_UNREACHABLE");
    expect(health.up).toBe(false);
    expect(states()).toEqual(["unreachable", "unreachable"]);
    await second.start();
    expect(await get()).toBe("answered");
    expect(health.up).toBe(true);
  });
});

describe("an upstream that fails", () => {
  it("is not asked by who holds something, however often GET /v2/ answers 200 in between", async () => {
    const { first, get, health, parts } = await world();
    first.fault(MANIFESTS, status(500));
    for (let n = 0; n < 3; n += 1) {
      await pingUpstream(parts, asking());
      expect(await get()).toBe("UPSTREAM_INVALID");
    }
    for (let n = 0; n < 50; n += 1) {
      await pingUpstream(parts, asking());
      expect(health.up).toBe(false);
      expect(health.answersPings).toBe(true);
    }
    expect(first.count(MANIFESTS)).toBe(3);
  });

  it("costs one question for a hundred clients that hold nothing, and one more for each thing that another wants", async () => {
    const { first, get } = await world();
    first.fault(MANIFESTS, status(500));
    for (let n = 0; n < 3; n += 1) await get();
    first.clear();
    const { promise, resolve: open } = Promise.withResolvers<void>();
    first.fault(MANIFESTS, hold(promise), 1);
    const all = Promise.all(Array.from({ length: 100 }, () => get("1")));
    await expect.poll(() => first.count()).toBe(1);
    const others = Promise.all(Array.from({ length: 100 }, () => get("2")));
    open();
    // the one whose question it was has upstream's word, the others ours
    expect((await all).toSorted().slice(0, 2)).toEqual(["UPSTREAM_INVALID", "UPSTREAM_UNREACHABLE"].toSorted());
    await others;
    expect(first.count()).toBe(2);
    expect(await get("3")).toBe("UPSTREAM_INVALID");
    expect(await get("3")).toBe("UPSTREAM_UNREACHABLE");
    expect(first.count()).toBe(3);
    first.clearFaults();
    const { digest } = first.content.seed({ repo: "a", tag: "4" }).top;
    expect(digest).toBeDefined();
    expect(await get("4")).toBe("answered");
    expect(await get("1")).toBe("answered");
  });

  it("is a captive portal as well", async () => {
    const { first, get, states } = await world();
    first.fault(/./, html);
    for (let n = 0; n < 3; n += 1) expect(await get()).toBe("UPSTREAM_INVALID");
    expect(states()).toEqual(["failing"]);
  });

  it("is none that closes connections, or flips between 401 and 200, and it is never asked for more than is needed", async () => {
    const { first, get, states } = await world();
    first.fault(MANIFESTS, closeOnSecond);
    for (let n = 0; n < 6; n += 1) expect(await get()).toBe("answered");
    expect(states()).toEqual(["up"]);
    first.clearFaults();
    first.fault(MANIFESTS, flip401());
    const seen = new Set<string>();
    for (let n = 0; n < 6; n += 1) seen.add(await get());
    expect(seen).toEqual(new Set(["answered", "UNAUTHORIZED"]));
    expect(states()).toEqual(["up"]);
  });

  it("with 401 between its failures is still one", async () => {
    const { first, get, states } = await world();
    for (let n = 0; n < 3; n += 1) {
      first.fault(MANIFESTS, status(401), 1);
      expect(await get()).toBe("UNAUTHORIZED");
      first.fault(MANIFESTS, status(502), 1);
      expect(await get()).toBe("UPSTREAM_INVALID");
    }
    expect(states()).toEqual(["failing"]);
  });

  it("says in its Retry-After when to come again, and is asked by nobody until then", async () => {
    const { first, get, time, registry } = await world();
    first.fault(MANIFESTS, status(503, { "retry-after": "30" }), 1);
    expect(await get()).toBe("UPSTREAM_INVALID");
    time.now += 10_000;
    const failure = await failureOf(registry.getManifest(tag("2"), asking({ client: "192.0.2.1" })));
    expect(failure).toMatchObject({ code: "UPSTREAM_UNREACHABLE", status: 503, retryAfterMs: 20_000 });
    expect(first.count()).toBe(1);
    time.now += 20_000;
    expect(await get()).toBe("answered");
  });
});

describe("one repository that always answers 503 with a Retry-After", () => {
  it("is left alone as it asks, and keeps nobody from another", async () => {
    const { first, registry, time, outcome, states } = await world();
    for (const name of ["b", "c", "d", "e"]) first.content.seed({ repo: name, tag: "1" });
    const of = (name: string) =>
      outcome(registry.getManifest({ ...tag("1"), repo: parseRepository(name) }, asking({ client: "192.0.2.1" })));
    first.fault(/v2\/b\//, status(503, { "retry-after": "50" }));
    for (let n = 0; n < 5; n += 1) {
      first.clear();
      expect(await of("b")).toBe("UPSTREAM_INVALID");
      expect(await of("b")).toBe("UPSTREAM_UNREACHABLE");
      expect(first.count()).toBe(1);
      expect(await of("c")).toBe("answered");
      expect(states()).toEqual(["up"]);
      time.now += 50_000;
    }
    first.fault(/v2\/[cd]\//, status(503, { "retry-after": "50" }));
    for (const name of ["b", "c", "d"]) expect(await of(name)).toBe("UPSTREAM_INVALID");
    expect(await of("e")).toBe("UPSTREAM_UNREACHABLE");
  });
});

describe("one repository that always answers 500, slowly, to a client that asks without end", () => {
  it("keeps nobody from another", { timeout: 20_000 }, async () => {
    const upstream = await faultUpstream();
    for (let n = 0; n < 10; n += 1) upstream.content.seed({ repo: "good", tag: `t${n}` });
    upstream.fault(/v2\/bad\//, ({ answer }) => {
      answer.status = 500;
      answer.before = sleep(700);
    });
    const registry = upstreamRegistry(askingAt(upstream.url));
    const of = (name: string, reference: string, client: string) =>
      registry.getManifest({ repo: parseRepository(name), reference: parseReference(reference) }, asking({ client }));
    let asked = 0;
    let isOver = false;
    const hogs = Array.from({ length: 20 }, async () => {
      while (!isOver) {
        asked += 1;
        await of("bad", `x${asked}`, "192.0.2.1").catch(() => undefined);
        await sleep(1);
      }
    });
    await sleep(1_000);
    for (let n = 0; n < 10; n += 1) {
      expect((await of("good", `t${n}`, "192.0.2.2")).bytes.length).toBeGreaterThan(0);
      await sleep(200);
    }
    isOver = true;
    await Promise.all(hogs);
  });
});

it("that questions wait for the first of two is not said to be that the second is away", async () => {
  const { parts } = await world(2);
  const codes = ["UNAVAILABLE", "UPSTREAM_UNREACHABLE"] as const;
  for (const said of [codes, codes.toReversed()]) {
    const left = [...said];
    const failing = firstOf(parts.upstreams, () => Promise.reject(new OciError(left.shift()!, "as said")));
    expect((await failureOf(failing)).code).toBe("UNAVAILABLE");
  }
});

describe("where a blob is redirected to", () => {
  it.each([
    ["fails", status(500)],
    ["refuses", status(403)],
    ["is cut off", cutAt(0)],
  ])("and what is there %s, the registry is as well as before", async (_how, behaviour) => {
    const { first, registry, digest, outcome, states } = await world();
    first.fault(/blobs/, redirect());
    first.fault(/signed/, behaviour);
    for (let n = 0; n < 5; n += 1) {
      const read = async () => void (await (await registry.getBlob({ repo, digest }, asking())).body.toArray());
      expect(await outcome(read())).not.toBe("answered");
    }
    expect(states()).toEqual(["up"]);
  });
});

describe("an upstream that is away", () => {
  it("keeps a client that holds nothing for a second at most, where connections lead nowhere", async () => {
    const { first, get, parts } = await world();
    first.freeze();
    parts.upstreams[0]!.breaker.unreachable(new Error("gone"));
    const began = performance.now();
    const all = await Promise.all(Array.from({ length: 100 }, (_, n) => get(String((n % 3) + 1))));
    expect(new Set(all)).toEqual(new Set(["UPSTREAM_UNREACHABLE"]));
    expect(performance.now() - began).toBeLessThan(3_000);
    // one look, and not a question besides
    expect(first.log.map(({ path }) => path)).toEqual(["/v2/"]);
  });

  it("keeps no process alive by being looked for", async () => {
    const { first, get } = await world();
    const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
    await first.stop();
    const before = timers();
    expect(await get()).toBe("UPSTREAM_UNREACHABLE");
    await expect.poll(timers).toBeLessThanOrEqual(before);
  });
});
