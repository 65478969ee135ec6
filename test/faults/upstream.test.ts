// The scripted upstream itself: what other tests build on must do what it says.
import { Client, request } from "undici";
import { describe, expect, it, onTestFinished } from "vitest";
import {
  closeOnSecond,
  cutAt,
  flip401,
  hide404,
  redirect,
  redirectExpiring,
  status,
  wrongBytes,
  wrongLength,
} from "./behaviours.ts";
import { digestOf } from "./content.ts";
import { faultUpstream } from "./upstream.ts";

const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});
const get = async (url: URL | string, headers: Record<string, string> = {}) => {
  const answer = await request(url, { headers });
  return { status: answer.statusCode, headers: answer.headers, bytes: Buffer.from(await answer.body.arrayBuffer()) };
};

describe("faultUpstream", () => {
  it("serves what it was seeded with, by tag, digest and range, and logs it", async () => {
    const upstream = await faultUpstream();
    const { top, manifest, layers } = upstream.content.seed({ repo: "team/app", tag: "1", layers: [300_000], index: true });
    const byTag = await get(new URL("/v2/team/app/manifests/1", upstream.url));
    expect(byTag.headers["docker-content-digest"]).toBe(top.digest);
    expect(byTag.bytes).toEqual(top.bytes);
    expect((await get(new URL(`/v2/team/app/manifests/${manifest.digest}`, upstream.url))).bytes).toEqual(manifest.bytes);
    const part = await get(new URL(`/v2/team/app/blobs/${layers[0]!.digest}`, upstream.url), { range: "bytes=299990-" });
    expect(part).toMatchObject({ status: 206, bytes: layers[0]!.bytes.subarray(299_990) });
    expect(upstream.bytes(/blobs/)).toBe(10);
    expect(upstream.requests(/blobs/)[0]).toMatchObject({ range: "bytes=299990-", status: 206, hasAuthorization: false });
  });

  it("gives tokens for what their holder may see", async () => {
    const upstream = await faultUpstream({ auth: { kind: "bearer", users: { ann: "pw" }, owners: { "ann/app": "ann" } } });
    upstream.content.seed({ repo: "ann/app", tag: "1" });
    const url = new URL("/v2/ann/app/manifests/1", upstream.url);
    const refused = await get(url);
    expect(refused.headers["www-authenticate"]).toBe(
      `Bearer realm="${upstream.url.origin}/token",service="fault.example",scope="repository:ann/app:pull"`,
    );
    const token = async (headers = {}) =>
      JSON.parse(
        (await get(new URL("/token?service=s&scope=repository:ann/app:pull", upstream.url), headers)).bytes.toString(),
      ) as {
        token: string;
      };
    expect((await get(url, { authorization: `Bearer ${(await token()).token}` })).status).toBe(401);
    const held = { authorization: `Bearer ${(await token(basic("ann", "pw"))).token}` };
    expect((await get(url, held)).status).toBe(200);
    upstream.gate.revokeTokens();
    expect((await get(url, held)).status).toBe(401);
    upstream.fault(/ann/, hide404);
    expect((await get(url)).status).toBe(404);
  });

  it("misbehaves as often as told", async () => {
    const upstream = await faultUpstream();
    const { layers } = upstream.content.seed({ repo: "a", layers: 1_000 });
    const url = new URL(`/v2/a/blobs/${layers[0]!.digest}`, upstream.url);
    upstream.fault(/blobs/, cutAt(100), 1);
    await expect(get(url)).rejects.toThrow();
    upstream.fault(/blobs/, wrongLength(), 1);
    await expect(get(url)).rejects.toThrow();
    upstream.fault(/blobs/, wrongBytes, 1);
    const wrong = await get(url);
    expect(wrong.bytes.length).toBe(1_000);
    expect(digestOf(wrong.bytes)).not.toBe(layers[0]!.digest);
    upstream.fault(/blobs/, status(429, { "retry-after": "7" }), 1);
    expect(await get(url)).toMatchObject({ status: 429, headers: { "retry-after": "7" } });
    expect((await get(url)).bytes).toEqual(layers[0]!.bytes);
  });

  it("redirects to where a credential is refused", async () => {
    const upstream = await faultUpstream();
    const { layers } = upstream.content.seed({ repo: "a", layers: 1_000 });
    upstream.fault(/blobs/, redirect());
    const { headers } = await get(new URL(`/v2/a/blobs/${layers[0]!.digest}`, upstream.url));
    const location = String(headers["location"]);
    expect(await get(location, { range: "bytes=0-9" })).toMatchObject({ status: 206, bytes: layers[0]!.bytes.subarray(0, 10) });
    expect((await get(location, basic("a", "b"))).status).toBe(400);
  });

  it("redirects to where a signature is good once, closes on the second request, and changes its mind", async () => {
    const upstream = await faultUpstream();
    const { layers } = upstream.content.seed({ repo: "a", layers: 1_000 });
    const url = new URL(`/v2/a/blobs/${layers[0]!.digest}`, upstream.url);
    const lift = upstream.fault(/blobs/, redirectExpiring());
    const location = String((await get(url)).headers["location"]);
    expect((await get(location)).bytes).toEqual(layers[0]!.bytes);
    expect((await get(location)).status).toBe(403);
    lift();
    const flipped = upstream.fault(/blobs/, flip401());
    expect([(await get(url)).status, (await get(url)).status, (await get(url)).status]).toEqual([200, 401, 200]);
    flipped();
    upstream.fault(/blobs/, closeOnSecond);
    const client = new Client(upstream.url.origin);
    onTestFinished(() => client.destroy());
    const ask = async () => (await client.request({ method: "GET", path: url.pathname })).body.arrayBuffer();
    expect((await ask()).byteLength).toBe(1_000);
    await expect(ask()).rejects.toThrow();
    expect((await ask()).byteLength).toBe(1_000);
  });

  it("takes a push, stops and starts on its port", async () => {
    const upstream = await faultUpstream();
    const put = (path: string, body: string, method: "PUT" | "POST" = "PUT") =>
      request(new URL(path, upstream.url), { method, body });
    const opened = await put("/v2/a/blobs/uploads/", "", "POST");
    await opened.body.dump();
    const done = await put(`${String(opened.headers["location"])}&digest=${digestOf(Buffer.from("x"))}`, "x");
    expect(done.statusCode).toBe(201);
    await done.body.dump();
    const raised = await put("/v2/a/manifests/1", "{}");
    await raised.body.dump();
    expect(upstream.content.repo("a").tags.get("1")).toBe(digestOf(Buffer.from("{}")));
    const { port } = upstream.url;
    await upstream.stop();
    await expect(get(upstream.url)).rejects.toThrow();
    await upstream.start();
    expect(upstream.url.port).toBe(port);
    expect((await get(new URL("/v2/", upstream.url))).status).toBe(200);
  });
});
