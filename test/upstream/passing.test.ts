// What is passed through is heard by the breaker, and neither waits for an upstream that is known to be away nor for anybody's turn.
import { describe, expect, it } from "vitest";
import { status } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { startFront } from "../front.ts";

const TAG = "/v2/acme/app/manifests/v1";
const put = { method: "PUT", body: Buffer.from("{}"), headers: { "content-length": "2" } };

const world = async () => {
  const upstream = await faultUpstream();
  const { top } = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 1_000 });
  const front = await startFront(upstream, { freshFor: "0s" });
  expect((await front.ask(TAG)).status).toBe(200);
  return { upstream, front, top };
};

describe("a push", () => {
  it("that finds nobody tells readers so: they are served what is held, at once", async () => {
    const { upstream, front, top } = await world();
    await upstream.stop();
    expect((await front.ask("/v2/acme/app/manifests/v2", put)).status).toBe(503);
    const began = performance.now();
    const answer = await front.ask(TAG);
    expect(answer.body.equals(top.bytes)).toBe(true);
    expect(answer.headers["x-cache"]).toBe("STALE");
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  it("finds an upstream that is back, although it was known to be away", async () => {
    const { upstream, front } = await world();
    await upstream.stop();
    expect((await front.ask("/v2/acme/app/manifests/v2", put)).status).toBe(503);
    const refused = await front.ask("/v2/acme/app/manifests/v2", put);
    expect(refused.status).toBe(503);
    expect(Number(refused.headers["retry-after"])).toBeGreaterThan(0);
    await upstream.start();
    expect((await front.ask("/v2/acme/app/manifests/v2", put)).status).toBe(201);
    expect((await front.ask(TAG)).headers["x-cache"]).not.toBe("STALE");
  });

  it("goes through while everything else fails, and while a budget is used up", async () => {
    const { upstream, front } = await world();
    for (const code of [500, 429]) {
      const lift = upstream.fault(({ method }) => method === "GET" || method === "HEAD", status(code, { "retry-after": "60" }));
      for (let n = 0; n < 5; n += 1) await front.ask(`/v2/acme/app/manifests/n${n}`);
      expect((await front.ask("/v2/acme/app/manifests/v2", put)).status).toBe(201);
      lift();
    }
  });

  it("that upstream fails is no reason to think it away", async () => {
    const { upstream, front } = await world();
    upstream.fault(({ method }) => method === "PUT", status(500));
    for (let n = 0; n < 5; n += 1) expect((await front.ask("/v2/acme/app/manifests/v2", put)).status).toBe(500);
    expect((await front.ask(TAG)).headers["x-cache"]).not.toBe("STALE");
  });
});
