// Rights where upstream or a client is out of the ordinary: repositories that are gone, tokens that are always new, digests that are not one's own.
import { describe, expect, it } from "vitest";
import { status } from "../faults/behaviours.ts";
import { OCI_INDEX } from "../faults/content.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { HOUR, MINUTE } from "../registry/stack.ts";
import { siteDoor } from "./site-door.ts";

const SECRET = Buffer.from("a layer of ann's own");

const world = async (settings: object = {}) => {
  const owners = { "ann/app": "ann", "bob/app": "bob" };
  const upstream = await faultUpstream({ auth: { kind: "bearer", users: { ann: "pw", bob: "pw" }, owners } });
  const door = await siteDoor(upstream, { freshFor: "1h", ...settings });
  await door.ask("/v2/");
  const image = upstream.content.seed({ repo: "ann/app", tag: "v1", layers: [SECRET] });
  upstream.content.moveTag("ann/app", "pinned", image.top.digest);
  upstream.content.seed({ repo: "bob/app", tag: "v1" });
  upstream.content.seed({ repo: "open/app", tag: "v1", layers: [SECRET] });
  const token = async (repo: string, user?: string) => {
    const headers = user === undefined ? {} : { authorization: `Basic ${Buffer.from(`${user}:pw`).toString("base64")}` };
    const url = new URL(`/token?service=fault.example&scope=repository:${repo}:pull`, upstream.url);
    return `Bearer ${((await (await fetch(url, { headers })).json()) as { token: string }).token}`;
  };
  const layer = image.layers[0]!.digest;
  const ask = async (path: string, authorization?: string, method = "GET") => {
    const answer = await door.ask(`/v2/${path}`, { method, headers: authorization === undefined ? {} : { authorization } });
    return { status: answer.status, body: answer.body };
  };
  /** As clients do: the tag, its digest, the layer. */
  const pull = async (repo: string, tag: string, authorization?: string) => {
    const codes = [];
    for (const path of [`manifests/${tag}`, `manifests/${image.top.digest}`, `blobs/${layer}`])
      codes.push((await ask(`${repo}/${path}`, authorization)).status);
    return codes;
  };
  /** Without the questions by which it is found out what is public. */
  const questions = () =>
    upstream.log.filter(({ path, headers }) => path.startsWith("/v2/") && headers.authorization !== undefined);
  return { upstream, door, image, layer, token, ask, pull, questions };
};

const ALL = [200, 200, 200];

describe("a repository that upstream has deleted", () => {
  const rules = [{ match: "**:pinned", pin: true }];
  const settings = { rules, freshFor: "0s" };

  it("before its tag was pinned here is not there", async () => {
    const { upstream, pull, token } = await world(settings);
    const ann = await token("ann/app", "ann");
    upstream.content.repos.delete("ann/app");
    expect(await pull("ann/app", "pinned", ann)).toEqual([404, 404, 404]);
  });

  it("after that is its readers' for as long as their right, and comes back with it", async () => {
    const { upstream, door, pull, token } = await world(settings);
    const ann = await token("ann/app", "ann");
    expect(await pull("ann/app", "pinned", ann)).toEqual(ALL);
    const repo = upstream.content.repos.get("ann/app")!;
    upstream.content.repos.delete("ann/app");
    expect(await pull("ann/app", "pinned", ann)).toEqual(ALL);
    // a 404 for all of it proves nobody's right: it might be hidden from who asks
    door.grant("ann/app", ann, 6 * MINUTE, 5 * MINUTE);
    expect(await pull("ann/app", "pinned", ann)).toEqual([404, 404, 404]);
    upstream.content.repos.set("ann/app", repo);
    upstream.clear();
    expect(await pull("ann/app", "pinned", ann)).toEqual(ALL);
    expect(upstream.count(({ method }) => method === "GET")).toBe(0);
  });

  it("but for its name is kept for who may read that, pinned or not", async () => {
    const { upstream, door, pull, token } = await world(settings);
    const ann = await token("ann/app", "ann");
    for (const tag of ["v1", "pinned"]) expect(await pull("ann/app", tag, ann)).toEqual(ALL);
    const repo = upstream.content.repo("ann/app");
    for (const part of [repo.tags, repo.manifests, repo.blobs]) part.clear();
    for (const tag of ["v1", "pinned"]) {
      door.grant("ann/app", ann, 6 * MINUTE, 5 * MINUTE);
      expect(await pull("ann/app", tag, ann)).toEqual(ALL);
    }
    expect(await pull("ann/app", "v1", await token("ann/app", "bob"))).toEqual([401, 401, 401]);
  });
});

