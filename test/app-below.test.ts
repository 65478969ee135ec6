// Wildcard sites through a whole front end: every host below a suffix is a registry of its own, and none of them costs much.
import { IncomingMessage, ServerResponse } from "node:http";
import { Socket } from "node:net";
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
    return { open, below, of: (host: string, response?: ServerResponse) => below.of(site(host), response) };
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

  it("leave half of the room to others, however many names one client makes up", async () => {
    const { open, below, of } = doors(4);
    const asked = (host: string, address: string): ServerResponse => {
      const socket = new Socket();
      Object.defineProperty(socket, "remoteAddress", { value: address });
      const response = new ServerResponse(new IncomingMessage(socket));
      of(host, response);
      return response;
    };
    const first = asked("a", "2001:db8::1");
    asked("b", "2001:db8::2");
    expect(() => asked("c", "2001:db8::3")).toThrow(expect.objectContaining({ code: "TOOMANYREQUESTS" }));
    // what is open is open to all, and there is room for others
    asked("a", "2001:db8::3");
    asked("d", "::ffff:192.0.2.1");
    asked("e", "192.0.2.1");
    expect([...open]).toEqual(["a", "b", "d", "e"]);
    first.destroy();
    await below.close();
  });

  it("count for a client only while it uses them", async () => {
    const { open, below, of } = doors(2);
    for (const host of ["a", "b", "c"]) {
      const response = new ServerResponse(new IncomingMessage(new Socket()));
      of(host, response);
      expect(() => of("z", new ServerResponse(new IncomingMessage(new Socket())))).toThrow(/too many/);
      response.emit("close");
      await new Promise(setImmediate);
    }
    expect([...open]).toEqual(["b", "c"]);
    await below.close();
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
