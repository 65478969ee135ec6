// Through a site's HTTP proxy: what goes through it, what it is told, and what becomes of a question when it is ill.
import { request } from "node:https";
import { setImmediate } from "node:timers/promises";
import { createSecureContext } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { parseDigest } from "../../src/oci/digest.ts";
import { parseReference, parseRepository } from "../../src/oci/reference.ts";
import { agentTo } from "../../src/upstream/agents.ts";
import { asAnybody } from "../../src/upstream/asker.ts";
import { plainNames } from "../../src/upstream/plain-names.ts";
import { UpstreamResolver } from "../../src/upstream/resolver.ts";
import { Tokens } from "../../src/upstream/token.ts";
import { type Way, wayOut } from "../../src/upstream/way.ts";
import { redirect } from "../faults/behaviours.ts";
import { type FaultProxy, type FaultProxyOptions, faultProxy } from "../faults/proxy.ts";
import { type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { asking, failureOf, registryAt, transportFor } from "./asking.ts";
import { namesAt } from "./names.ts";
import { certified, NAME, rootPem, secureUpstream } from "./secure.ts";

const LOGIN = "builds:hunter2";
const query = { repo: parseRepository("open/app"), reference: parseReference("1") };

/** Our own resolver knows the proxy, and nobody else: whatever resolves an upstream's name here fails. */
const resolverOf = async (proxy: FaultProxy): Promise<UpstreamResolver> => {
  const resolver = await namesAt("127.0.0.1");
  const resolve = resolver.resolve.bind(resolver);
  resolver.resolve = (host, port) => {
    expect(host).toBe(proxy.url.hostname);
    return resolve(host, port);
  };
  return resolver;
};

const world = async (options: FaultProxyOptions = { login: LOGIN }) => {
  const proxy = await faultProxy(options);
  const resolver = await resolverOf(proxy);
  const way: Way = wayOut({ trust: rootPem, clientCertificate: undefined, httpProxy: proxy.url, upstreams: [] }, resolver);
  const transport = transportFor({ ...way, proxy: { ...way.proxy!, within: 300 } });
  const registryOf = (upstream: FaultUpstream) => registryAt(upstream.url, asAnybody(new Tokens(transport, Date.now)), transport);
  const pull = async (upstream: FaultUpstream) => (await registryOf(upstream).getManifest(query, asking())).bytes.length > 0;
  return { proxy, way, pull, registryOf };
};

const seeded = async (starting: Promise<FaultUpstream>) => {
  const upstream = await starting;
  return { upstream, layer: upstream.content.seed({ repo: "open/app", tag: "1", layers: 5_000 }).layers[0]! };
};

describe("through the proxy", () => {
  it("goes all there is: questions, tokens from a realm, blobs from where they are redirected to; and nothing past it", async () => {
    const { proxy, registryOf } = await world();
    const auth = { kind: "bearer" as const, realm: "" };
    const { upstream, layer } = await seeded(secureUpstream({ auth, leafNames: [NAME, "auth.example"] }));
    auth.realm = `https://auth.example:${upstream.url.port}/token`;
    upstream.fault(/blobs/, redirect());
    const registry = registryOf(upstream);
    await registry.getManifest(query, asking());
    const blob = await registry.getBlob({ repo: query.repo, digest: parseDigest(layer.digest) }, asking());
    blob.body.destroy();
    const hosts = upstream.log.map(({ headers }) => headers.host);
    expect(new Set(proxy.targets)).toEqual(new Set(hosts));
    expect(new Set(hosts).size).toBe(3);
    expect(upstream.log.every(({ headers }) => headers.via === "1.1 layover-test")).toBe(true);
  });

  it("an upstream without encryption is reached by a tunnel as well", async () => {
    const { proxy, pull } = await world();
    const { upstream } = await seeded(faultUpstream({ name: "plain.example" }));
    expect(await pull(upstream)).toBe(true);
    expect(proxy.targets).toEqual([upstream.url.host]);
  });

  it("connections are used again, and made anew", async () => {
    const { proxy, pull } = await world();
    const { upstream } = await seeded(secureUpstream());
    for (let n = 0; n < 10; n += 1) expect(await pull(upstream)).toBe(true);
    expect(proxy.targets.length).toBeLessThan(4);
    proxy.tear();
    expect(await pull(upstream)).toBe(true);
  });

  it("its password goes to it alone, and nothing else of ours does", async () => {
    const { proxy, pull } = await world();
    const { upstream } = await seeded(secureUpstream({ auth: { kind: "bearer" } }));
    expect(await pull(upstream)).toBe(true);
    expect(upstream.count(/token/)).toBe(1);
    expect(upstream.log.some(({ headers }) => headers["proxy-authorization"] !== undefined)).toBe(false);
    for (const head of proxy.heads) expect(Object.keys(head).toSorted()).toEqual(["connection", "host", "proxy-authorization"]);
  });

  it("may itself be reached by TLS", async () => {
    const { proxy, pull } = await world({ login: LOGIN, tls: certified(["proxy.corp.test"]) });
    const { upstream } = await seeded(secureUpstream());
    expect(await pull(upstream)).toBe(true);
    expect(proxy.targets).toEqual([upstream.url.host]);
  });

  it("upstream's certificate is checked all the same", async () => {
    const { pull } = await world();
    const upstream = await secureUpstream({ leafNames: ["other.example"] });
    expect((await failureOf(pull(upstream))).message).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
    expect(upstream.count()).toBe(0);
  });
});

describe("a proxy", () => {
  it.each([
    ["that wants another password", undefined, "wants other credentials than its URL has (407)"],
    [
      "that forbids it",
      "HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\n\r\nsecret",
      /opens no tunnel to [\w.]+:\d+: it answers 403/,
    ],
    ["that cannot reach it", "HTTP/1.1 502 Bad Gateway\r\n\r\n", /it answers 502/],
    ["that is no proxy", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", /does not keep to HTTP/],
    ["that speaks something else", "SSH-2.0-OpenSSH_9\r\n", /cannot be reached: HPE_INVALID/],
    ["that talks without end", `HTTP/1.1 200 OK\r\nx: ${"a".repeat(70_000)}`, /cannot be reached: HPE_HEADER_OVERFLOW/],
    ["that says nothing", "", "does not answer in time"],
  ])("%s makes upstream unreachable, and says so without a secret", async (_how, instead, reason) => {
    const { proxy, pull } = await world({ login: instead === undefined ? "other:pw" : LOGIN });
    if (instead === undefined) Object.assign(proxy.url, { password: "hunter2" });
    else proxy.instead = instead;
    const { upstream } = await seeded(secureUpstream());
    const failure = await failureOf(pull(upstream));
    expect(failure.code).toBe("UPSTREAM_UNREACHABLE");
    expect(failure.message).toMatch(reason);
    expect(failure.message).toContain(`the HTTP proxy ${proxy.url.host} `);
    expect(failure.message).not.toMatch(/hunter2|secret/);
    expect(upstream.count()).toBe(0);
  });

  it("that is not there does the same", async () => {
    const { proxy, way } = await world();
    const gone = new URL(`http://${LOGIN}@${proxy.url.hostname}:1`);
    const transport = transportFor({ ...way, proxy: { ...way.proxy!, url: gone } });
    const { upstream } = await seeded(secureUpstream());
    const failure = await failureOf(registryAt(upstream.url, undefined, transport).getManifest(query, asking()));
    expect(failure.message).toBe(`the HTTP proxy ${gone.host} cannot be reached: ECONNREFUSED`);
  });

  it("that cuts a tunnel amid a blob cuts the blob", async () => {
    const { proxy, registryOf } = await world();
    const { upstream } = await seeded(secureUpstream());
    const big = upstream.content.putBlob("open/app", Buffer.alloc(4 << 20));
    const blob = await registryOf(upstream).getBlob({ repo: query.repo, digest: parseDigest(big.digest) }, asking());
    const rest = async () => {
      for await (const _ of blob.body) proxy.tear();
    };
    expect((await failureOf(rest())).code).toBe("UPSTREAM_UNREACHABLE");
  });

  it("is asked for no address of our own, and may not be ourselves", async () => {
    const proxy = await faultProxy({});
    const ours = "10.9.9.9";
    const resolver = new UpstreamResolver({ names: plainNames(["127.0.0.1:1"]), isOurs: (address) => address === ours });
    const secureContext = createSecureContext();
    const through = (url: string) => {
      const target = new URL(url);
      const way = { url: target, lookup: resolver.lookupFor(Number(target.port)), secureContext };
      return transportFor({ resolver, proxy: way });
    };
    const ask = (url: string, by: string) =>
      failureOf(registryAt(new URL(url), undefined, through(by)).getManifest(query, asking()));
    expect((await ask(`http://${ours}:5000`, `http://127.0.0.1:${proxy.url.port}`)).code).toBe("LOOP_DETECTED");
    expect((await ask("http://registry.example:5000", `http://${ours}:3128`)).code).toBe("LOOP_DETECTED");
    expect(proxy.targets).toEqual([]);
  });
});

describe("what is passed through", () => {
  const pushing = (upstream: URL, way: Way) => {
    const agent = agentTo(upstream, way);
    onTestFinished(() => agent.destroy());
    return (): Promise<number | string> =>
      new Promise((resolve) => {
        const sent = request(new URL("/v2/open/app/blobs/uploads/", upstream), { agent, method: "POST" }, (answer) => {
          answer.resume().once("close", () => resolve(answer.statusCode ?? 0));
        });
        sent.once("error", (error) => resolve(error.message));
        sent.end("bytes");
      });
  };

  it("goes through the proxy too, over connections that are used again", async () => {
    const { proxy, way } = await world();
    const upstream = await secureUpstream();
    const push = pushing(upstream.url, way);
    for (let n = 0; n < 3; n += 1) {
      expect(await push()).toBe(202);
      await setImmediate();
    }
    expect(proxy.targets).toEqual([upstream.url.host]);
    expect(upstream.log.some(({ headers }) => headers["proxy-authorization"] !== undefined)).toBe(false);
  });

  it("fails with the proxy's reason, or the certificate's", async () => {
    const { proxy, way } = await world();
    const stranger = await secureUpstream({ leafNames: ["other.example"] });
    expect(await pushing(stranger.url, way)()).toMatch(/does not match certificate's altnames/);
    proxy.instead = "HTTP/1.1 403 Forbidden\r\n\r\n";
    const upstream = await secureUpstream();
    expect(await pushing(upstream.url, way)()).toMatch(/opens no tunnel to registry.example:\d+: it answers 403/);
    expect(stranger.count() + upstream.count()).toBe(0);
  });
});
