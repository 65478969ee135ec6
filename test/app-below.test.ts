// Wildcard sites through a whole front end: every host below a suffix is a registry of its own, and none of them costs much.
import type { PeerCertificate } from "node:tls";
import { decode } from "dns-packet";
import { afterEach, describe, expect, it, vi } from "vitest";
import { DoorsBelow } from "../src/app-below.ts";
import { silent } from "../src/lib/log.ts";
import type { Care } from "../src/registry/care.ts";
import type { Site } from "../src/sites.ts";
import { replyTo } from "./dns/message.ts";
import { fakeResolver } from "./dns/resolver.ts";
import { faultUpstream } from "./faults/upstream.ts";
import { Front } from "./front.ts";

const world = async (wildcard: object = {}, others: object = {}) => {
  const upstream = await faultUpstream();
  const asked = new Set<string>();
  const resolver = await fakeResolver(({ message, send }) => {
    asked.add(decode(message).questions![0]!.name);
    send(replyTo(message, ["127.0.0.1"]));
  });
  const port = upstream.url.port;
  const settings = { "*.lab.test": { upstream: `http://*.lab.test:${port}`, ...wildcard }, ...others };
  const front = new Front("http://127.0.0.1:9", {}, settings);
  const start = () => front.start({ resolvers: [resolver.text] });
  await start();
  const pull = async (host: string, repo: string) => (await front.ask(`/v2/${repo}/manifests/v1`, { host })).status;
  return { upstream, asked, front, start, pull, resolver };
};

describe("a wildcard", () => {
  it("stands for each host below it: own upstream, own leaf, own facts", async () => {
    const { upstream, asked, front, pull, resolver } = await world();
    await using _ = resolver;
    upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 100 });
    expect(await pull("a.lab.test", "acme/app")).toBe(200);
    expect([...asked]).toEqual(["a.lab.test"]);
    expect(upstream.log.map(({ headers }) => headers.host)).toEqual(expect.arrayContaining([`a.lab.test:${upstream.url.port}`]));
    upstream.clear();
    expect(await pull("a.lab.test", "acme/app")).toBe(200);
    expect(upstream.log).toEqual([]);
    // what one host holds is no other's
    expect(await pull("b.c.lab.test", "acme/app")).toBe(200);
    expect(asked).toContain("b.c.lab.test");
    expect(upstream.log.length).toBeGreaterThan(0);
    const socket = await front.dial("b.c.lab.test");
    expect((socket.getPeerCertificate() as PeerCertificate).subjectaltname).toBe("DNS:b.c.lab.test");
    socket.destroy();
  });

  it("is refused where a request says another of its hosts than its connection, and beyond its suffix", async () => {
    const { front, resolver } = await world({}, { "out.lab.test": false });
    await using _ = resolver;
    expect((await front.ask("/v2/", { host: "b.lab.test", servername: "a.lab.test" })).status).toBe(421);
    for (const host of ["lab.test", "out.lab.test", "xlab.test"]) await expect(front.ask("/v2/", { host })).rejects.toThrow();
    expect((await front.page("/v2/", "a.lab.test")).headers["location"]).toBe("https://a.lab.test/v2/");
  });

  it("holds what it has held after a restart, and in an outage of that host alone", async () => {
    const { upstream, front, start, pull, resolver } = await world({ freshFor: "0s" });
    await using _ = resolver;
    upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 100 });
    expect(await pull("a.lab.test", "acme/app")).toBe(200);
    await front.stop();
    await upstream.stop();
    await start();
    expect(await pull("a.lab.test", "acme/app")).toBe(200);
    expect(await pull("b.lab.test", "acme/app")).toBe(503);
  });
});

describe("the doors below wildcards", () => {
  afterEach(() => void vi.useRealTimers());

  const doors = (max: number, now = () => 0) => {
    const open = new Set<string>();
    const care = { explain: () => new Promise(() => undefined) } as unknown as Care;
    const below = new DoorsBelow(
      (site: Site) => {
        open.add(site.host);
        return { door: { site, care }, close: async () => void open.delete(site.host) };
      },
      silent,
      { max, now },
    );
    const site = (host: string) => ({ host, wildcard: "*.x.example" }) as Site;
    return { open, below, of: (host: string, response?: never) => below.of(site(host), response) };
  };

  it("make room by closing what has been unused for longest, never what is in use", async () => {
    const { open, below, of } = doors(3);
    const first = of("a");
    expect(of("a")).toBe(first);
    void first.care.explain("r" as never, "t" as never);
    for (const host of ["b", "c"]) of(host);
    of("b");
    of("d");
    expect([...open]).toEqual(["a", "b", "d"]);
    for (const host of ["b", "d"]) void of(host).care.explain("r" as never, "t" as never);
    expect(() => of("e")).toThrow(/too many hosts/);
    expect(of("d").site.host).toBe("d");
    await below.close();
    expect(open.size).toBe(0);
  });

  it("stay open for ten minutes without use", async () => {
    let now = 0;
    const { open, below, of } = doors(3, () => now);
    of("a");
    void of("b").care.explain("r" as never, "t" as never);
    now = 599_999;
    below.closeIdle();
    expect([...open]).toEqual(["a", "b"]);
    now = 600_000;
    below.closeIdle();
    expect([...open]).toEqual(["b"]);
    await below.close();
  });
});
