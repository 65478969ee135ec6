// Listening where some addresses are not there yet: TCP sockets of 127.0.0.0/8, and an address that comes when the test says so.
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Address } from "../../src/lib/listen.ts";
import { listenEach } from "../../src/lib/listen-each.ts";
import { silent } from "../../src/lib/log.ts";

const PLACES = ["127.0.0.1", "192.0.2.1", "192.0.2.2"].map((host) => ({ host, port: 0 }));
const missing = (): Error => Object.assign(new Error("no such address"), { code: "EADDRNOTAVAIL" });

const world = () => {
  const here = new Set(["127.0.0.1"]);
  const closed: Server[] = [];
  const open = async ({ host }: Address): Promise<Server> => {
    if (!here.has(host)) throw missing();
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    return server;
  };
  const close = async (server: Server) => {
    closed.push(server);
    server.close();
    await once(server, "close");
  };
  return { here, closed, parts: { open, close, key: "listen.dns", log: silent } };
};

describe("several addresses", () => {
  afterEach(() => void vi.useRealTimers());

  it("are listened on as they come, while one of them is there", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const { here, parts } = world();
    const { opened, stop } = await listenEach(PLACES, parts);
    expect(opened).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(opened).toHaveLength(1);
    here.add("192.0.2.2");
    await vi.advanceTimersByTimeAsync(2_000);
    await expect.poll(() => opened.length).toBe(2);
    here.add("192.0.2.1");
    await vi.advanceTimersByTimeAsync(2_000);
    await expect.poll(() => opened.length).toBe(3);
    expect(vi.getTimerCount()).toBe(0);
    await stop();
    await Promise.all(opened.map(parts.close));
  });

  it("are an error where none is there, and where one is there and cannot be had", async () => {
    const { closed, parts } = world();
    await expect(listenEach(PLACES.slice(1), parts)).rejects.toMatchObject({ code: "EADDRNOTAVAIL" });
    const open = async (place: Address) => {
      if (place.host === "192.0.2.2") throw Object.assign(new Error("taken"), { code: "EADDRINUSE" });
      return parts.open(place);
    };
    await expect(listenEach(PLACES, { ...parts, open })).rejects.toMatchObject({ code: "EADDRINUSE" });
    expect(closed).toHaveLength(1);
    expect(closed[0]!.listening).toBe(false);
  });

  it("stop coming when told so, with what was on its way", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const { here, parts } = world();
    const gate = Promise.withResolvers<void>();
    const open = async (place: Address) => {
      if (place.host === "192.0.2.1" && here.has(place.host)) await gate.promise;
      return parts.open(place);
    };
    const { opened, stop } = await listenEach(PLACES.slice(0, 2), { ...parts, open });
    here.add("192.0.2.1");
    await vi.advanceTimersByTimeAsync(2_000);
    const stopped = stop();
    gate.resolve();
    await stopped;
    expect(opened).toHaveLength(2);
    await Promise.all(opened.map(parts.close));
  });
});
