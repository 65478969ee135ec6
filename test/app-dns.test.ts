// The DNS half as the configuration puts it together, on real sockets: whose names are answered, with what, for whom; and what is no way round.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { decode } from "dns-packet";
import { expect, it, onTestFinished } from "vitest";
import { dnsEnd } from "../src/app-dns.ts";
import { reverseName } from "../src/dns/reverse-name.ts";
import { TYPE } from "../src/dns/wire.ts";
import { silent } from "../src/lib/log.ts";
import { load } from "./config/folder.ts";
import { header, question, replyTo, word } from "./dns/message.ts";
import { fakeResolver } from "./dns/resolver.ts";

const CONFIG = [
  'name: [layover, "Layover.corp.example."]',
  'answer: [{ 127.0.0.1: [10.1.0.2, "fd00:1::2"] }, { 127.0.0.0/30: 10.3.0.2 }, 10.0.0.5]',
  "hijackFor: [127.0.0.0/24]",
  "clients: [127.0.0.0/8]",
  "sites:",
  '  "*.x.example": {}',
  "  out.x.example: false",
  "  hosted.example: { kind: local, access: anonymous }",
].join("\n");

const world = async (healthy = () => true) => {
  const asked: string[] = [];
  const resolver = await fakeResolver(({ message, send }) => {
    const { name } = decode(message).questions![0]!;
    asked.push(name);
    if (!name.endsWith("hole.example")) send(replyTo(message, ["192.0.2.7"]));
  });
  const config = await load(CONFIG, { LAYOVER_LISTEN_DNS: "127.0.0.1:0", LAYOVER_RESOLVERS: resolver.text });
  const end = await dnsEnd(config, silent, { healthy });
  onTestFinished(async () => {
    await end.close();
    await resolver[Symbol.asyncDispose]();
  });
  const port = Number(end.addresses[0]!.split(":").at(-1));
  /** From an address of this machine. */
  const send = async (message: Buffer, from = "127.0.0.1") => {
    const socket = createSocket("udp4").bind(0, from);
    await once(socket, "listening");
    socket.send(message, port, "127.0.0.1");
    const [reply] = (await once(socket, "message", { signal: AbortSignal.timeout(5_000) })) as [Buffer];
    socket.close();
    return decode(reply);
  };
  const ask = async (name: string, type: number = TYPE.A, from?: string) =>
    (await send(question(name, type), from)).answers!.map((answer) => ("data" in answer ? answer.data : answer.type));
  return { asked, send, ask, port };
};

it("answers each subnet with its own addresses, and leads nobody here who is not to be", async () => {
  const { ask } = await world();
  expect(await ask("ghcr.io")).toEqual(["10.1.0.2"]);
  expect(await ask("ghcr.io", TYPE.AAAA)).toEqual(["fd00:1::2"]);
  expect(await ask("a.x.example", TYPE.A, "127.0.0.2")).toEqual(["10.3.0.2"]);
  expect(await ask("ghcr.io", TYPE.AAAA, "127.0.0.2")).toEqual([]);
  expect(await ask("ghcr.io", TYPE.A, "127.0.0.9")).toEqual(["10.0.0.5"]);
  expect(await ask("ghcr.io", TYPE.A, "127.0.1.1")).toEqual(["192.0.2.7"]);
});

it("knows all of its own names, and its addresses of both families by the first", async () => {
  const { ask, asked } = await world();
  for (const name of ["layover", "LAYOVER.Corp.Example"]) {
    expect(await ask(name)).toEqual(["10.1.0.2"]);
    expect(await ask(name, TYPE.AAAA)).toEqual(["fd00:1::2"]);
  }
  for (const address of ["10.0.0.5", "10.1.0.2", "10.3.0.2", "fd00:1::2"])
    expect(await ask(reverseName(address), TYPE.PTR)).toEqual(["layover"]);
  expect(asked).toEqual([]);
});

it("gives out real addresses while the front end is ill, but for what must not be gone round", async () => {
  const { ask } = await world(() => false);
  for (const name of ["ghcr.io", "a.x.example"]) expect(await ask(name)).toEqual(["192.0.2.7"]);
  for (const name of ["hosted.example", "layover"]) expect(await ask(name)).toEqual(["10.1.0.2"]);
});

it("has no way round: other types, classes, spellings and prefixes of a name that is ours", async () => {
  const { ask, send, asked } = await world();
  for (const name of ["GHCR.IO", "gHcR.iO", "A.b.X.Example", "a-1.x.example", `${"a".repeat(63)}.x.example`])
    expect(await ask(name)).toEqual(["10.1.0.2"]);
  const types = [
    TYPE.HTTPS,
    TYPE.SVCB,
    TYPE.CNAME,
    TYPE.DS,
    TYPE.DNSKEY,
    TYPE.NS,
    TYPE.SOA,
    TYPE.MX,
    TYPE.TXT,
    TYPE.CAA,
    TYPE.SRV,
  ];
  for (const type of [...types, 39, 65_280])
    for (const name of ["ghcr.io", "a.x.example", "_443._https.ghcr.io", "_8443._https.a.x.example"])
      expect(await ask(name, type)).toEqual([]);
  expect(await ask("ghcr.io", TYPE.ANY)).toEqual(["10.1.0.2", "fd00:1::2"]);
  for (const qclass of [3, 4, 255])
    expect(await send(question("a.x.example", TYPE.A, { class: qclass }))).toMatchObject({ rcode: "REFUSED", answers: [] });
  // a question whose name is a pointer, and one with two names
  expect(await send(Buffer.concat([header(7, 0x0100, [1, 0, 0, 0]), Buffer.from([0xc0, 12]), word(1), word(1)]))).toMatchObject({
    rcode: "FORMERR",
  });
  const two = Buffer.concat([question("ghcr.io"), question("a.x.example").subarray(12)]);
  two.writeUInt16BE(2, 4);
  expect(await send(two)).toMatchObject({ rcode: "FORMERR" });
  expect(asked).toEqual([]);
});

it("leaves alone what is not ours, however like it is", async () => {
  const { ask, asked } = await world();
  const others = ["x.example", "out.x.example", "Out.X.Example", "_acme-challenge.a.x.example", "a b.x.example", "-a.x.example"];
  const alike = [
    "ghcr.io.example",
    "xghcr.io",
    "www.ghcr.io",
    "x.example.a",
    "ax.example",
    "*.x.example",
    "_443._https.x.example",
  ];
  for (const name of [...others, ...alike]) expect(await ask(name)).toEqual(["192.0.2.7"]);
  expect(asked).toHaveLength(others.length + alike.length - 1); // of two that differ in case one is asked for
});

it("keeps questions of others' names for the others, whatever one client asks for", async () => {
  const { ask, asked, port } = await world();
  const greedy = createSocket("udp4").bind(0, "127.0.0.5");
  await once(greedy, "listening");
  const waiting = () => asked.filter((name) => name.endsWith("hole.example")).length;
  let refused = 0;
  greedy.on("message", () => {
    refused += 1;
  });
  for (let n = 0; n < 600; n += 1) {
    greedy.send(question(`${n}.hole.example`), port, "127.0.0.1");
    // a datagram that finds no room at the door is lost
    if (n % 10 === 0) await new Promise(setImmediate);
  }
  await expect.poll(waiting).toBe(512);
  await expect.poll(() => refused).toBe(600 - 512);
  expect(await ask("some.example", TYPE.A, "127.0.0.6")).toEqual(["192.0.2.7"]);
  expect(await ask("other.example", TYPE.A, "127.0.0.5")).toEqual([]);
  greedy.close();
});
