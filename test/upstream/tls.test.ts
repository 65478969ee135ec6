import { describe, expect, it } from "vitest";
import { trusting } from "../../src/upstream/roots.ts";
import { redirect, redirectTo } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf } from "./asking.ts";
import { NAME, rootPem, secureTransport, secureUpstream } from "./secure.ts";

const ask = async (url: URL, trust?: string) => {
  const { signal, tally } = asking();
  const transport = await secureTransport(trust);
  return transport.send({
    method: "GET",
    kind: "question",
    url: new URL("/v2/", url),
    headers: { authorization: "Bearer secret" },
    signal,
    tally,
  });
};

describe("certificates of upstreams", () => {
  it("are taken from an issuer that the site trusts", async () => {
    const upstream = await secureUpstream();
    const answer = await ask(upstream.url);
    expect(answer.status).toBe(200);
    await answer.body.dump();
  });

  it("are refused from an issuer that nobody trusts, before anything is said", async () => {
    const upstream = await secureUpstream();
    const failure = await failureOf(ask(upstream.url, ""));
    expect(failure.code).toBe("UPSTREAM_UNREACHABLE");
    expect(failure.message).toMatch(/UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT_LOCALLY|SELF_SIGNED/);
    expect(upstream.count()).toBe(0);
  });

  it("are refused for another name, though their issuer is trusted", async () => {
    const upstream = await secureUpstream({ leafNames: ["other.example"] });
    const failure = await failureOf(ask(upstream.url));
    expect(failure.message).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
    expect(upstream.count()).toBe(0);
  });

  it("are held against an address too", async () => {
    const upstream = await secureUpstream();
    const failure = await failureOf(ask(new URL(`https://127.0.0.1:${upstream.url.port}`)));
    expect(failure.message).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  it("are refused once they have expired", async () => {
    const upstream = await secureUpstream({ at: Date.now() - 60 * 86_400_000 });
    expect((await failureOf(ask(upstream.url))).message).toMatch(/CERT_HAS_EXPIRED/);
  });

  it("are held against the name of where a redirect leads", async () => {
    const upstream = await secureUpstream();
    upstream.fault(({ origin }) => origin === "registry", redirect());
    const answer = await ask(upstream.url);
    expect(answer.status).toBe(200);
    await answer.body.dump();
    upstream.clearFaults();
    upstream.fault(/v2/, redirectTo(`https://other.example:${upstream.url.port}/v2/`));
    expect((await failureOf(ask(upstream.url))).message).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  it("are not left behind: no redirect from https to http is followed", async () => {
    const upstream = await secureUpstream();
    const plain = await faultUpstream();
    upstream.fault(/v2/, redirectTo(plain.url.href));
    expect((await failureOf(ask(upstream.url))).code).toBe("UPSTREAM_INVALID");
    expect(plain.count()).toBe(0);
  });

  it("cannot come from a server that speaks plain HTTP", async () => {
    const plain = await faultUpstream();
    const url = new URL(`https://${NAME}:${plain.url.port}`);
    expect((await failureOf(ask(url))).code).toBe("UPSTREAM_UNREACHABLE");
    expect(plain.count()).toBe(0);
  });
});

describe("roots", () => {
  it("are parsed once for sites that add the same", () => {
    expect(trusting(rootPem)).toBe(trusting(rootPem));
    expect(trusting(undefined)).not.toBe(trusting(rootPem));
  });
});
