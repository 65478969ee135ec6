// Too many connections, over real sockets: who finds no room is told so, who is another client is not touched, and files that run out end nothing.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { describe, expect, it, onTestFinished } from "vitest";
import { Crowd } from "../../src/http/crowd.ts";
import { openDoor } from "../../src/http/server.ts";
import { mintLeaf } from "../../src/tls/leaf.ts";
import { makeRoot } from "../../src/tls/root.ts";
import { recorder } from "../tls/scratch.ts";

const { chain, key } = mintLeaf(makeRoot({ names: "all", now: Date.now(), hostname: "box" }), ["registry.example"], Date.now());
const secure = {
  options: { cert: chain, key: key.export({ type: "pkcs8", format: "pem" }) as string },
  follow: () => undefined,
};

const world = async (speaksTls: boolean, bounds = { all: 6, each: 4 }) => {
  const { log, lines } = recorder();
  const crowd = new Crowd(log, bounds);
  const door = await openDoor({
    door: speaksTls ? "https" : "http",
    address: { host: "127.0.0.1", port: 0 },
    dispatch: async ({ res }) => void res.end("served"),
    clients: () => true,
    crowd,
    ...(speaksTls && { secure }),
  });
  onTestFinished(() => door.drain(AbortSignal.timeout(0)));
  const dial = (localAddress = "127.0.0.1"): Socket => {
    const socket = connect({ host: "127.0.0.1", port: door.address.port, localAddress });
    socket.on("error", () => undefined);
    onTestFinished(() => void socket.destroy());
    return socket;
  };
  return { dial, crowd, lines, port: door.address.port };
};

const heard = async (socket: Socket): Promise<string> => {
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  if (!socket.closed) await once(socket, "close");
  return text;
};

const served = async (socket: Socket): Promise<string> => {
  socket.write("GET / HTTP/1.1\r\nHost: box\r\nConnection: close\r\n\r\n");
  return heard(socket);
};

describe("a client that has all its connections", () => {
  it("is told so by HTTP, the log says it once, and others are served; with room again, so is it", async () => {
    const { dial, crowd, lines } = await world(false);
    const held = [1, 2, 3, 4].map(() => dial());
    await expect.poll(() => crowd.size).toBe(4);
    for (let i = 0; i < 5; i += 1) expect(await served(dial())).toMatch(/^HTTP\/1\.1 503 [\s\S]*Retry-After: 1/);
    expect(lines).toMatchObject([{ level: 40, client: "127.0.0.1", open: 4, all: 6, each: 4, times: 1 }]);
    expect(await served(dial("127.0.0.2"))).toMatch(/^HTTP\/1\.1 200/);
    held[0]!.destroy();
    await expect.poll(() => crowd.size).toBe(3);
    expect(await served(dial())).toMatch(/^HTTP\/1\.1 200/);
  });

  it("is told so by an alert where TLS is spoken", async () => {
    const { dial, crowd, port } = await world(true);
    for (let i = 0; i < 4; i += 1) dial();
    await expect.poll(() => crowd.size).toBe(4);
    const refused = connectTls({ host: "127.0.0.1", port, rejectUnauthorized: false });
    expect((await once(refused, "error"))[0]).toMatchObject({ code: "ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR" });
    const other = connectTls({ socket: dial("127.0.0.2"), rejectUnauthorized: false });
    await once(other, "secureConnect");
    other.destroy();
  });

  it("takes nothing of others' however many more it opens", { timeout: 60_000 }, async () => {
    const { dial, crowd, lines } = await world(false, { all: 1_000, each: 500 });
    const many: Socket[] = [];
    for (let i = 0; i < 3_000; i += 1) {
      many.push(dial());
      if (i % 100 !== 0) continue;
      await sleep(5);
      expect(await served(dial("127.0.0.2"))).toMatch(/^HTTP\/1\.1 200/);
    }
    expect(crowd.size).toBeLessThanOrEqual(501);
    expect(lines).toHaveLength(1);
    for (const socket of many) socket.destroy();
    await expect.poll(() => crowd.size).toBe(0);
  });

  it("outlives connections that all leave at once", async () => {
    const { dial, crowd } = await world(true, { all: 200, each: 200 });
    const many = Array.from({ length: 150 }, () => dial());
    await expect.poll(() => crowd.size).toBe(150);
    for (const socket of many) socket.resetAndDestroy();
    await expect.poll(() => crowd.size).toBe(0);
  });
});

describe("files that run out", () => {
  it("neither end the process nor keep it busy, and it takes connections again", { timeout: 60_000 }, async () => {
    const script = new URL("crowded.ts", import.meta.url).pathname;
    const child = spawn("sh", ["-c", 'ulimit -n 80; exec "$0" "$@"', process.execPath, script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const port = Number(String((await once(child.stdout, "data"))[0]));
    const dial = () => connect({ host: "127.0.0.1", port }).on("error", () => undefined);
    const many = Array.from({ length: 300 }, dial);
    await sleep(500);
    const ticks = () => {
      const [user, system] = readFileSync(`/proc/${child.pid}/stat`, "utf8").split(") ")[1]!.split(" ").slice(11, 13).map(Number);
      return user! + system!;
    };
    const before = ticks();
    await sleep(1_000);
    // of a hundred
    expect(ticks() - before).toBeLessThan(40);
    expect(child.exitCode).toBeNull();
    for (const socket of many) socket.destroy();
    await expect.poll(() => served(dial()), { timeout: 5_000 }).toMatch(/^HTTP\/1\.1 200/);
  });
});
