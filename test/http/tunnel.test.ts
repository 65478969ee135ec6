// Connections passed on untouched: both ways, half closed, slow, torn, idle and too many, over real sockets.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls, createServer as createTls } from "node:tls";
import { expect, it, onTestFinished } from "vitest";
import { type Dial, type Tunnels, type TunnelsParts, tunnels } from "../../src/http/tunnel.ts";
import { OciError } from "../../src/oci/error.ts";
import { mintLeaf } from "../../src/tls/leaf.ts";
import { makeRoot } from "../../src/tls/root.ts";
import { recorder } from "../tls/scratch.ts";

const listen = async (take: (socket: Socket) => unknown): Promise<number> => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => undefined);
    take(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
};

const dialTo =
  (port: number): Dial =>
  async () => {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    await once(socket, "connect");
    return socket;
  };

/** Everybody who connects is passed on to `host`. */
const world = async (host: (socket: Socket) => unknown, parts: Partial<TunnelsParts> = {}) => {
  const { log, lines } = recorder();
  const passing: Tunnels = tunnels({ dial: dialTo(await listen(host)), log, ...parts });
  onTestFinished(() => passing.close());
  const refusals: unknown[] = [];
  const door = await listen((socket) => {
    passing.through(socket, { host: "real.example", port: 443 }, { door: "https" }).catch((error: unknown) => {
      refusals.push(error);
      socket.destroy();
    });
  });
  const client = (): Socket => {
    const socket = connect({ host: "127.0.0.1", port: door, allowHalfOpen: true });
    socket.on("error", () => undefined);
    onTestFinished(() => void socket.destroy());
    return socket;
  };
  return { passing, client, lines, refusals };
};

const read = async (socket: Socket): Promise<Buffer> => {
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
};
/** Whichever way its connection ends. */
const gone = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    socket
      .on("end", () => socket.destroy())
      .on("close", () => resolve())
      .resume();
  });
const hash = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

it("an end passes as an end, and the other way goes on", async () => {
  const { client, lines } = await world(async (socket) => {
    const heard = await read(socket);
    for (const part of [hash(heard), " and ", "more"]) {
      socket.write(part);
      await sleep(20);
    }
    socket.end();
  });
  const socket = client();
  const bytes = randomBytes(3_000_000);
  socket.end(bytes);
  expect(String(await read(socket))).toBe(`${hash(bytes)} and more`);
  await expect
    .poll(() => lines)
    .toMatchObject([
      {
        msg: "tunnel",
        door: "https",
        host: "real.example",
        port: 443,
        client: "127.0.0.1",
        end: "done",
        up: 3_000_000,
        down: 73,
      },
    ]);
});

it("takes no more from a host than its client does", async () => {
  let given = 0;
  const { client } = await world((socket) => {
    const chunk = Buffer.alloc(65_536);
    const give = () => {
      while (given < 200_000_000) {
        given += chunk.length;
        if (!socket.write(chunk)) return void socket.once("drain", give);
      }
      socket.end();
    };
    give();
  });
  const socket = client().pause();
  await once(socket, "connect");
  await sleep(300);
  const settled = given;
  await sleep(200);
  expect(given).toBe(settled);
  expect(given).toBeLessThan(30_000_000);
});

it.each(["client", "host"] as const)("what the %s breaks off is broken off for the other", async (who) => {
  const hosts: Socket[] = [];
  const { client, lines } = await world((socket) => {
    hosts.push(socket);
    socket.write("hello");
  });
  const socket = client();
  await once(socket, "data");
  const [torn, other] = who === "client" ? [socket, hosts[0]!] : [hosts[0]!, socket];
  const failed = once(other, "error");
  torn.resetAndDestroy();
  expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
  await expect.poll(() => lines.map(({ end }) => end)).toEqual([who]);
});

it("ends when nothing moves, and not while one direction does", async () => {
  const { client, lines } = await world(
    (socket) => {
      let left = 8;
      const ticks = setInterval(() => {
        socket.write("tick");
        if (--left === 0) clearInterval(ticks);
      }, 50);
    },
    { idle: 150 },
  );
  const began = performance.now();
  await gone(client());
  expect(performance.now() - began).toBeGreaterThan(450);
  await expect.poll(() => lines.map(({ end, down }) => [end, down])).toEqual([["idle", 32]]);
});

it("turns away whom it has no room for, says so once a minute, and has room again", async () => {
  const { client, lines, passing, refusals } = await world((socket) => void socket.write("hello"), {
    bounds: { all: 10, each: 3 },
  });
  const there = await Promise.all(
    [1, 2, 3].map(async () => {
      const socket = client();
      await once(socket, "data");
      return socket;
    }),
  );
  for (let i = 0; i < 4; i += 1) await gone(client());
  expect(refusals).toMatchObject(Array(4).fill({ code: "TOOMANYREQUESTS" }));
  expect(lines.filter(({ level }) => level === 40)).toMatchObject([{ client: "127.0.0.1", open: 3, all: 10, each: 3 }]);
  expect(passing.counts).toEqual({ opened: 3, failed: 0, turnedAway: 4 });
  there[0]!.resetAndDestroy();
  await expect.poll(() => passing.open).toBe(2);
  const next = client();
  await once(next, "data");
});

