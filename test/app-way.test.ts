// The whole front end where its way out is a company's: through an HTTP proxy, with a certificate of its own, to a registry and its copy.
import { expect, it } from "vitest";
import { faultProxy } from "./faults/proxy.ts";
import { faultUpstream } from "./faults/upstream.ts";
import { Front } from "./front.ts";
import { certified, clientCertificate, rootPem } from "./upstream/secure.ts";

const TAG = "/v2/acme/app/manifests/v1";

const world = async () => {
  const proxy = await faultProxy({ login: "builds:hunter2" });
  proxy.url.hostname = "127.0.0.1";
  const tls = certified(["registry.far.test"]);
  const upstream = await faultUpstream({ name: "registry.far.test", tls, clientCa: rootPem });
  const { layers } = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 50_000 });
  const front = new Front(upstream.url.origin, {
    freshFor: "0s",
    httpProxy: proxy.url.href,
    clientCertificate: clientCertificate(),
  });
  await front.start({ site: { trust: "trust.pem" }, files: { "trust.pem": rootPem } });
  return { proxy, upstream, front, blob: `/v2/acme/app/blobs/${layers[0]!.digest}` };
};

it("pulls, pushes and answers /v2/ by tunnels alone, each with the certificate", async () => {
  const { proxy, upstream, front, blob } = await world();
  expect((await front.ask("/v2/")).status).toBe(200);
  expect((await front.ask(TAG)).status).toBe(200);
  expect((await front.ask(blob)).body.length).toBe(50_000);
  const started = await front.ask("/v2/acme/app/blobs/uploads/", { method: "POST", body: Buffer.alloc(0) });
  expect(started.status).toBe(202);
  const location = String(started.headers["location"]);
  expect((await front.ask(location, { method: "PATCH", body: Buffer.alloc(200_000, 1) })).status).toBe(202);
  expect(upstream.count(({ method }) => method === "POST" || method === "PATCH")).toBe(2);
  expect(new Set(proxy.targets)).toEqual(new Set([upstream.url.host]));
  expect(new Set(upstream.log.map(({ certificate }) => certificate))).toEqual(new Set(["builds"]));
  expect(JSON.stringify(upstream.log.map(({ headers }) => headers))).not.toContain("proxy-authorization");
});

it("goes on with what it holds while the proxy is ill, and finds it well again", async () => {
  const { proxy, front, blob } = await world();
  expect((await front.ask(TAG)).status).toBe(200);
  proxy.instead = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
  proxy.tear();
  const stale = await front.ask(TAG);
  expect(stale).toMatchObject({ status: 200, headers: { "x-cache": "STALE" } });
  const cold = await front.ask(blob);
  expect(cold.status).toBe(503);
  expect(cold.body.toString()).toContain("wants other credentials than its URL has (407)");
  expect(cold.body.toString()).not.toContain("hunter2");
  const pushed = await front.ask("/v2/acme/app/blobs/uploads/", { method: "POST" });
  expect(pushed.status).toBe(503);
  expect(pushed.body.toString()).toContain("(407)");
  proxy.instead = undefined;
  await expect.poll(async () => (await front.ask(TAG)).headers["x-cache"], { timeout: 10_000 }).toBe("REVALIDATED");
  expect((await front.ask(blob)).status).toBe(200);
});

it("reads from a copy while the first is away, and writes to the first alone", async () => {
  const [first, copy] = [await faultUpstream(), await faultUpstream()];
  for (const one of [first, copy]) one.content.seed({ repo: "acme/app", tag: "v1" });
  const front = new Front(first.url.origin, { freshFor: "0s" });
  await front.start({ upstream: `${first.url.origin}, ${copy.url.origin}` });
  expect((await front.ask(TAG)).status).toBe(200);
  expect((await front.ask("/v2/acme/app/manifests/none")).status).toBe(404);
  expect(copy.count()).toBe(0);
  await first.stop();
  expect((await front.ask(TAG)).status).toBe(200);
  expect(copy.count(/manifests/)).toBeGreaterThan(0);
  copy.clear();
  expect((await front.ask("/v2/acme/app/blobs/uploads/", { method: "POST" })).status).toBe(503);
  expect(copy.count()).toBe(0);
});

it.each(["basic", "bearer"] as const)("asks no client for what a registry with %s refuses to us", async (kind) => {
  const users = { ann: "pw" };
  const upstream = await faultUpstream({ auth: { kind, users, owners: { "acme/app": "ann", "ben/app": "ben" } } });
  for (const repo of ["acme/app", "ben/app"]) upstream.content.seed({ repo, tag: "v1" });
  const front = new Front(upstream.url.origin, { access: "shared", credentials: { username: "ann", password: "pw" } });
  await front.start();
  const client = { authorization: `Basic ${Buffer.from("ben:secret").toString("base64")}` };
  expect((await front.ask("/v2/")).status).toBe(200);
  expect((await front.ask(TAG, { headers: client })).status).toBe(200);
  const refused = async (path: string) => {
    const { status, headers } = await front.ask(path, { headers: client });
    return [status, headers["www-authenticate"]];
  };
  expect(await refused("/v2/ben/app/manifests/v1")).toEqual([403, undefined]);
  users.ann = "other";
  upstream.gate.revokeTokens();
  expect(await refused("/v2/acme/app/manifests/v2")).toEqual([403, undefined]);
  expect(upstream.log.some(({ headers }) => headers.authorization === client.authorization)).toBe(false);
});
