// A site that is offline: nobody is asked anything, nobody waits, and what is held goes on being served to whom it may be.
import { describe, expect, it, onTestFinished } from "vitest";
import { fakeResolver } from "../dns/resolver.ts";
import type { Auth } from "../faults/auth.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { startFront } from "../front.ts";

const ANN = { authorization: `Basic ${Buffer.from("ann:pw").toString("base64")}` };
const BOB = { authorization: `Basic ${Buffer.from("bob:pw").toString("base64")}` };

/** Filled while it was online; then offline, under a name that would have to be looked up, with nothing left that is fresh. */
const world = async (auth: Auth = { kind: "none" }, headers: Record<string, string> = {}) => {
  const upstream = await faultUpstream({ auth });
  const { top, layers, config } = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: [1_000, 2_000] });
  const front = await startFront(upstream);
  const paths = {
    tag: "/v2/acme/app/manifests/v1",
    digest: `/v2/acme/app/manifests/${top.digest}`,
    layer: `/v2/acme/app/blobs/${layers[0]!.digest}`,
    config: `/v2/acme/app/blobs/${config.digest}`,
    tags: "/v2/acme/app/tags/list",
  };
  await front.ask("/v2/");
  for (const path of Object.values(paths)) expect((await front.ask(path, { headers })).status).toBe(200);
  await front.stop();
  upstream.clear();
  const resolver = await fakeResolver(() => undefined);
  onTestFinished(() => resolver[Symbol.asyncDispose]());
  const site = { offline: true, freshFor: "0s", staleIfError: "0s", publicFor: "0s", grantFor: "0s" };
  await front.start({ upstream: `http://upstream.test:${upstream.url.port}`, resolvers: [resolver.text], site });
  const status = async (path: string, more: Record<string, string> = {}, method = "GET") => {
    const began = performance.now();
    const answer = await front.ask(path, { headers: more, method });
    expect(performance.now() - began).toBeLessThan(1_000);
    return answer.status;
  };
  const nobodyAsked = () => expect([upstream.log, resolver.asked]).toEqual([[], []]);
  return { front, paths, status, nobodyAsked, top };
};

describe("an offline site", () => {
  it("serves what is held and public, however old, and asks nobody", async () => {
    const { front, paths, status, nobodyAsked, top } = await world();
    for (const path of Object.values(paths)) {
      for (const method of ["GET", "HEAD"])
        expect({ path, status: await status(path, {}, method) }).toEqual({ path, status: 200 });
    }
    const answer = await front.ask(paths.tag);
    expect(answer.body).toEqual(top.bytes);
    expect(answer.headers).toMatchObject({ "x-cache": "STALE", "docker-content-digest": top.digest });
    expect(await status("/v2/")).toBe(200);
    nobodyAsked();
  });

  it("has nothing else: 404 at once, and no write", async () => {
    const { paths, status, nobodyAsked } = await world();
    expect(await status("/v2/acme/app/manifests/v2")).toBe(404);
    expect(await status("/v2/acme/app/manifests/v2", {}, "HEAD")).toBe(404);
    expect(await status(`/v2/acme/app/manifests/sha256:${"a".repeat(64)}`)).toBe(404);
    expect(await status(`/v2/acme/app/blobs/sha256:${"a".repeat(64)}`)).toBe(404);
    expect(await status(`/v2/acme/app/blobs/sha256:${"a".repeat(64)}`, {}, "HEAD")).toBe(404);
    expect(await status("/v2/other/app/tags/list")).toBe(404);
    expect(await status(paths.tag.replace("acme", "other"))).toBe(404);
    expect(await status("/v2/acme/app/blobs/uploads/", {}, "POST")).toBe(503);
    expect(await status("/token?scope=x")).toBe(503);
    nobodyAsked();
  });

  it("gives what is private to whom it was granted, and to nobody else", async () => {
    const auth: Auth = { kind: "basic", users: { ann: "pw", bob: "pw" }, owners: { "acme/app": "ann" } };
    const { paths, status, nobodyAsked } = await world(auth, ANN);
    expect(await status("/v2/", ANN)).toBe(200);
    expect(await status("/v2/", BOB)).toBe(503);
    for (const path of Object.values(paths)) {
      expect({ path, status: await status(path, ANN) }).toEqual({ path, status: 200 });
      expect({ path, status: await status(path, BOB) }).toEqual({ path, status: 404 });
      expect({ path, status: await status(path) }).toEqual({ path, status: 401 });
    }
    nobodyAsked();
  });
});
