// What is at the other end of a front end's address may be anything: the question ends in time, and only a Layover's word counts.
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { askReady } from "../../src/cli/ask-ready.ts";

const WITHIN = 300;

/** A server that does so with each connection. */
const server = async (behave: (socket: Socket) => void): Promise<number> => {
  const sockets = new Set<Socket>();
  const listening = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    behave(socket);
  }).listen(0, "127.0.0.1");
  await once(listening, "listening");
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    listening.close();
  });
  return (listening.address() as AddressInfo).port;
};

const said = (port: number, serverName?: string) =>
  askReady({ host: "127.0.0.1", port, serverName }, WITHIN).catch((error: Error) => `failed: ${error.message}`);

const answering = (status: string, body: string, length = Buffer.byteLength(body)) =>
  server((socket) => socket.once("data", () => socket.end(`HTTP/1.1 ${status}\r\ncontent-length: ${length}\r\n\r\n${body}`)));

it.each([
  ["200 OK", '{"ready":true,"notes":[]}', "ready"],
  ["503 No", '{"ready":false,"reason":"bypass","bypass":{},"notes":[]}', "bypass"],
  ["503 No", '{"ready":false,"reason":"shutting down","notes":[]}', "shutting down"],
  ["503 No", '{"ready":false,"reason":"ill","notes":[]}', "ill"],
  ["503 No", '{"ready":false,"notes":["an older one"]}', "ill"],
  ["503 No", "<html>", "ill"],
  ["200 OK", "<html>Welcome to nginx!</html>", "unknown"],
  ["200 OK", '{"ready":false}', "unknown"],
  ["200 OK", "null", "unknown"],
  ["404 No", '{"ready":true}', "unknown"],
  ["308 Moved", "", "unknown"],
])("%s with %s is %s", async (status, body, heard) => {
  expect(await said(await answering(status, body))).toBe(heard);
});

it.each<[string, (socket: Socket) => void, RegExp]>([
  ["is taken and never answered", () => undefined, /no answer within 300 ms/],
  ["is answered drop by drop", (socket) => trickle(socket), /no answer within 300 ms/],
  ["is answered without end", (socket) => flood(socket), /its answer has no end/],
  ["is closed", (socket) => socket.destroy(), /socket hang up|ECONNRESET/],
  ["is cut in its answer", (socket) => cut(socket), /broke off|aborted/],
  ["is answered with what is no HTTP", (socket) => socket.end("SSH-2.0-OpenSSH\r\n"), /Parse Error/],
])("a question that %s fails in time", async (_, behave, how) => {
  const began = performance.now();
  expect(await said(await server(behave))).toMatch(how);
  expect(performance.now() - began).toBeLessThan(WITHIN + 500);
});

it("fails in time where TLS never begins, and where nobody is", async () => {
  expect(await said(await server(() => undefined), "layover")).toMatch(/no answer within/);
  expect(await said(9)).toMatch(/ECONNREFUSED/);
});

const HEAD = "HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n";

const trickle = (socket: Socket): void => {
  socket.write(HEAD);
  const timer = setInterval(() => socket.write("{"), 20);
  socket.once("close", () => clearInterval(timer));
};

const flood = (socket: Socket): void => {
  socket.write(HEAD);
  socket.write(Buffer.alloc(200_000, "x"));
};

const cut = (socket: Socket): void => {
  socket.write(`${HEAD}{"ready":true}`, () => setTimeout(() => socket.destroy(), 50));
};
