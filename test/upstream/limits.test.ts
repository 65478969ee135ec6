// Budgets over real sockets: who is held back, for how long, and how little upstream is asked meanwhile. Time is a number that tests turn.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { isOciError } from "../../src/oci/error.ts";
import { parseRateLimit } from "../../src/oci/rate-limit.ts";
import { parseReference, parseRepository } from "../../src/oci/reference.ts";
import type { Context } from "../../src/oci/registry.ts";
import { asAnybody } from "../../src/upstream/asker.ts";
import { upstreamRegistry } from "../../src/upstream/client.ts";
import { pingUpstream } from "../../src/upstream/ping.ts";
import { Tokens } from "../../src/upstream/token.ts";
import { header, hold, redirect, status } from "../faults/behaviours.ts";
import type { Logged } from "../faults/log.ts";
import { type FaultOptions, faultUpstream } from "../faults/upstream.ts";
import { type AskingOptions, asking, askingAt, failureOf, NOW, transportFor } from "./asking.ts";

const repo = parseRepository("a");
const query = { repo, reference: parseReference("1") };
const MANIFESTS = /manifests/;
const HOUR = 3_600_000;

const world = async (options: FaultOptions = {}, more: AskingOptions = {}) => {
  const upstream = await faultUpstream(options);
  upstream.content.seed({ repo: "a", tag: "1" });
  const blob = parseDigest(upstream.content.putBlob("a", Buffer.from("b")).digest);
  const time = { now: 1_000 };
  const parts = askingAt(upstream.url, { now: () => time.now, ...more });
  const registry = upstreamRegistry(parts);
  const get = (ctx: Partial<Context> = {}) => registry.getManifest(query, asking({ client: "192.0.2.1", ...ctx }));
  const head = (ctx: Partial<Context> = {}) => registry.statManifest(query, asking({ client: "192.0.2.1", ...ctx }));
  const says = async (work: Promise<unknown>): Promise<number> => {
    try {
      await work;
      return 200;
    } catch (error) {
      if (!isOciError(error)) throw error;
      return error.status;
    }
  };
  const budgets = () => parts.upstreams[0]!.limits.standing;
  return { upstream, registry, parts, time, get, head, says, blob, budgets };
};

const as = (credential: string) => ({ credential });
const from = (credential: string) => (request: Logged) => request.headers.authorization === credential;

