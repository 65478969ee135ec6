import { describe, expect, it } from "vitest";
import { type TokenRequest, Tokens } from "../../src/upstream/token.ts";
import { hold, status } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, NOW, transportFor } from "./asking.ts";

const world = async () => {
  const upstream = await faultUpstream({ auth: { kind: "bearer" } });
  const time = { now: 1_000 };
  const tokens = new Tokens(
    transportFor(),
    () => NOW,
    () => time.now,
  );
  const request = (scope: string): TokenRequest => ({
    realm: new URL("/token", upstream.url),
    service: "registry",
    scope: `repository:${scope}:pull`,
    credential: undefined,
  });
  const get = async (scope = "a") =>
    tokens.get(request(scope), asking()).then(
      () => "a token",
      (error: unknown) => (error as { code: string }).code,
    );
  return { upstream, time, get, tokens, request };
};

describe("a token server that is away", () => {
  it("is asked by one at a time, after pauses that grow, and everybody else is told at once", async () => {
    const { upstream, time, get, tokens, request } = await world();
    await upstream.stop();
    expect(await get()).toBe("UPSTREAM_UNREACHABLE");
    await upstream.start();
    for (const scope of ["a", "b", "c"]) expect(await get(scope)).toBe("UPSTREAM_UNREACHABLE");
    expect((await failureOf(tokens.get(request("d"), asking()))).retryAfterMs).toBe(1_000);
    expect(upstream.count()).toBe(0);
    await upstream.stop();
    for (const pause of [500, 1_000, 2_000, 5_000]) {
      time.now += pause - 1;
      await upstream.start();
      expect(await get()).toBe("UPSTREAM_UNREACHABLE");
      await upstream.stop();
      time.now += 1;
      expect(await get()).toBe("UPSTREAM_UNREACHABLE");
    }
    expect(upstream.count()).toBe(0);
    await upstream.start();
    time.now += 10_000;
    expect(await get()).toBe("a token");
    expect(await get("b")).toBe("a token");
    expect(upstream.count()).toBe(2);
  });

  it("lets all in who come while one finds out, soon enough, that it is back", async () => {
    const { upstream, time, get } = await world();
    await upstream.stop();
    await get();
    await upstream.start();
    time.now += 500;
    const { promise, resolve: open } = Promise.withResolvers<void>();
    upstream.fault(/token/, hold(promise), 1);
    const all = Promise.all(["a", "b", "c", "d"].map(get));
    await expect.poll(() => upstream.count()).toBe(1);
    open();
    expect(await all).toEqual(["a token", "a token", "a token", "a token"]);
  });

  it("keeps others waiting for no longer than a moment, where it keeps the one", async () => {
    const { upstream, time, get, tokens, request } = await world();
    await upstream.stop();
    await get();
    await upstream.start();
    upstream.freeze();
    time.now += 500;
    const stop = new AbortController();
    const hanging = tokens.get(request("a"), asking({ signal: stop.signal })).catch(() => "left");
    await expect.poll(() => upstream.count()).toBe(1);
    expect(await get("b")).toBe("UPSTREAM_UNREACHABLE");
    expect(upstream.count()).toBe(1);
    stop.abort(new Error("left"));
    expect(await hanging).toBe("left");
  });

  it.each([401, 403, 500])("is none that answers %i", async (code) => {
    const { upstream, get } = await world();
    upstream.fault(/token/, status(code));
    for (let n = 0; n < 3; n += 1) await get();
    expect(upstream.count()).toBe(3);
  });
});