describe("a token that is new with every pull", () => {
  it("costs one HEAD a pull of what is held, and nothing is counted", async () => {
    const { upstream, pull, token, questions } = await world();
    expect(await pull("ann/app", "v1", await token("ann/app", "ann"))).toEqual(ALL);
    await expect.poll(() => upstream.count(({ status: code }) => code === 401)).toBe(1 + 2);
    for (let nth = 0; nth < 3; nth += 1) {
      const ann = await token("ann/app", "ann");
      upstream.clear();
      expect(await pull("ann/app", "v1", ann)).toEqual(ALL);
      expect(questions().map(({ method, path }) => `${method} ${path}`)).toEqual(["HEAD /v2/ann/app/manifests/v1"]);
    }
  });

  it("in an outage is no token that is known: what is private waits, what is public does not", async () => {
    const { upstream, door, pull, token } = await world();
    const known = await token("ann/app", "ann");
    expect(await pull("ann/app", "v1", known)).toEqual(ALL);
    expect(await pull("open/app", "v1", await token("open/app"))).toEqual(ALL);
    const [fresh, other] = [await token("ann/app", "ann"), await token("open/app", "bob")];
    door.grant("open/app", undefined, 2 * HOUR, HOUR);
    upstream.fault(/^\/v2\//, status(503));
    expect(await pull("ann/app", "v1", known)).toEqual(ALL);
    expect(await pull("ann/app", "v1", fresh)).toEqual([503, 503, 503]);
    for (const who of [other, undefined]) expect((await pull("open/app", "v1", who))[0]).toBe(200);
  });
});

describe("a secret digest that is named in one's own repository", () => {
  it("stays secret, by whatever names it and however it is asked for", async () => {
    const { upstream, image, layer, ask, pull, token } = await world();
    expect(await pull("ann/app", "v1", await token("ann/app", "ann"))).toEqual(ALL);
    const { digest, bytes } = image.top;
    const entry = { mediaType: image.top.mediaType, digest, size: bytes.length };
    upstream.content.putManifest("bob/app", "index", { manifests: [entry] }, OCI_INDEX);
    upstream.content.putManifest("bob/app", "image", { layers: [{ digest: layer, size: SECRET.length }], config: entry });
    upstream.content.putManifest("bob/app", "signature", { subject: entry, layers: [] });
    const bob = await token("bob/app", "bob");
    for (const tag of ["index", "image", "signature"]) expect((await ask(`bob/app/manifests/${tag}`, bob)).status).toBe(200);
    expect((await ask(`bob/app/referrers/${digest}`, bob)).status).toBe(200);
    for (const method of ["GET", "HEAD"]) {
      for (const path of [`manifests/${digest}`, `blobs/${layer}`, `blobs/${digest}`]) {
        const answer = await ask(`bob/app/${path}`, bob, method);
        expect({ path, method, status: answer.status }).toEqual({ path, method, status: 404 });
        expect(answer.body.toString()).not.toContain("ann");
      }
    }
    upstream.fault(/^\/v2\//, status(503));
    for (const path of [`manifests/${digest}`, `blobs/${layer}`]) expect((await ask(`bob/app/${path}`, bob)).status).toBe(503);
  });
});