describe("what is said of a budget", () => {
  const none = { limit: undefined, remaining: undefined, window: undefined, source: undefined };

  it.each([
    [
      { "ratelimit-limit": "100;w=21600", "ratelimit-remaining": "76;w=21600" },
      { limit: 100, remaining: 76, window: 21_600_000 },
    ],
    [
      { "ratelimit-limit": "100, 100;w=60", "ratelimit-remaining": "5" },
      { limit: 100, remaining: 5, window: 60_000 },
    ],
    [{ ratelimit: "limit=100, remaining=5, reset=3" }, { limit: 100, remaining: 5, window: 3_000 }],
    [
      { "ratelimit-policy": '"pulls";q=100;w=60', ratelimit: '"pulls";r=5;t=3' },
      { limit: 100, remaining: 5, window: 60_000 },
    ],
    [{ "docker-ratelimit-source": "203.0.113.7" }, { source: "203.0.113.7" }],
    [{ "ratelimit-limit": "-1", "ratelimit-remaining": "many" }, {}],
    [{ "ratelimit-limit": "9999999999999", "ratelimit-remaining": "0x10" }, { remaining: 0 }],
    [{ "ratelimit-remaining": "5;w=99999999999" }, { remaining: 5 }],
    [{ "ratelimit-remaining": "5;w=999999999" }, { remaining: 5, window: 7 * 24 * HOUR }],
    [{ "docker-ratelimit-source": "a b" }, {}],
    [{}, {}],
  ])("%j is %j", (headers, limit) => {
    expect(parseRateLimit((name) => (headers as Record<string, string>)[name])).toEqual({ ...none, ...limit });
  });

  it("is never anything but counts, whatever is sent", () => {
    const value = fc.oneof(fc.string(), fc.stringMatching(/^[\d;w=qrt, "-]{0,60}$/), fc.constant("9".repeat(50_000)));
    fc.assert(
      fc.property(value, value, value, value, (a, b, c, d) => {
        const headers: Record<string, string> = {
          ratelimit: a,
          "ratelimit-policy": b,
          "ratelimit-limit": c,
          "ratelimit-remaining": d,
          "docker-ratelimit-source": a,
        };
        const { source, ...counts } = parseRateLimit((name) => headers[name]);
        expect((source ?? "").length).toBeLessThanOrEqual(200);
        for (const count of Object.values(counts))
          expect(count === undefined || (Number.isSafeInteger(count) && count >= 0)).toBe(true);
      }),
    );
  });
});

describe("after a 429", () => {
  it("nothing is asked until Retry-After is over, and its words are given with what is left of it", async () => {
    const { upstream, get, head, time, says } = await world();
    upstream.fault(MANIFESTS, status(429, { "retry-after": "60" }, "no more pulls"));
    expect((await failureOf(get())).retryAfterMs).toBe(60_000);
    time.now += 20_500;
    for (const ask of [get, head]) {
      const failure = await failureOf(ask());
      expect(failure).toMatchObject({ code: "TOOMANYREQUESTS", retryAfterMs: 39_500 });
      expect(failure.upstream).toMatchObject({ status: 429, retryAfter: "40", body: "no more pulls" });
    }
    expect(upstream.count(MANIFESTS)).toBe(1);
    time.now += 39_500;
    upstream.clearFaults();
    expect(await says(get())).toBe(200);
  });

  it("a hundred clients cost one question, when it is over one more, and then everybody is let in", async () => {
    const { upstream, get, time, says } = await world();
    const lift = upstream.fault(MANIFESTS, status(429, { "retry-after": "60" }));
    await says(get());
    const hundred = () => Promise.all(Array.from({ length: 100 }, () => says(get())));
    expect(new Set(await hundred())).toEqual(new Set([429]));
    expect(upstream.count(MANIFESTS)).toBe(1);
    time.now += 60_000;
    expect(new Set(await hundred())).toEqual(new Set([429]));
    expect(upstream.count(MANIFESTS)).toBe(2);
    time.now += 60_000;
    lift();
    const { promise, resolve: open } = Promise.withResolvers<void>();
    upstream.fault(MANIFESTS, hold(promise), 1);
    const all = hundred();
    await expect.poll(() => upstream.count(MANIFESTS)).toBe(3);
    open();
    expect(new Set(await all)).toEqual(new Set([200]));
    expect(upstream.count(MANIFESTS)).toBe(102);
  });

  it("without Retry-After the pauses grow up to a minute, and begin anew after a success", async () => {
    const { upstream, get, time, says, budgets } = await world();
    const pauses: number[] = [];
    const lift = upstream.fault(MANIFESTS, status(429));
    for (let n = 0; n < 8; n += 1) {
      expect(await says(get())).toBe(429);
      expect(upstream.count(MANIFESTS)).toBe(n + 1);
      const [{ retryInMs = 0 } = {}] = budgets();
      pauses.push(retryInMs);
      time.now += retryInMs;
    }
    expect(pauses).toEqual([1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 60_000, 60_000]);
    lift();
    expect(await says(get())).toBe(200);
    expect(budgets()).toEqual([]);
    upstream.fault(MANIFESTS, status(429));
    await says(get());
    expect(budgets()).toEqual([{ retryInMs: 1_000 }]);
  });

  it("many that were under way are one reason to wait, and what they would have been answered before it ends nothing", async () => {
    const { upstream, get, says, budgets } = await world();
    const { promise, resolve: open } = Promise.withResolvers<void>();
    upstream.fault(MANIFESTS, hold(promise), 1);
    const early = says(get());
    await expect.poll(() => upstream.count(MANIFESTS)).toBe(1);
    upstream.fault(MANIFESTS, status(429));
    await Promise.all(Array.from({ length: 20 }, () => says(get())));
    expect(budgets()).toEqual([{ retryInMs: 1_000 }]);
    upstream.clearFaults();
    open();
    expect(await early).toBe(200);
    expect(budgets()).toEqual([{ retryInMs: 1_000 }]);
  });

  it.each(["0", "-5", "soon", "1e9"])("a Retry-After of %j is none", async (value) => {
    const { upstream, get, says, budgets } = await world();
    upstream.fault(MANIFESTS, status(429, { "retry-after": value }));
    await says(get());
    expect(budgets()).toEqual([{ retryInMs: 1_000 }]);
  });

  it("it is found out once an hour whether it is as long as upstream says", async () => {
    const { upstream, get, says, time } = await world();
    upstream.fault(MANIFESTS, status(429, { "retry-after": "86400" }));
    await says(get());
    time.now += HOUR - 1;
    await says(get());
    expect(upstream.count(MANIFESTS)).toBe(1);
    time.now += 1;
    await says(get());
    expect(upstream.count(MANIFESTS)).toBe(2);
  });

  it("a HEAD or a blob that costs nothing does not show that manifests are to be had again", async () => {
    const { upstream, registry, get, head, says, time, blob, budgets } = await world();
    upstream.fault(({ method, path }) => method === "GET" && MANIFESTS.test(path), status(429));
    await says(get());
    time.now += 1_000;
    expect(await says(head())).toBe(200);
    (await registry.getBlob({ repo, digest: blob }, asking({ client: "192.0.2.1" }))).body.destroy();
    expect(budgets()).toEqual([{ retryInMs: 0 }]);
    await says(get());
    expect(budgets()).toEqual([{ retryInMs: 2_000 }]);
  });

  it("who asks for no client asks nothing until a client has had time to, and is not held back for ever", async () => {
    const { upstream, get, time, says } = await world();
    const lift = upstream.fault(MANIFESTS, status(429, { "retry-after": "60" }));
    await says(get({ client: "" }));
    time.now += 60_000;
    expect(await says(get({ client: "" }))).toBe(429);
    expect(upstream.count(MANIFESTS)).toBe(1);
    lift();
    time.now += 60_000;
    expect(await says(get({ client: "" }))).toBe(200);
  });

  it("401 and 5xx say nothing of it", async () => {
    const { upstream, get, says, time, budgets } = await world();
    upstream.fault(MANIFESTS, status(429), 1);
    await says(get());
    time.now += 1_000;
    for (const code of [401, 403, 500]) {
      upstream.fault(MANIFESTS, status(code), 1);
      expect(await says(get())).toBe(code);
      expect(budgets()).toEqual([{ retryInMs: 0 }]);
    }
  });

  it("of the place that a blob is redirected to, the registry is asked as before", async () => {
    const { upstream, registry, get, says, blob, budgets } = await world();
    upstream.fault(/blobs/, redirect());
    upstream.fault(/signed/, status(429, { "retry-after": "60" }));
    const failure = await failureOf(registry.getBlob({ repo, digest: blob }, asking()));
    expect(failure).toMatchObject({ code: "TOOMANYREQUESTS", retryAfterMs: 60_000 });
    expect(await says(get())).toBe(200);
    expect(budgets()).toEqual([]);
  });

  it("pings go on, but for one of their own", async () => {
    const { upstream, get, says, parts } = await world();
    const ping = () => says(pingUpstream(parts, asking({ client: "192.0.2.1" })));
    upstream.fault(MANIFESTS, status(429, { "retry-after": "60" }));
    await says(get());
    expect(await ping()).toBe(200);
    upstream.fault(/v2\/$/, status(429, { "retry-after": "60" }));
    expect(await ping()).toBe(429);
    expect(await ping()).toBe(429);
    expect(upstream.count(/v2\/$/)).toBe(2);
  });

  it("the next upstream of the list is asked", async () => {
    const { upstream, says, time } = await world();
    const second = await faultUpstream();
    second.content.seed({ repo: "a", tag: "1" });
    const parts = askingAt([upstream.url, second.url], { now: () => time.now });
    upstream.fault(MANIFESTS, status(429, { "retry-after": "60" }));
    for (let n = 0; n < 3; n += 1)
      expect(await says(upstreamRegistry(parts).getManifest(query, asking({ client: "x" })))).toBe(200);
    expect(upstream.count(MANIFESTS)).toBe(1);
    expect(second.count(MANIFESTS)).toBe(3);
  });
});

describe("credentials", () => {
  it("have budgets of their own", async () => {
    const { upstream, get, says } = await world();
    upstream.fault(from("Basic ann"), status(429, { "retry-after": "60" }));
    expect(await says(get(as("Basic ann")))).toBe(429);
    expect(await says(get(as("Basic bob")))).toBe(200);
    expect(await says(get())).toBe(200);
    expect(await says(get(as("Basic ann")))).toBe(429);
    expect(upstream.count(from("Basic ann"))).toBe(1);
  });

  it("share one where upstream says that they draw on the same: a new token for every pull begins nothing anew", async () => {
    const { upstream, get, head, says, time } = await world();
    upstream.fault(MANIFESTS, header("docker-ratelimit-source", "203.0.113.7"));
    for (let n = 0; n < 10; n += 1) expect(await says(head(as(`Bearer ${n}`)))).toBe(200);
    upstream.fault(MANIFESTS, status(429, { "retry-after": "60" }));
    expect(await says(get(as("Bearer 3")))).toBe(429);
    upstream.clear();
    for (let n = 0; n < 10; n += 1) expect(await says(get(as(`Bearer ${n}`)))).toBe(429);
    expect(upstream.count()).toBe(0);
    // one that upstream has never answered has to be asked with, once
    for (let n = 0; n < 3; n += 1) expect(await says(get(as("Bearer new")))).toBe(429);
    expect(upstream.count()).toBe(1);
    time.now += 60_000;
    upstream.clearFaults();
    upstream.fault(MANIFESTS, header("docker-ratelimit-source", "203.0.113.7"));
    // and whoever's success it is ends it for all of them
    expect(await says(get(as("Bearer newest")))).toBe(200);
    const all = await Promise.all(Array.from({ length: 10 }, (_, n) => says(get(as(`Bearer ${n}`)))));
    expect(new Set(all)).toEqual(new Set([200]));
  });

  it("do not share one where upstream names others", async () => {
    const { upstream, get, says } = await world();
    for (const who of ["ann", "bob"]) upstream.fault(from(`Bearer ${who}`), header("docker-ratelimit-source", who));
    for (const who of ["ann", "bob"]) expect(await says(get(as(`Bearer ${who}`)))).toBe(200);
    upstream.fault(from("Bearer ann"), status(429, { "retry-after": "60" }));
    expect(await says(get(as("Bearer ann")))).toBe(429);
    expect(await says(get(as("Bearer bob")))).toBe(200);
  });

  it("are remembered in bounded number", async () => {
    const { parts, get } = await world();
    await get(as("Bearer first"));
    const { limits } = parts.upstreams[0]!;
    for (let n = 0; n < 20_000; n += 1) (await limits.enter(`payer ${n}`, false, new AbortController().signal)).end();
    expect(limits.size).toBeLessThanOrEqual(10_000);
  });

  it("are in nothing that is told of budgets", async () => {
    const { upstream, get, says, parts } = await world();
    upstream.fault(MANIFESTS, header("docker-ratelimit-source", "secret-account"));
    upstream.fault(MANIFESTS, header("ratelimit-remaining", "5;w=60"));
    upstream.fault(MANIFESTS, header("ratelimit-limit", "10;w=60"));
    await says(get(as("Bearer secret-token")));
    upstream.fault(MANIFESTS, status(429, { "retry-after": "60" }, "secret words"));
    await says(get(as("Bearer secret-token")));
    const told = parts.upstreams.map(({ limits, breaker }) => ({ ...breaker.standing, budgets: limits.standing }));
    expect(told).toEqual([
      { origin: upstream.url.origin, state: "up", budgets: [{ limit: 10, remaining: 5, retryInMs: 60_000 }] },
    ]);
    expect(JSON.stringify(told)).not.toContain("secret");
  });
});

describe("questions for no client", () => {
  it.each([
    [100, 21, 200],
    [100, 20, 429],
    [10, 3, 200],
    [10, 2, 429],
    [1, 0, 429],
    [undefined, 10, 429],
    [undefined, 11, 200],
  ])("with a limit of %j and %j left are answered %j; clients are asked for all the same", async (limit, remaining, code) => {
    const { upstream, get, says, time } = await world();
    if (limit !== undefined) upstream.fault(MANIFESTS, header("ratelimit-limit", `${limit};w=60`));
    upstream.fault(MANIFESTS, header("ratelimit-remaining", `${remaining};w=60`));
    expect(await says(get())).toBe(200);
    expect(await says(get({ client: "" }))).toBe(code);
    expect(await says(get())).toBe(200);
    expect(upstream.count()).toBe(code === 200 ? 3 : 2);
    time.now += 60_000;
    expect(await says(get({ client: "" }))).toBe(200);
  });

  it("are not the ones that find out whether a throttle is over", async () => {
    const { upstream, get, says, time } = await world();
    upstream.fault(MANIFESTS, status(429, { "retry-after": "60" }), 1);
    await says(get());
    time.now += 60_000;
    expect(await says(get({ client: "" }))).toBe(429);
    expect(upstream.count()).toBe(1);
    expect(await says(get())).toBe(200);
    expect(await says(get({ client: "" }))).toBe(200);
  });
});

describe("a token server that has had enough", () => {
  it("is not asked again for us until its Retry-After is over, and stops nobody else", async () => {
    const transport = transportFor();
    const { upstream, get, says, time, parts } = await world({ auth: { kind: "bearer" } }, { transport });
    const anonymous = upstreamRegistry({
      ...parts,
      asker: asAnybody(new Tokens(transport, () => NOW)),
      payer: () => "anybody",
    });
    const ask = () => says(anonymous.getManifest(query, asking({ client: "192.0.2.1" })));
    upstream.fault(/token/, status(429, { "retry-after": "60" }));
    expect(await ask()).toBe(429);
    expect(await ask()).toBe(429);
    expect(upstream.count(/token/)).toBe(1);
    expect(await says(get())).toBe(401);
    time.now += 60_000;
    upstream.clearFaults();
    expect(await ask()).toBe(200);
  });
});
