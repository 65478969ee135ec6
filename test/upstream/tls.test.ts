import { describe, expect, it } from "vitest";
import { mintLeaf } from "../../src/tls/leaf.ts";
import { makeRoot } from "../../src/tls/root.ts";
import type { UpstreamResolver } from "../../src/upstream/resolver.ts";
import { trusting } from "../../src/upstream/roots.ts";
import { redirect, redirectTo } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, transportFor } from "./asking.ts";
import { namesAt } from "./names.ts";

const root = makeRoot({ names: "all", now: Date.now(), hostname: "box" });
const rootPem = String(root.certificate);
const NAME = "registry.example";

const secure = async (leafNames: readonly string[] = [NAME], now = Date.now()) => {
  const { chain, key } = mintLeaf(root, leafNames, now);
  return faultUpstream({ name: NAME, tls: { cert: chain, key: key.export({ type: "pkcs8", format: "pem" }) as string } });
};
const ask = (url: URL, resolver: UpstreamResolver, trust: string | undefined = rootPem) => {
  const { signal, tally } = asking();
  const transport = transportFor({ resolver, secureContext: trusting(trust) });
  return transport.send({ method: "GET", url: new URL("/v2/", url), headers: { authorization: "Bearer secret" }, signal, tally });
};

describe("certificates of upstreams", () => {
  it("are taken from an issuer that the site trusts", async () => {
    const upstream = await secure();
    const answer = await ask(upstream.url, await namesAt("127.0.0.1"));
    expect(answer.status).toBe(200);
    await answer.body.dump();
  });

  it("are refused from an issuer that nobody trusts, before anything is said", async () => {
    const upstream = await secure();
    const failure = await failureOf(ask(upstream.url, await namesAt("127.0.0.1"), ""));
    expect(failure.code).toBe("UPSTREAM_UNREACHABLE");
    expect(failure.message).toMatch(/UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|SELF_SIGNED/);
    expect(upstream.count()).toBe(0);
  });

  it("are refused for another name, though their issuer is trusted", async () => {
    const upstream = await secure(["other.example"]);
    const failure = await failureOf(ask(upstream.url, await namesAt("127.0.0.1")));
    expect(failure.message).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
    expect(upstream.count()).toBe(0);
  });

  it("are held against an address too", async () => {
    const upstream = await secure();
    const failure = await failureOf(ask(new URL(`https://127.0.0.1:${upstream.url.port}`), await namesAt("127.0.0.1")));
    expect(failure.message).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  it("are refused once they have expired", async () => {
    const upstream = await secure([NAME], Date.now() - 60 * 86_400_000);
    expect((await failureOf(ask(upstream.url, await namesAt("127.0.0.1")))).message).toMatch(/CERT_HAS_EXPIRED/);
  });

  it("are held against the name of where a redirect leads", async () => {
    const upstream = await secure();
    upstream.fault(({ origin }) => origin === "registry", redirect());
    const answer = await ask(upstream.url, await namesAt("127.0.0.1"));
    expect(answer.status).toBe(200);
    await answer.body.dump();
    upstream.clearFaults();
    upstream.fault(/v2/, redirectTo(`https://other.example:${upstream.url.port}/v2/`));
    expect((await failureOf(ask(upstream.url, await namesAt("127.0.0.1")))).message).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  it("are not left behind: no redirect from https to http is followed", async () => {
    const upstream = await secure();
    const plain = await faultUpstream();
    upstream.fault(/v2/, redirectTo(plain.url.href));
    expect((await failureOf(ask(upstream.url, await namesAt("127.0.0.1")))).code).toBe("UPSTREAM_INVALID");
    expect(plain.count()).toBe(0);
  });

  it("cannot come from a server that speaks plain HTTP", async () => {
    const plain = await faultUpstream();
    const url = new URL(`https://${NAME}:${plain.url.port}`);
    expect((await failureOf(ask(url, await namesAt("127.0.0.1")))).code).toBe("UPSTREAM_UNREACHABLE");
    expect(plain.count()).toBe(0);
  });
});

describe("roots", () => {
  it("are parsed once for sites that add the same", () => {
    expect(trusting(rootPem)).toBe(trusting(rootPem));
    expect(trusting(undefined)).not.toBe(trusting(rootPem));
  });
});