it("gives up on the host when its client goes, and the late connection is closed", async () => {
  const arrived: Socket[] = [];
  const port = await listen((socket) => void arrived.push(socket));
  const { client, refusals, passing, lines } = await world(() => undefined, {
    dial: async (host, to, signal) => {
      await sleep(150);
      return dialTo(port)(host, to, signal);
    },
  });
  const socket = client();
  await once(socket, "connect");
  await expect.poll(() => passing.open).toBe(1);
  socket.resetAndDestroy();
  await expect.poll(() => refusals.length).toBe(1);
  expect(passing.open).toBe(0);
  expect(lines).toMatchObject([{ msg: "no tunnel", err: "the client has gone" }]);
  await expect.poll(() => arrived.map(({ readableEnded }) => readableEnded)).toEqual([true]);
});

it("outlives a client that breaks off while it is turned away", async () => {
  const { log } = recorder();
  const passing = tunnels({ dial: () => Promise.reject(new Error("nobody is asked")), log, bounds: { all: 0, each: 0 } });
  const ends: Promise<unknown>[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    ends.push(new Promise((resolve) => socket.on("close", resolve)));
    passing
      .through(socket, { host: "real.example", port: 443 }, { door: "https" })
      .catch(() => setTimeout(() => socket.end("no"), 50));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const socket = connect({ host: "127.0.0.1", port: (server.address() as AddressInfo).port }).on("error", () => undefined);
  await once(socket, "connect");
  await expect.poll(() => ends.length).toBe(1);
  socket.resetAndDestroy();
  await ends[0];
});

it("says why there is no connection, with what dial says", async () => {
  const { client, refusals, passing } = await world(() => undefined, {
    dial: () => Promise.reject(new OciError("DENIED", "not there")),
  });
  await gone(client());
  expect(refusals).toMatchObject([{ code: "DENIED", message: "not there" }]);
  expect(passing.counts.failed).toBe(1);
});

it("sends first what has been read already, and counts it", async () => {
  const { log, lines } = recorder();
  const port = await listen(async (socket) => void socket.end(await read(socket)));
  const passing = tunnels({ dial: dialTo(port), log });
  let opened = 0;
  const door = await listen((socket) => {
    socket.once("data", (head: Buffer) => {
      socket.pause();
      void passing.through(socket, { host: "real.example", port: 443 }, { door: "proxy", head, opened: () => (opened += 1) });
    });
  });
  const socket = connect({ host: "127.0.0.1", port: door, allowHalfOpen: true });
  socket.write("first ");
  await sleep(50);
  socket.end("second");
  expect(String(await read(socket))).toBe("first second");
  await expect.poll(() => lines).toMatchObject([{ up: 12, down: 12, door: "proxy" }]);
  expect(opened).toBe(1);
});

it("closing ends all, and opens no more", async () => {
  const { client, passing, refusals, lines } = await world((socket) => void socket.write("hello"));
  const socket = client();
  await once(socket, "data");
  passing.close();
  await gone(socket);
  await expect.poll(() => lines.map(({ end }) => end)).toEqual(["closed"]);
  await gone(client());
  expect(refusals).toMatchObject([{ code: "UNAVAILABLE" }]);
});

it.each(["client", "host", "idle"] as const)("to a host that is reached in TLS, as through an HTTP proxy: %s", async (ending) => {
  const root = makeRoot({ names: "all", now: Date.now(), hostname: "box" });
  const { chain, key } = mintLeaf(root, ["proxy.example"], Date.now());
  const under: Socket[] = [];
  const proxy = createTls({ cert: chain, key: key.export({ type: "pkcs8", format: "pem" }) }, (socket) => {
    socket.on("error", () => undefined).write("hello");
    if (ending === "host") socket.once("data", () => under[0]!.resetAndDestroy());
  }).listen(0, "127.0.0.1");
  proxy.on("connection", (socket: Socket) => void under.push(socket));
  await once(proxy, "listening");
  onTestFinished(() => void proxy.close());
  const { client, lines } = await world(() => undefined, {
    idle: 200,
    dial: async () => {
      const socket = connectTls({ host: "127.0.0.1", port: (proxy.address() as AddressInfo).port, rejectUnauthorized: false });
      await once(socket, "secureConnect");
      socket.allowHalfOpen = true;
      return socket;
    },
  });
  const socket = client();
  await once(socket, "data");
  const over = gone(socket);
  if (ending === "client") socket.resetAndDestroy();
  if (ending === "host") socket.write("go");
  await over;
  await expect.poll(() => lines.map(({ end }) => end)).toEqual([ending]);
});

it("a client that is turned away and breaks off ends nothing but itself", async () => {
  const { client, refusals, passing } = await world(() => undefined, { bounds: { all: 0, each: 0 } });
  for (let i = 0; i < 100; i += 1) {
    const socket = client();
    await once(socket, "connect");
    socket.write("hello", () => socket.resetAndDestroy());
  }
  await expect.poll(() => refusals.length).toBe(100);
  expect(passing.open).toBe(0);
});
