import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Ask } from "../../src/cli/doctor-ask.ts";
import { checkUpstreams, judgeClock } from "../../src/cli/doctor-upstream.ts";
import type { Site } from "../../src/sites.ts";
import { faultProxy } from "../faults/proxy.ts";
import { makeLeaf, makeRoot } from "./roots.ts";

const root = makeRoot([]);
const leaf = (names: readonly string[]) => makeLeaf(root, names);

const listening = async (server: Server): Promise<number> => {
  server.listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
};
const REGISTRY: RequestListener = (_, response) =>
  response.writeHead(401, { "docker-distribution-api-version": "registry/2.0" }).end();

const knows =
  (address: string | undefined): Ask =>
  (question) =>
    Promise.resolve({ rcode: 0, addresses: address !== undefined && question.type === "A" ? [address] : [], count: 1 });

const check = async (
  upstream: string,
  {
    isKnown = true,
    trust = undefined as string | undefined,
    ours = false,
    timeout = 2_000,
    httpProxy = undefined as URL | undefined,
  } = {},
) => {
  const origin = new URL(upstream);
  const site = { host: "ghcr.io", kind: "upstream", offline: false, upstreams: [origin], trust, httpProxy } as unknown as Site;
  const resolvers = [{ kind: "plain", host: "127.0.0.1", port: 53 } as const];
  return checkUpstreams({
    sites: [site],
    resolversFor: () => resolvers,
    isOurs: () => ours,
    ask: knows(isKnown ? "127.0.0.1" : undefined),
    timeout,
  });
};

describe("upstream", () => {
  it("is well over plain HTTP and TLS, and tells the clock", async () => {
    const plain = await listening(createServer(REGISTRY));
    expect(await check(`http://ghcr.io:${plain}`)).toMatchObject([
      { check: "upstream", status: "ok" },
      { check: "clock", status: "ok", text: "agrees with the registries'" },
    ]);
    const tls = await listening(createTlsServer(leaf(["ghcr.io"]), REGISTRY));
    expect((await check(`https://ghcr.io:${tls}`, { trust: root.pem }))[0]).toMatchObject({ status: "ok" });
  });

  it("is asked through the site's HTTP proxy, which knows its name", async () => {
    const proxy = await faultProxy({ login: "b:hunter2" });
    const port = await listening(createTlsServer(leaf(["ghcr.io"]), REGISTRY));
    const options = { trust: root.pem, httpProxy: proxy.url };
    expect((await check(`https://ghcr.io:${port}`, options))[0]).toMatchObject({
      status: "ok",
      text: `ghcr.io (https://ghcr.io:${port}) through ${proxy.url.host} answers (401)`,
    });
    expect(proxy.targets).toEqual([`ghcr.io:${port}`]);
    proxy.instead = "HTTP/1.1 407 No\r\n\r\n";
    const [finding] = await check(`https://ghcr.io:${port}`, options);
    expect(finding).toMatchObject({ status: "fail", text: expect.stringContaining("wants other credentials than its URL has") });
    expect(JSON.stringify(finding)).not.toContain("hunter2");
  });

  it.each<[string, () => ReturnType<typeof check>, string, RegExp]>([
    ["an unknown name", () => check("https://ghcr.io", { isKnown: false }), "fail", /no resolver knows ghcr\.io/],
    ["a loop", () => check("https://ghcr.io", { ours: true }), "fail", /is Layover itself: a loop/],
    ["nobody there", () => check("http://127.0.0.1:1"), "fail", /nobody listens there/],
    [
      "a proxy's certificate",
      async () => check(`https://ghcr.io:${await listening(createTlsServer(leaf(["ghcr.io"]), REGISTRY))}`),
      "fail",
      /from a CA that is not trusted/,
    ],
    [
      "another's certificate",
      async () => check(`https://ghcr.io:${await listening(createTlsServer(leaf(["quay.io"]), REGISTRY))}`, { trust: root.pem }),
      "fail",
      /does not match certificate's altnames/,
    ],
    [
      "silence",
      async () => check(`http://ghcr.io:${await listening(createServer(() => undefined))}`, { timeout: 200 }),
      "fail",
      /no answer in time/,
    ],
    [
      "a captive portal",
      async () => check(`http://ghcr.io:${await listening(createServer((_, response) => response.writeHead(302).end()))}`),
      "warn",
      /answers 302, as no registry does/,
    ],
  ])("with %s", async (_, look, status, text) => {
    const [finding] = await look();
    expect(finding).toMatchObject({ check: "upstream", status, text: expect.stringMatching(text), mend: expect.any(String) });
  });

  it("is left alone when offline", async () => {
    const site = {
      host: "ghcr.io",
      kind: "upstream",
      offline: true,
      upstreams: [new URL("http://127.0.0.1:1")],
    } as unknown as Site;
    const findings = await checkUpstreams({
      sites: [site],
      resolversFor: () => [],
      isOurs: () => false,
      ask: knows(undefined),
      timeout: 100,
    });
    expect(findings).toMatchObject([{ check: "clock", status: "ok" }]);
  });
});

describe("the clock", () => {
  it("goes by the middle of what registries say", () => {
    expect(judgeClock([0, 1_000, 9e9])).toMatchObject({ status: "ok" });
    expect(judgeClock([600_000, 660_000, 0])).toMatchObject({
      status: "fail",
      text: "is off by 10 minutes from the registries'",
    });
    expect(judgeClock([], { now: Date.UTC(1970, 0) })).toMatchObject({ status: "fail" });
  });
});
