// Clients that begin and do not go on, at each of the steps there are: every one is cut within its time, and takes nothing of those that do.
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { hello, helloOfNode, records, serverName } from "../tls/hello.ts";
import { ADDRESS } from "./layover.ts";
import { OPEN, World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await World.start();
  await world.layover.start({}, { passthrough: ["gitlab.com"] });
});
afterAll(() => world?.stop());

const dial = (port: number): Socket => connect({ host: ADDRESS, port });
const secured = async (): Promise<Socket> => {
  const socket = connectTls({ host: ADDRESS, port: 443, servername: OPEN, ca: await readFile(world.layover.certificate) });
  await once(socket, "secureConnect");
  return socket;
};
const HELLO = records(hello([serverName(OPEN)]));

/** Of each: the connection, and what it sends, an octet every half second. */
const SLOW: readonly (readonly [string, () => Socket | Promise<Socket>, Buffer, number])[] = [
  ["says nothing, at the TLS door", () => dial(443), Buffer.alloc(0), 12],
  ["drips its first message", () => dial(443), HELLO, 12],
  ["sends half of its first message", async () => write(dial(443), HELLO.subarray(0, 40)), Buffer.alloc(0), 12],
  ["shakes half a hand", async () => write(dial(443), await helloOfNode({ servername: OPEN })), Buffer.alloc(0), 14],
  ["says nothing, at the plain door", () => dial(80), Buffer.alloc(0), 28],
  ["says nothing over TLS", secured, Buffer.alloc(0), 28],
  [
    "drips its headers",
    async () => write(await secured(), `GET /v2/ HTTP/1.1\r\nHost: ${OPEN}\r\nX-`),
    Buffer.alloc(500, "x"),
    28,
  ],
];

const write = (socket: Socket, bytes: Buffer | string): Socket => {
  socket.write(bytes);
  return socket;
};

/** After how many seconds it is cut. */
const lasts = async (open: () => Socket | Promise<Socket>, drip: Buffer): Promise<number> => {
  const began = performance.now();
  const socket = await open();
  let sent = 0;
  const dripping = setInterval(() => {
    if (sent < drip.length && socket.writable) socket.write(drip.subarray(sent, ++sent));
  }, 500);
  await new Promise<void>((resolve) => {
    socket.on("error", () => undefined).on("end", () => socket.destroy());
    socket.on("close", () => resolve()).resume();
  });
  clearInterval(dripping);
  return (performance.now() - began) / 1_000;
};

test("whoever does not go on is cut in time, and nobody waits for it", { timeout: 60_000 }, async () => {
  onTestFailed(() => world.explain());
  // one of each that is looked at, and thirty of each beside it
  const crowd = SLOW.flatMap(([, open, drip]) => Array.from({ length: 30 }, () => lasts(open, drip)));
  const looked = SLOW.map(async ([what, open, drip, most]) => {
    const seconds = await lasts(open, drip);
    return [what, seconds > 2 && seconds < most ? "cut in time" : `cut after ${seconds} s`];
  });
  for (let i = 0; i < 10; i += 1) {
    const began = performance.now();
    expect((await world.ask(OPEN, "/v2/")).status).toBe(200);
    expect(performance.now() - began).toBeLessThan(3_000);
  }
  expect(await Promise.all(looked)).toEqual(SLOW.map(([what]) => [what, "cut in time"]));
  await Promise.all(crowd);
});
