// Tens of thousands of hostile packets against a whole door with a real relay and a resolver that lies as well.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { decode } from "dns-packet";
import fc from "fast-check";
import { expect, it } from "vitest";
import { createRelay } from "../../src/dns/relay.ts";
import { plainResolver } from "../../src/dns/resolver.ts";
import { TYPE } from "../../src/dns/wire.ts";
import { silent } from "../../src/lib/log.ts";
import { openDoor } from "./door.ts";
import { opt, question, replyTo, word } from "./message.ts";
import { askUdp, fakeResolver, frame, openTcp } from "./resolver.ts";

const seeds = [
  question("ghcr.io"),
  question("registry.gitlab.com", TYPE.AAAA, { edns: { size: 4096, do: true } }),
  question("_443._https.ghcr.io", TYPE.HTTPS, { edns: { options: Buffer.from([0, 8, 0, 4, 0, 1, 24, 0]) } }),
  question("use-application-dns.net"),
  question("a.b.c.d.e.f.g.h.resolver.arpa", TYPE.SVCB),
  replyTo(question("ghcr.io"), ["10.0.0.1"]),
];

const mutated = fc
  .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }), fc.nat(120))
  .map(([seed, changes, cut]) => {
    const message = Buffer.from(seed);
    for (const [at, value] of changes) message[at % message.length] = value;
    return cut < 20 ? message.subarray(0, cut) : message;
  });
const noise = fc.uint8Array({ maxLength: 200 }).map((octets) => Buffer.from(octets));
const padded = fc.tuple(mutated, fc.nat(3_000)).map(([message, extra]) => Buffer.concat([message, Buffer.alloc(extra)]));
const packets = fc.oneof({ weight: 6, arbitrary: mutated }, { weight: 3, arbitrary: noise }, { weight: 1, arbitrary: padded });

const lyingResolver = () => {
  let turn = 0;
  return fakeResolver(({ message, send }) => {
    turn += 1;
    const reply = Buffer.concat([replyTo(message, ["192.0.2.7"]), opt({ options: word(turn) })]);
    if (turn % 3 === 0) reply[turn % reply.length]! ^= 1 << (turn % 8);
    send(turn % 7 === 0 ? reply.subarray(0, turn % reply.length) : reply);
  });
};

const openAll = async () => {
  const resolver = await lyingResolver();
  const relay = createRelay({ resolvers: [plainResolver(resolver.address)], log: silent, attemptMs: 20, totalMs: 40 });
  const door = await openDoor({ relay });
  const dispose = async () => {
    await door.close();
    relay.close();
    await resolver[Symbol.asyncDispose]();
  };
  return { address: door.address, port: Number(door.address.split(":")[1]), [Symbol.asyncDispose]: dispose };
};

const sentinel = question("GHCR.io", TYPE.A, { id: 65_535 });

it("answers on after tens of thousands of packets over UDP, and never answers an answer", async () => {
  await using door = await openAll();
  const socket = createSocket("udp4");
  socket.connect(door.port, "127.0.0.1");
  await once(socket, "connect");
  const replies: Buffer[] = [];
  socket.on("message", (reply) => replies.push(reply));
  const mute = new Set<number>();
  let id = 0;
  const total = 20_000;
  for (const message of fc.sample(packets, { numRuns: total, seed: 11 })) {
    id = (id + 1) % 60_000;
    if (message.length >= 3) {
      message.writeUInt16BE(id, 0);
      if ((message[2]! & 0x80) !== 0) mute.add(id);
    }
    socket.send(message);
    if (id % 50 === 0) await askUdp(door.address, sentinel);
  }
  expect(decode(await askUdp(door.address, sentinel)).answers).toMatchObject([{ name: "GHCR.io", data: "10.0.0.1" }]);
  socket.close();
  expect(replies.length).toBeGreaterThan(total / 10);
  expect(replies.filter((reply) => reply.length < 12 || (reply[2]! & 0x80) === 0)).toEqual([]);
  expect(replies.filter((reply) => mute.has(reply.readUInt16BE(0)))).toEqual([]);
  expect(replies.filter((reply) => reply.length > 1_232)).toEqual([]);
});

it("answers on after thousands of connections' worth of noise over TCP", async () => {
  await using door = await openAll();
  for (let round = 0; round < 60; round += 1) {
    const tcp = await openTcp(door.address);
    const messages = fc.sample(packets, { numRuns: 50, seed: round });
    // Half of the rounds keep to the framing.
    tcp.socket.write(Buffer.concat(messages.map((message) => (round % 2 ? frame(message) : message))));
    tcp.socket.end();
    await tcp.closed;
  }
  const tcp = await openTcp(door.address);
  tcp.socket.write(frame(sentinel));
  expect(decode(await tcp.next()).answers).toMatchObject([{ data: "10.0.0.1" }]);
  tcp.socket.destroy();
});

it("takes no time for a chain of pointers, over UDP and TCP (858 ms in dns2's parser)", async () => {
  await using door = await openAll();
  // Each question's name is a pointer to the one before it.
  const first = question("a");
  const places = Array.from({ length: 8_000 }, (_, i) => (i === 0 ? 12 : (first.length + 6 * (i - 1)) % 0x4000));
  const chain = Buffer.concat([first, ...places.flatMap((place) => [word(0xc000 | place), word(1), word(1)])]);
  chain.writeUInt16BE(8_001, 4);
  const start = performance.now();
  await askUdp(door.address, sentinel);
  const normal = performance.now() - start;
  const again = performance.now();
  const socket = createSocket("udp4");
  for (let i = 0; i < 8; i += 1) {
    socket.send(chain, door.port, "127.0.0.1");
    await askUdp(door.address, sentinel);
  }
  socket.close();
  expect(performance.now() - again).toBeLessThan(normal * 20 + 500);
  const tcp = await openTcp(door.address);
  tcp.socket.write(frame(chain));
  await tcp.closed;
  await askUdp(door.address, sentinel);
});
