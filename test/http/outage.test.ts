// What clients are told while upstream is away, refuses, or has enough: over HTTP, in each kind of outage.
import { describe, expect, it } from "vitest";
import type { Auth } from "../faults/auth.ts";
import { status } from "../faults/behaviours.ts";
import { type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { startFront } from "../front.ts";

const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});

/** Nothing is fresh, and no right is live for longer than the question that made it. */
const ASKS_ALWAYS = { freshFor: "0s", publicFor: "0s", grantFor: "0s" };
const REPOSITORY = /\/v2\/acme/;

const KINDS: Record<string, (upstream: FaultUpstream) => unknown> = {
  "is gone": (upstream) => upstream.stop(),
  "says 500": (upstream) => upstream.fault(REPOSITORY, status(500)),
  "says 503": (upstream) => upstream.fault(REPOSITORY, status(503)),
  "says 429": (upstream) => upstream.fault(REPOSITORY, status(429, { "retry-after": "30" })),
};

describe("what is held, while upstream", () => {
  const world = async () => {
    const upstream = await faultUpstream();
    const { top, layers } = upstream.content.seed({ repo: "acme/app", tag: "v1" });
    const front = await startFront(upstream, ASKS_ALWAYS);
    const paths = {
      "manifest by tag": "/v2/acme/app/manifests/v1",
      "manifest by digest": `/v2/acme/app/manifests/${top.digest}`,
      blob: `/v2/acme/app/blobs/${layers[0]!.digest}`,
      tags: "/v2/acme/app/tags/list",
      referrers: `/v2/acme/app/referrers/${top.digest}`,
    };
    for (const path of Object.values(paths)) expect((await front.ask(path)).status).toBe(200);
    return { upstream, front, paths };
  };

  it.each(["is gone", "says 429"])("%s, is served, and says what it is", async (kind) => {
    const { upstream, front, paths } = await world();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await KINDS[kind]!(upstream);
    for (const path of Object.values(paths)) {
      for (const method of ["GET", "HEAD"]) {
        const { status: code, headers } = await front.ask(path, { method });
        expect({ path, method, code, cache: headers["x-cache"], warning: headers["warning"] }).toEqual({
          path,
          method,
          code: 200,
          cache: "STALE",
          warning: '110 layover "Response is Stale"',
        });
        expect(Number(headers["age"])).toBeGreaterThanOrEqual(1);
      }
    }
  });
});

describe("Layover itself", () => {
  it("starts and serves while upstream and every resolver are down", async () => {
    const upstream = await faultUpstream();
    const { top, layers } = upstream.content.seed({ repo: "acme/app", tag: "v1" });
    const front = await startFront(upstream, ASKS_ALWAYS);
    const layer = `/v2/acme/app/blobs/${layers[0]!.digest}`;
    for (const path of ["/v2/", "/v2/acme/app/manifests/v1", layer]) expect((await front.ask(path)).status).toBe(200);
    await front.stop();
    await upstream.stop();
    // a name, which the only resolver there is, where nobody listens, would have to tell
    const began = performance.now();
    await front.start({ upstream: `http://upstream.test:${upstream.url.port}` });
    expect((await front.ask("/v2/")).status).toBe(200);
    expect((await front.ask("/v2/acme/app/manifests/v1")).body).toEqual(top.bytes);
    expect((await front.ask(`/v2/acme/app/manifests/${top.digest}`)).body).toEqual(top.bytes);
    expect((await front.ask(layer)).body).toEqual(layers[0]!.bytes);
    expect((await front.page("/readyz")).status).toBe(200);
    expect(performance.now() - began).toBeLessThan(10_000);
  });
});

describe("what is not held, while upstream", () => {
  it.each([
    ["is gone", 503, "5"],
    ["says 503", 503, "5"],
    ["says 429", 429, "30"],
  ] as const)("%s, is an error that says when to come again", async (kind, code, after) => {
    const upstream = await faultUpstream();
    const front = await startFront(upstream);
    await KINDS[kind]!(upstream);
    const answer = await front.ask("/v2/acme/app/manifests/v1");
    expect(answer).toMatchObject({ status: code, headers: { "retry-after": after } });
    expect(JSON.parse(answer.body.toString())).toHaveProperty("errors");
  });
});

// what it answers to whom in which kind of outage is in ping.test.ts
describe("GET /v2/", () => {
  const world = async (auth: Auth, ...asked: Record<string, string>[]) => {
    const upstream = await faultUpstream({ auth });
    upstream.content.seed({ repo: "open/app", tag: "v1" });
    upstream.content.seed({ repo: "ann/app", tag: "v1" });
    const front = await startFront(upstream);
    for (const headers of asked) await front.ask("/v2/", { headers });
    const ping = async (headers: Record<string, string> = {}) => {
      const { status: code, headers: answer } = await front.ask("/v2/", { headers });
      return { status: code, challenge: answer["www-authenticate"] };
    };
    const token = async (scope: string, headers: Record<string, string> = {}) => {
      const answer = await fetch(new URL(`/token?service=fault.example&scope=${scope}`, upstream.url), { headers });
      return { authorization: `Bearer ${((await answer.json()) as { token: string }).token}` };
    };
    const pull = async (repo: string, headers: Record<string, string> = {}) =>
      (await front.ask(`/v2/${repo}/manifests/v1`, { headers })).status;
    return { upstream, front, ping, token, pull };
  };
  const accounts = { users: { ann: "pw" }, owners: { "ann/app": "ann" } };
  const bearer: Auth = { kind: "bearer", ...accounts };
  const welcome = { status: 200, challenge: undefined };

  it("is not what every client asks first: one that shows its login only when asked still pulls what is its own", async () => {
    const { upstream, front, pull } = await world({ kind: "basic", ...accounts }, {});
    expect(await pull("ann/app", basic("ann", "pw"))).toBe(200);
    await upstream.stop();
    const first = await front.ask("/v2/ann/app/manifests/v1");
    expect(first).toMatchObject({ status: 401, headers: { "www-authenticate": 'Basic realm="fault.example"' } });
    expect(await pull("nobody/knows")).toBe(401);
    expect(await pull("ann/app", basic("ann", "pw"))).toBe(200);
    expect(await pull("ann/app", basic("ann", "no"))).toBe(503);
  });

  it("that nobody has asked before the outage keeps nobody from what is public", async () => {
    const { upstream, ping, token, pull } = await world(bearer);
    expect(await pull("open/app", await token("repository:open/app:pull"))).toBe(200);
    await expect.poll(() => pull("open/app")).toBe(200);
    await upstream.stop();
    expect(await ping()).toEqual(welcome);
    expect(await pull("open/app")).toBe(200);
    expect(await ping(basic("ann", "pw"))).toMatchObject({ status: 503 });
  });

  it("keeps no client waiting for long that does not answer", async () => {
    const { upstream, ping } = await world(bearer, {});
    upstream.freeze();
    const began = performance.now();
    expect(await ping()).toEqual(welcome);
    expect(performance.now() - began).toBeLessThan(8_000);
    const again = performance.now();
    expect(await ping()).toEqual(welcome);
    expect(performance.now() - again).toBeLessThan(1_000);
  });
});
