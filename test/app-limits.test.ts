// The whole front end before an upstream that has had enough, or is ill: what clients get, and how little upstream is asked meanwhile.
import { describe, expect, it } from "vitest";
import { status } from "./faults/behaviours.ts";
import { faultUpstream } from "./faults/upstream.ts";
import { startFront } from "./front.ts";

const V2 = /^\/v2\/acme/;
const TAG = "/v2/acme/app/manifests/v1";

const world = async (site: object = {}) => {
  const upstream = await faultUpstream();
  const { layers, top } = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 10_000 });
  upstream.content.seed({ repo: "acme/other", tag: "v1", layers: 10_000 });
  const front = await startFront(upstream, { freshFor: "0s", ...site });
  return { upstream, front, top, layer: `/v2/acme/app/blobs/${layers[0]!.digest}` };
};
type World = Awaited<ReturnType<typeof world>>;

const held = async ({ front, upstream, layer }: World) => {
  expect((await front.ask(TAG)).status).toBe(200);
  expect((await front.ask(layer)).status).toBe(200);
  upstream.clear();
};
const many = <T>(work: (n: number) => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: 100 }, (_, n) => work(n)));

describe("429", () => {
  it("is what clients get who want what is not held, in upstream's words, and upstream gets no question more", async () => {
    const here = await world();
    const { upstream, front, layer } = here;
    upstream.fault(V2, status(429, { "retry-after": "700", "content-type": "text/plain" }, "your pulls are used up"));
    expect(await front.ask(TAG)).toMatchObject({ status: 429, headers: { "retry-after": "700" } });
    for (const answer of await many((n) => front.ask(n % 2 === 0 ? layer : "/v2/acme/other/manifests/v1"))) {
      expect(answer).toMatchObject({ status: 429, headers: { "content-type": "text/plain" } });
      expect(answer.body.toString()).toBe("your pulls are used up");
      expect(Number(answer.headers["retry-after"])).toBeGreaterThan(600);
      expect(Number(answer.headers["retry-after"])).toBeLessThanOrEqual(700);
    }
    expect(upstream.count(V2)).toBe(1);
  });

  it("does not reach who wants what is held, which is said to be stale", async () => {
    const here = await world();
    await held(here);
    const { upstream, front, layer, top } = here;
    upstream.fault(V2, status(429, { "retry-after": "700" }));
    for (const answer of await many(() => front.ask(TAG))) {
      expect(answer).toMatchObject({ status: 200, body: top.bytes });
      expect(answer.headers).toMatchObject({ "x-cache": "STALE", warning: expect.stringMatching(/^110 /) as string });
    }
    expect((await front.ask(layer)).status).toBe(200);
    // the tag was asked for once, by all who came before the answer
    expect(upstream.count(V2)).toBe(1);
  });

  it("said to one credential is no matter of another's", async () => {
    const { upstream, front } = await world();
    const basic = (name: string) => ({ authorization: `Basic ${Buffer.from(`${name}:pw`).toString("base64")}` });
    const isAnns = (request: { headers: { authorization?: string | undefined } }) =>
      request.headers.authorization === basic("ann").authorization;
    upstream.fault(isAnns, status(429, { "retry-after": "700" }));
    expect((await front.ask(TAG, { headers: basic("ann") })).status).toBe(429);
    expect((await front.ask(TAG, { headers: basic("ann") })).status).toBe(429);
    expect((await front.ask(TAG, { headers: basic("bob") })).status).toBe(200);
    expect(upstream.count(isAnns)).toBe(1);
  });
});

describe("5xx", () => {
  it("costs no question a request where the thing is held", async () => {
    const here = await world();
    await held(here);
    const { upstream, front } = here;
    upstream.fault(/manifests/, status(500));
    for (let n = 0; n < 20; n += 1) {
      // as every client does, and upstream answers
      expect((await front.ask("/v2/")).status).toBe(200);
      expect((await front.ask(TAG)).headers["x-cache"]).toBe("STALE");
    }
    expect(upstream.count(/manifests/)).toBeGreaterThanOrEqual(3);
    expect(upstream.count(/manifests/)).toBeLessThanOrEqual(8);
    upstream.clearFaults();
    await expect.poll(async () => (await front.ask(TAG)).headers["x-cache"], { timeout: 10_000 }).toBe("REVALIDATED");
  });

  it("is given on where nothing is held, and told from memory once it is known, until upstream is well", async () => {
    const { upstream, front } = await world();
    upstream.fault(V2, status(503, {}, "we are moving"));
    for (let n = 0; n < 3; n += 1) {
      const answer = await front.ask(TAG);
      expect(answer).toMatchObject({ status: 503 });
      expect(answer.body.toString()).toBe("we are moving");
    }
    const asked = upstream.count(V2);
    const answers = await many(() => front.ask(TAG));
    for (const answer of answers) {
      expect(answer.status).toBe(503);
      expect(Number(answer.headers["retry-after"])).toBeGreaterThan(0);
    }
    expect(upstream.count(V2) - asked).toBeLessThanOrEqual(4);
    upstream.clearFaults();
    // another question than the one that has just failed
    expect((await front.ask("/v2/acme/other/manifests/v1")).status).toBe(200);
    expect((await front.ask(TAG)).status).toBe(200);
  });
});

describe("an upstream that is away", () => {
  it("is found by the very first client that comes when it is back", async () => {
    const { upstream, front } = await world();
    await upstream.stop();
    for (let n = 0; n < 5; n += 1) expect((await front.ask(TAG)).status).toBe(503);
    await upstream.start();
    expect((await front.ask(TAG)).status).toBe(200);
  });
});

describe("several upstreams", () => {
  it("are asked in order, and one that is away is not asked before the next any more", async () => {
    const second = await faultUpstream();
    const here = await world({ upstream: undefined });
    second.content.seed({ repo: "acme/app", tag: "v1", layers: 10_000 });
    second.content.seed({ repo: "acme/other", tag: "v1", layers: 10_000 });
    const front = await startFront(here.upstream, { freshFor: "0s", upstream: [here.upstream.url.origin, second.url.origin] });
    expect((await front.ask(TAG)).status).toBe(200);
    expect(second.count()).toBe(0);
    here.upstream.clear();
    here.upstream.fault(V2, status(500));
    for (let n = 0; n < 20; n += 1)
      expect((await front.ask(`/v2/acme/${n % 2 === 0 ? "app" : "other"}/manifests/v1`)).status).toBe(200);
    expect(here.upstream.count(V2)).toBeLessThanOrEqual(8);
    expect(second.count(V2)).toBeGreaterThanOrEqual(20);
  });
});
