// What well-known registries and their token servers do that the specifications do not say, or say otherwise: with our own credentials, and as
// anybody. The client's own credential meets none of it here: its challenge is passed on.
import { describe, expect, it } from "vitest";
import { parseReference, parseRepository } from "../../src/oci/reference.ts";
import type { OwnCredentials } from "../../src/sites.ts";
import { asAnybody, asLayover } from "../../src/upstream/asker.ts";
import { fixed } from "../../src/upstream/credentials.ts";
import { Tokens } from "../../src/upstream/token.ts";
import { header, noDigestHeader, status } from "../faults/behaviours.ts";
import { type FaultOptions, faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, registryAt, transportFor } from "./asking.ts";

const mine = { repo: parseRepository("ann/app"), reference: parseReference("1") };
const open = { repo: parseRepository("open/app"), reference: parseReference("1") };
const ANN = { username: "ann", password: "pw" };
const anywhere = () => Promise.resolve();

const world = async (auth: FaultOptions["auth"], credentials: OwnCredentials = ANN) => {
  const time = { now: Date.UTC(2026, 0, 1) };
  const upstream = await faultUpstream({ auth: auth!, clock: () => time.now });
  for (const repo of ["ann/app", "open/app"]) upstream.content.seed({ repo, tag: "1" });
  const transport = transportFor();
  const tokens = new Tokens(transport, () => time.now);
  const registry = registryAt(upstream.url, asLayover(anywhere, tokens, fixed(credentials)), transport);
  const anybody = registryAt(upstream.url, asAnybody(tokens), transport);
  const pull = async () => (await registry.getManifest(mine, asking())).bytes.length > 0;
  return { upstream, time, registry, anybody, pull };
};

const BEARER = { kind: "bearer", users: { ann: "pw" }, owners: { "ann/app": "ann" } } as const;

describe("a challenge", () => {
  it.each<[string, (bearer: string) => string | string[]]>([
    ["with Basic before it in one header", (bearer) => `Basic realm="a, b", ${bearer}`],
    ["with others in several headers", (bearer) => ["Negotiate", 'Basic realm="x"', bearer]],
    ["with unknown words after it", (bearer) => `${bearer}, error="insufficient_scope", Digest realm="x", nonce="a,b"`],
    ["in odd letters and spaces", (bearer) => bearer.replace("Bearer realm", "bEARER   REALM")],
  ])("is met %s", async (_how, write) => {
    const { upstream, pull } = await world(BEARER);
    const bearer = `Bearer realm="${upstream.url.origin}/token",service="fault.example",scope="repository:ann/app:pull,push"`;
    upstream.fault(/manifests/, ({ answer }) => {
      if (answer.status === 401) answer.headers["www-authenticate"] = write(bearer);
    });
    expect(await pull()).toBe(true);
    const { searchParams } = new URL(upstream.requests(/token/)[0]!.path, upstream.url);
    expect(searchParams.get("scope")).toBe("repository:ann/app:pull,push");
  });

  it("that says no scope is met with a token for what was asked for", async () => {
    const { upstream, anybody, pull } = await world({ ...BEARER, noScope: true });
    expect(await pull()).toBe(true);
    await anybody.getManifest(open, asking());
    const scopes = upstream.requests(/token/).map(({ path }) => new URL(path, upstream.url).searchParams.getAll("scope"));
    expect(scopes).toEqual([["repository:ann/app:pull"], ["repository:open/app:pull"]]);
  });

  it("with several scopes, and a realm with a query of its own, is met as it says", async () => {
    const { upstream, pull } = await world(BEARER);
    const scopes = ["repository:ann/app:pull", "repository:open/app:pull"];
    const challenge = `Bearer realm="${upstream.url.origin}/token?tenant=a%26b&scope=x",service="s",scope="${scopes.join(" ")}"`;
    upstream.fault(/manifests/, status(401, { "www-authenticate": challenge }), 1);
    expect(await pull()).toBe(true);
    const { searchParams } = new URL(upstream.requests(/token/)[0]!.path, upstream.url);
    expect(searchParams.getAll("scope")).toEqual(scopes);
    expect(searchParams.get("tenant")).toBe("a&b");
  });
});

describe("a token", () => {
  it.each<[string, unknown, number]>([
    ["nothing", undefined, 50],
    ["0", 0, 50],
    ["a time gone by", -300, 50],
    ["a text", "300", 50],
    ["ever", 1e300, 86_390],
    ["some seconds", 8, 4],
  ])("that says of its life %s is used for so long as is sensible", async (_what, life, seconds) => {
    const { upstream, time, pull } = await world(BEARER);
    upstream.fault(/token/, ({ answer }) => {
      const { token } = JSON.parse(answer.content.toString()) as { token: string };
      answer.content = Buffer.from(JSON.stringify({ token, expires_in: life }));
    });
    const asked = async () => {
      upstream.clear();
      await pull().catch(() => undefined);
      return upstream.count(/token/);
    };
    expect(await asked()).toBe(1);
    time.now += seconds * 1_000 - 1;
    // the gate's own tokens live 300 s: one that it takes no more is asked for anew in any case
    if (seconds < 300) expect(await asked()).toBe(0);
    time.now += 1;
    expect(await asked()).toBe(1);
  });
});

describe("a registry", () => {
  it("that is ECR tells no digest and no length, and wants AWS for a user", async () => {
    const { upstream, registry } = await world({ kind: "basic", users: { AWS: "pw" } }, { username: "AWS", password: "pw" });
    upstream.fault(/manifests/, noDigestHeader);
    upstream.fault(({ method }) => method === "HEAD", header("content-length", undefined));
    const { descriptor, bytes } = await registry.getManifest(mine, asking());
    const stat = await registry.statManifest(mine, asking());
    expect(stat.descriptor).toEqual(descriptor);
    expect(descriptor.size).toBe(bytes.length);
  });

  it("that is GHCR gives tokens for what is public, and none for what is private or is not there", async () => {
    const { upstream, anybody } = await world(BEARER);
    upstream.fault(/token.*(ann|none)/, status(403, {}, '{"errors":[{"code":"DENIED","message":"requested access is denied"}]}'));
    expect((await anybody.getManifest(open, asking())).bytes.length).toBeGreaterThan(0);
    for (const repo of ["ann/app", "none/such"]) {
      const failure = await failureOf(anybody.getManifest({ ...open, repo: parseRepository(repo) }, asking()));
      expect(failure.code).toBe("DENIED");
    }
  });

  it.each([401, 403])("that says %i of what it does not have costs no more each time", async (code) => {
    const { upstream, pull, registry } = await world(BEARER);
    await pull();
    upstream.fault(
      /manifests\/none/,
      status(code, { "www-authenticate": `Bearer realm="${upstream.url.origin}/token",scope="x"` }),
    );
    const none = { ...mine, reference: parseReference("none") };
    for (let n = 0; n < 3; n += 1) {
      upstream.clear();
      expect((await failureOf(registry.getManifest(none, asking()))).isRefusal).toBe(true);
      expect(upstream.count()).toBeLessThan(6);
    }
    upstream.clear();
    expect(await pull()).toBe(true);
    expect(upstream.count(/token/)).toBe(0);
  });
});
