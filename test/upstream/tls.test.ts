import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { request } from "node:https";
import { describe, expect, it } from "vitest";
import { trusting } from "../../src/lib/roots.ts";
import { agentTo } from "../../src/upstream/agents.ts";
import type { Transport } from "../../src/upstream/transport.ts";
import { wayOut } from "../../src/upstream/way.ts";
import { redirect, redirectTo } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, transportFor } from "./asking.ts";
import { namesAt } from "./names.ts";
import { clientCertificate, NAME, rootPem, secureTransport, secureUpstream } from "./secure.ts";

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

describe("a certificate of our own", () => {
  const asked = async (shown: "shown" | "not shown") => {
    const upstream = await secureUpstream({ clientCa: rootPem });
    const resolver = await namesAt("127.0.0.1");
    const own = shown === "shown" ? clientCertificate() : undefined;
    const way = wayOut({ trust: rootPem, clientCertificate: own, httpProxy: undefined, upstreams: [upstream.url] }, resolver);
    return { upstream, transport: transportFor(way), agent: agentTo(upstream.url, way) };
  };
  const get = (transport: Transport, url: URL) =>
    transport.send({ method: "GET", kind: "blob", url, headers: {}, signal: asking().signal, tally: asking().tally });

  it("is shown to the upstream, and to nobody that it redirects to", async () => {
    const { upstream, transport } = await asked("shown");
    upstream.content.seed({ repo: "a", tag: "1" });
    upstream.fault(({ origin }) => origin === "registry", redirect());
    const answer = await get(transport, new URL("/v2/", upstream.url));
    expect(answer.status).toBe(200);
    await answer.body.dump();
    expect(upstream.log.map(({ origin, certificate }) => [origin, certificate])).toEqual([
      ["registry", "builds"],
      ["store", undefined],
    ]);
  });

  it("is shown with what is passed through", async () => {
    const { upstream, agent } = await asked("shown");
    const [answer] = (await once(request(new URL("/v2/", upstream.url), { agent }).end(), "response")) as [IncomingMessage];
    expect(answer.statusCode).toBe(200);
    expect(upstream.log.map(({ certificate }) => certificate)).toEqual(["builds"]);
    agent.destroy();
  });

  it("that is missing makes upstream unreachable, with its reason", async () => {
    const { upstream, transport } = await asked("not shown");
    const failure = await failureOf(get(transport, new URL("/v2/", upstream.url)));
    expect(failure.code).toBe("UPSTREAM_UNREACHABLE");
    expect(failure.message).toMatch(/ALERT_CERTIFICATE_REQUIRED|ECONNRESET|UND_ERR_SOCKET/);
    expect(upstream.count()).toBe(0);
  });
});

describe("roots", () => {
  it("are parsed once for sites that add the same and show the same", () => {
    const own = clientCertificate();
    expect(trusting(rootPem)).toBe(trusting(rootPem));
    expect(trusting(undefined)).not.toBe(trusting(rootPem));
    expect(trusting(rootPem, own)).toBe(trusting(rootPem, own));
    expect(trusting(rootPem, own)).not.toBe(trusting(rootPem));
  });
});
