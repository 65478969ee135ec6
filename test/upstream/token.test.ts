import { describe, expect, it } from "vitest";
import type { OciError } from "../../src/oci/error.ts";
import { type TokenRequest, Tokens } from "../../src/upstream/token.ts";
import { header, hold, status } from "../faults/behaviours.ts";
import { type FaultOptions, faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, transportFor } from "./asking.ts";

const ANN = { basic: `Basic ${Buffer.from("ann:pw").toString("base64")}` };
const BEN = { basic: `Basic ${Buffer.from("ben:pw").toString("base64")}` };

const realm = async (auth: Partial<Extract<FaultOptions["auth"], { kind: "bearer" }>> = {}) => {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const upstream = await faultUpstream({
    clock: () => clock.now,
    auth: { kind: "bearer", users: { ann: "pw", ben: "pw" }, owners: { "ann/app": "ann" }, ...auth },
  });
  const tokens = new Tokens(transportFor(), () => clock.now);
  const request = (more: Partial<TokenRequest> = {}): TokenRequest => ({
    realm: new URL("/token", upstream.url),
    service: "registry",
    scope: "repository:ann/app:pull",
    credential: undefined,
    ...more,
  });
  return { upstream, tokens, clock, request };
};

describe("tokens", () => {
  it.each(["token", "access_token"] as const)("are read from %s, with service and scope asked for", async (field) => {
    const { upstream, tokens, request } = await realm({ field });
    expect(await tokens.get(request({ scope: "repository:a:pull,push" }), asking())).toMatch(/^Bearer [\w-]+$/);
    const { path, hasAuthorization } = upstream.log[0]!;
    expect(new URL(path, upstream.url).searchParams.get("scope")).toBe("repository:a:pull,push");
    expect(new URL(path, upstream.url).searchParams.get("service")).toBe("registry");
    expect(hasAuthorization).toBe(false);
  });

  it("are kept until shortly before they end", async () => {
    const { upstream, tokens, clock, request } = await realm({ life: 100, token: "jwt" });
    const first = await tokens.get(request(), asking());
    clock.now += 89_000;
    expect(await tokens.get(request(), asking())).toBe(first);
    clock.now += 2_000;
    expect(await tokens.get(request(), asking())).not.toBe(first);
    expect(upstream.count()).toBe(2);
  });

  it("live a minute where their server does not say", async () => {
    const { upstream, tokens, clock, request } = await realm();
    upstream.fault(/token/, status(200, {}, '{"token":"abc"}'));
    await tokens.get(request(), asking());
    clock.now += 49_000;
    await tokens.get(request(), asking());
    expect(upstream.count()).toBe(1);
    clock.now += 2_000;
    await tokens.get(request(), asking());
    expect(upstream.count()).toBe(2);
  });

  it("are asked for once by all who want the same at the same time", async () => {
    const { upstream, tokens, request } = await realm();
    const { promise, resolve } = Promise.withResolvers<void>();
    upstream.fault(/token/, hold(promise));
    const all = Array.from({ length: 20 }, () => tokens.get(request(), asking()));
    await expect.poll(() => upstream.count()).toBe(1);
    resolve();
    expect(new Set(await Promise.all(all)).size).toBe(1);
    expect(upstream.count()).toBe(1);
  });

  it("fail for all who wait, each with the realm's own reason; the next one asks anew", async () => {
    const { upstream, tokens, request } = await realm();
    upstream.fault(/token/, status(403), 1);
    const failures = await Promise.all(Array.from({ length: 5 }, () => failureOf(tokens.get(request(), asking()))));
    expect(failures.map(({ code }) => code)).toEqual(Array.from({ length: 5 }, () => "DENIED"));
    expect(await tokens.get(request(), asking())).toMatch(/^Bearer /);
  });

  it("come also when who asked first has left", async () => {
    const { upstream, tokens, request } = await realm();
    const { promise, resolve } = Promise.withResolvers<void>();
    upstream.fault(/token/, hold(promise));
    const leader = new AbortController();
    const first = tokens.get(request(), asking({ signal: leader.signal }));
    await expect.poll(() => upstream.count()).toBe(1);
    const second = tokens.get(request(), asking());
    const reason = new Error("left");
    leader.abort(reason);
    await expect(first).rejects.toBe(reason);
    resolve();
    expect(await second).toMatch(/^Bearer /);
    expect(upstream.count()).toBe(1);
  });

  it("are each for who asks, for what and where", async () => {
    const { upstream, tokens, request } = await realm();
    const requests = [
      request(),
      request({ credential: ANN }),
      request({ credential: BEN }),
      request({ scope: "repository:b:pull" }),
      request({ service: "other" }),
      request({ realm: new URL("/token?x=1", upstream.url) }),
    ];
    const got = [];
    for (const one of requests) got.push(await tokens.get(one, asking()));
    expect(new Set(got).size).toBe(requests.length);
    for (const [at, one] of requests.entries()) expect(await tokens.get(one, asking())).toBe(got[at]);
    expect(upstream.count()).toBe(requests.length);
  });

  it("are fetched anew once they are forgotten", async () => {
    const { tokens, request } = await realm();
    const first = await tokens.get(request(), asking());
    expect(tokens.holds(request())).toBe(true);
    tokens.forget(request());
    expect(tokens.holds(request())).toBe(false);
    expect(await tokens.get(request(), asking())).not.toBe(first);
  });

  it.each<[number, string | undefined, OciError["code"]]>([
    [401, undefined, "UNAUTHORIZED"],
    [403, undefined, "DENIED"],
    [429, undefined, "TOOMANYREQUESTS"],
    [500, undefined, "UPSTREAM_INVALID"],
    [200, "", "UPSTREAM_INVALID"],
    [200, "null", "UPSTREAM_INVALID"],
    [200, "<html>", "UPSTREAM_INVALID"],
    [200, "{}", "UPSTREAM_INVALID"],
    [200, '{"token":""}', "UPSTREAM_INVALID"],
    [200, '{"token":7}', "UPSTREAM_INVALID"],
    [200, '{"token":"a\\r\\nX-Evil: 1"}', "UPSTREAM_INVALID"],
    [200, `{"token":"${"a".repeat(1024 * 1024)}"}`, "UPSTREAM_INVALID"],
  ])("are none where the realm answers %i %.30s", async (code, body, expected) => {
    const { upstream, tokens, request } = await realm();
    upstream.fault(/token/, status(code, {}, body));
    const failure = await failureOf(tokens.get(request({ credential: ANN }), asking()));
    expect(failure.code).toBe(expected);
    expect(failure.message).not.toContain("a\r");
    expect(failure.message).not.toContain(ANN.basic);
  });

  it("take access_token where token is empty", async () => {
    const { upstream, tokens, request } = await realm();
    upstream.fault(/token/, status(200, {}, '{"token":"","access_token":"abc"}'));
    expect(await tokens.get(request(), asking())).toBe("Bearer abc");
  });

  it("do not take the credential along to another origin", async () => {
    const { upstream, tokens, request } = await realm();
    const other = await faultUpstream();
    upstream.fault(/token/, status(307, { location: new URL("/token", other.url).href }, ""));
    other.fault(/token/, header("x-a", "b"));
    await failureOf(tokens.get(request({ credential: ANN }), asking()));
    expect(upstream.log[0]!.hasAuthorization).toBe(true);
    expect(other.log[0]!.hasAuthorization).toBe(false);
  });
});
