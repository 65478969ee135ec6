import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, Socket } from "node:net";
import { decode } from "dns-packet";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { createAnswer } from "../../src/dns/answer.ts";
import { createRelay } from "../../src/dns/relay.ts";
import { plainResolver } from "../../src/dns/resolver.ts";
import { DnsTcpServer } from "../../src/dns/tcp.ts";
import { DnsUdpServer, sendersOf } from "../../src/dns/udp.ts";
import { RCODE, TYPE } from "../../src/dns/wire.ts";
import { silent } from "../../src/lib/log.ts";
import { echoRelay, openDoor } from "./door.ts";
import { header, question, replyTo, word } from "./message.ts";
import { askUdp, fakeResolver, frame, openTcp } from "./resolver.ts";

const many = Array.from({ length: 60 }, (_, i) => `10.0.0.${i}`);
const portOf = (address: string) => Number(address.split(":").at(-1));
const sentinel = question("ghcr.io", TYPE.A, { id: 1 });
const stillAnswers = async (address: string) =>
  expect(decode(await askUdp(address, sentinel)).answers).toMatchObject([{ data: "10.0.0.1" }]);

describe("the DNS door", () => {
  it("answers over UDP and TCP on one port, what is ours and what is not", async () => {
    await using door = await openDoor();
    const tcp = await openTcp(door.address);
    const overTcp = (message: Buffer) => {
      tcp.socket.write(frame(message));
      return tcp.next();
    };
    for (const ask of [(message: Buffer) => askUdp(door.address, message), overTcp]) {
      expect(decode(await ask(question("GHCR.io"))).answers).toMatchObject([{ name: "GHCR.io", data: "10.0.0.1" }]);
      expect(decode(await ask(question("example.com"))).answers).toMatchObject([{ data: "192.0.2.7" }]);
      expect(decode(await ask(header(9, 0x0100, [0, 0, 0, 0])))).toMatchObject({ id: 9, rcode: "FORMERR", questions: [] });
      expect(decode(await ask(question("ghcr.io", TYPE.A, { flags: 0x2800 })))).toMatchObject({ rcode: "NOTIMP" });
      expect(decode(await ask(question("version.bind", TYPE.TXT, { class: 3 })))).toMatchObject({ rcode: "REFUSED" });
      const version = decode(await ask(question("ghcr.io", TYPE.A, { edns: { version: 1 } })));
      expect(version).toMatchObject({ answers: [], additionals: [{ type: "OPT", extendedRcode: 1 }] });
    }
    tcp.socket.destroy();
  });

  it("listens on IPv6 as well, and on several addresses", async () => {
    await using door = await openDoor({ listen: ["127.0.0.1:0", "[::1]:0", "127.0.0.2:0"] });
    expect(door.addresses).toHaveLength(3);
    for (const address of door.addresses) await stillAnswers(address);
    expect(door.addresses[1]).toMatch(/^\[::1\]:\d+$/);
  });

  it("on [::] alone takes IPv4 too, and knows such a client by its plain address", async () => {
    const seen: string[] = [];
    const clients = (address: string) => seen.push(address) > 0;
    await using door = await openDoor({ listen: ["[::]:0"], clients });
    await stillAnswers(`127.0.0.1:${portOf(door.address)}`);
    expect(seen).toEqual(["127.0.0.1"]);
    await using both = await openDoor({ listen: [`127.0.0.1:0`] });
    await using six = await openDoor({ listen: [`127.0.0.2:${portOf(both.address)}`, `[::]:${portOf(both.address)}`] });
    await stillAnswers(six.addresses[0]!);
  });

  it("on a wildcard answers at every address of 127.0.0.0/8, whether it has a socket of its own or not", async () => {
    for (const wildcard of ["0.0.0.0", "[::]"]) {
      await using door = await openDoor({ listen: [`${wildcard}:0`] });
      for (const host of ["127.0.0.1", "127.0.0.2"]) await stillAnswers(`${host}:${portOf(door.address)}`);
      if (wildcard === "[::]") await stillAnswers(`[::1]:${portOf(door.address)}`);
    }
  });

  it("on a wildcard finds out that somebody else has the port at one of its addresses", async () => {
    // a port that no other test has for TCP
    const tcp = createServer().listen(0, "0.0.0.0");
    await once(tcp, "listening");
    const { port } = tcp.address() as AddressInfo;
    const udp = createSocket({ type: "udp4", reuseAddr: true }).bind(port, "127.0.0.3");
    await once(udp, "listening");
    tcp.close();
    await once(tcp, "close");
    await expect(openDoor({ listen: [`0.0.0.0:${port}`] })).rejects.toMatchObject({ code: "EADDRINUSE", syscall: "bind" });
    udp.close();
    await once(udp, "close");
    await using door = await openDoor({ listen: [`0.0.0.0:${port}`] });
    await stillAnswers(`127.0.0.3:${port}`);
    expect(door.addresses).toEqual([`0.0.0.0:${port}`]);
  });

  it("listens where it can while an address is not there yet", async () => {
    await using door = await openDoor({ listen: ["192.0.2.254:0", "127.0.0.1:0"] });
    expect(door.addresses).toHaveLength(1);
    await stillAnswers(door.address);
  });

  it("cuts for UDP what goes whole over TCP", async () => {
    await using door = await openDoor({ relay: { forward: async ({ message }) => replyTo(message, many) } });
    expect(decode(await askUdp(door.address, question("example.com")))).toMatchObject({ flag_tc: true, answers: [] });
    const extended = await askUdp(door.address, question("example.com", TYPE.A, { edns: { size: 4096 } }));
    expect(decode(extended).answers).toHaveLength(60);
    const tcp = await openTcp(door.address);
    tcp.socket.write(frame(question("example.com")));
    expect(decode(await tcp.next()).answers).toHaveLength(60);
    tcp.socket.destroy();
  });

  it("relays to a real resolver and back, types that nobody knows included", async () => {
    await using resolver = await fakeResolver(({ message, send }) => send(replyTo(message, ["192.0.2.99"])));
    const relay = createRelay({ resolvers: [plainResolver(resolver.address)], log: silent });
    await using door = await openDoor({ relay });
    for (const type of [TYPE.A, TYPE.HTTPS, 65_400]) {
      const reply = await askUdp(door.address, question("ExAmple.com", type, { id: 500 + type }));
      expect(decode(reply)).toMatchObject({
        id: (500 + type) % 65_536,
        questions: [{ name: "ExAmple.com" }],
        answers: [{ data: "192.0.2.99" }],
      });
    }
    relay.close();
  });

  it("says SERVFAIL when zone or relay throw, at once or later", async () => {
    const broken = { forward: () => Promise.reject(new Error("broken")) };
    await using door = await openDoor({ relay: broken });
    expect(decode(await askUdp(door.address, question("example.com")))).toMatchObject({
      rcode: "SERVFAIL",
      questions: [{ name: "example.com" }],
    });
    await using none = await openDoor({ zone: { answer: () => Promise.reject(new Error("broken")) } });
    expect(decode(await askUdp(none.address, question("ghcr.io")))).toMatchObject({ rcode: "SERVFAIL" });
    const thrower = () => {
      throw new Error("broken");
    };
    await using thrown = await openDoor({ zone: { answer: thrower } });
    expect(decode(await askUdp(thrown.address, question("ghcr.io")))).toMatchObject({ rcode: "SERVFAIL" });
  });

  it("drops replies and strangers", async () => {
    await using door = await openDoor();
    await using closed = await openDoor({ clients: (address) => address !== "127.0.0.1" });
    const socket = createSocket("udp4");
    const heard: Buffer[] = [];
    socket.on("message", (reply) => heard.push(reply));
    socket.send(question("ghcr.io", TYPE.A, { flags: 0x8180 }), portOf(door.address), "127.0.0.1");
    socket.send(Buffer.alloc(5), portOf(door.address), "127.0.0.1");
    socket.send(sentinel, portOf(closed.address), "127.0.0.1");
    await stillAnswers(door.address);
    const stranger = await openTcp(closed.address);
    await stranger.closed;
    expect(heard).toEqual([]);
    socket.close();
  });

  it("logs one line for a query, with its verdict", async () => {
    const lines: Record<string, unknown>[] = [];
    const write = (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>);
    await using door = await openDoor({ log: pino({ level: "debug" }, { write }) });
    await askUdp(door.address, question("GHCR.io", TYPE.AAAA));
    await askUdp(door.address, question("example.com", TYPE.HTTPS));
    await askUdp(door.address, question("ghcr.io", TYPE.AXFR));
    expect(lines).toMatchObject([
      { level: 20, qname: "ghcr.io", qtype: "AAAA", client: "127.0.0.1", verdict: "hijack", rcode: "NOERROR" },
      { level: 20, qname: "example.com", qtype: "HTTPS", client: "127.0.0.1", verdict: "relay", rcode: "NOERROR" },
      { level: 20, qname: "ghcr.io", qtype: "AXFR", client: "127.0.0.1", verdict: "REFUSED" },
    ]);
  });
});

describe("listening", () => {
  it("throws Node's own error for a port that is taken, by TCP or by UDP, and leaves nothing open", async () => {
    const tcp = createServer().listen(0, "127.0.0.1");
    await once(tcp, "listening");
    const { port } = tcp.address() as { port: number };
    const taken = { code: "EADDRINUSE", address: "127.0.0.1", port };
    await expect(openDoor({ listen: ["127.0.0.1:0", `127.0.0.1:${port}`] })).rejects.toMatchObject({
      ...taken,
      syscall: "listen",
    });
    tcp.close();
    await once(tcp, "close");
    const udp = createSocket("udp4").bind(port, "127.0.0.1");
    await once(udp, "listening");
    await expect(openDoor({ listen: [`127.0.0.1:${port}`] })).rejects.toMatchObject({ ...taken, syscall: "bind" });
    udp.close();
    await once(udp, "close");
    await using door = await openDoor({ listen: [`127.0.0.1:${port}`] });
    await stillAnswers(door.address);
  });

  it("throws for an address that is not this machine's, or none at all", async () => {
    await expect(openDoor({ listen: ["192.0.2.254:0"] })).rejects.toMatchObject({ code: "EADDRNOTAVAIL" });
    await expect(openDoor({ listen: ["dns.example:53"] })).rejects.toThrow(/expected ip:port/);
  });

  it("closes with queries under way and connections open", async () => {
    const door = await openDoor({ relay: { forward: () => new Promise(() => undefined) } });
    const tcp = await openTcp(door.address);
    tcp.socket.write(frame(question("example.com")));
    await door.close();
    await tcp.closed;
    await door.close();
  });
});

describe("a sender with port 0 (killed the process through dns2)", () => {
  type Sent = Promise<Error | null>;
  const udpServer = (answer = createAnswer({ zone: { answer: () => undefined }, relay: echoRelay, log: silent })) => {
    const server = new DnsUdpServer({ socket: { type: "udp4" }, answer, senders: sendersOf(() => true), log: silent });
    const sent: { reply: Buffer; port: number; outcome: Sent }[] = [];
    const send = server.send.bind(server) as (...args: unknown[]) => void;
    const watched = (reply: Buffer, port: number, address: string, done: (error: Error | null) => void) => {
      const { promise, resolve } = Promise.withResolvers<Error | null>();
      sent.push({ reply, port, outcome: promise });
      send(reply, port, address, (error: Error | null) => {
        done(error);
        resolve(error);
      });
    };
    server.send = watched as unknown as typeof server.send;
    return { server, sent };
  };
  const from = (address: string, port: number) => ({ address, port, family: "IPv4" as const, size: sentinel.length });
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it("is not answered", async () => {
    const { server, sent } = udpServer();
    server.handle(sentinel, from("127.0.0.1", 0));
    server.handle(sentinel, from("127.0.0.1", 9));
    await expect.poll(() => sent.length).toBe(1);
    expect(sent[0]!.port).toBe(9);
    expect(sent[0]!.reply.readUInt16BE(0)).toBe(1);
    expect(await sent[0]!.outcome).toBeNull();
    server.close();
  });

  it("nor does any other failed send reject or throw unseen", async () => {
    const { server, sent } = udpServer();
    // Broadcast is not permitted to this socket: EACCES.
    server.handle(sentinel, from("255.255.255.255", 9));
    await expect.poll(() => sent.length).toBe(1);
    expect((await sent[0]!.outcome)?.message).toMatch(/EACCES|ENETUNREACH/);
    await turn();
    server.close();
  });

  it("nor does a reply that comes when the socket is closed", async () => {
    const reply = { reply: replyTo(sentinel, ["10.0.0.1"]), query: undefined };
    const { promise, resolve } = Promise.withResolvers<typeof reply>();
    const { server, sent } = udpServer(() => promise);
    server.handle(sentinel, from("127.0.0.1", 9));
    server.close();
    resolve(reply);
    await turn();
    expect(sent).toHaveLength(1);
    const { server: other } = udpServer(() => reply);
    other.close();
    other.handle(sentinel, from("127.0.0.1", 9));
  });
});

const answersOverTcp = async (address: string): Promise<boolean> => {
  const tcp = await openTcp(address);
  tcp.socket.write(frame(sentinel));
  const reply = await tcp.next().catch(() => undefined);
  tcp.socket.destroy();
  return reply !== undefined;
};

describe("TCP", () => {
  it("answers a pipeline in odd pieces, and a client that has ended", async () => {
    await using door = await openDoor();
    const tcp = await openTcp(door.address);
    const ids = Array.from({ length: 300 }, (_, i) => i);
    const stream = Buffer.concat(ids.map((id) => frame(question(id % 2 ? "ghcr.io" : "example.com", TYPE.A, { id }))));
    for (let at = 0; at < stream.length; at += 37) tcp.socket.write(stream.subarray(at, at + 37));
    tcp.socket.end();
    const seen = new Set<number>();
    for (const _ of ids) seen.add((await tcp.next()).readUInt16BE(0));
    expect(seen.size).toBe(300);
    await tcp.closed;
  });

  it("answers those first that are ready first", async () => {
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    await using door = await openDoor({ relay: { forward: () => promise } });
    const tcp = await openTcp(door.address);
    const slow = question("example.com", TYPE.A, { id: 1 });
    tcp.socket.write(Buffer.concat([frame(slow), frame(question("ghcr.io", TYPE.A, { id: 2 }))]));
    expect((await tcp.next()).readUInt16BE(0)).toBe(2);
    resolve(replyTo(slow, ["192.0.2.7"]));
    expect((await tcp.next()).readUInt16BE(0)).toBe(1);
    tcp.socket.destroy();
  });

  it.each([
    ["an empty frame", word(0)],
    ["a frame too short for a header", frame(Buffer.alloc(11))],
    ["the start of a frame too long for a query", word(48_000)],
    ["a reply", frame(question("ghcr.io", TYPE.A, { flags: 0x8180 }))],
  ])("breaks the connection at %s", async (_, octets) => {
    await using door = await openDoor();
    const tcp = await openTcp(door.address);
    tcp.socket.write(octets);
    await tcp.closed;
    await stillAnswers(door.address);
  });

  it("breaks off at the end of half a query", async () => {
    await using door = await openDoor();
    const tcp = await openTcp(door.address);
    tcp.socket.end(frame(sentinel).subarray(0, 20));
    await tcp.closed;
  });

  it("does not keep those who say nothing, or drip", async () => {
    await using door = await openDoor({ tcp: { idleMs: 150 } });
    const mute = await openTcp(door.address);
    const slow = await openTcp(door.address);
    const octets = [...frame(sentinel)];
    const drip = setInterval(() => slow.socket.writable && slow.socket.write(Buffer.from([octets.shift() ?? 0])), 40);
    await Promise.all([mute.closed, slow.closed]);
    clearInterval(drip);
    expect(octets.length).toBeGreaterThan(0);
  });

  it("stops reading from those who do not read, and lets them go", async () => {
    let forwarded = 0;
    const large = Array.from({ length: 2_000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
    const forward = async ({ message }: { message: Buffer }) => {
      forwarded += 1;
      return replyTo(message, large);
    };
    await using door = await openDoor({ relay: { forward }, tcp: { idleMs: 300, connectionsPerClient: 1 } });
    const tcp = await openTcp(door.address);
    tcp.socket.pause();
    const asked = 4_000;
    for (let i = 0; i < asked; i += 1) tcp.socket.write(frame(question("example.com")));
    await expect.poll(() => forwarded).toBeGreaterThan(0);
    // Its place is the only one: another client is answered once it is gone.
    await expect.poll(() => answersOverTcp(door.address), { timeout: 8_000 }).toBe(true);
    expect(forwarded).toBeLessThan(asked);
    tcp.socket.resume();
    await tcp.closed;
    expect(forwarded).toBeLessThan(asked);
  });

  it("counts the addresses of one IPv6 network as one client", async () => {
    const there = new DnsTcpServer({ answer: () => undefined, clients: () => true }, { connectionsPerClient: 2 });
    const from = (remoteAddress: string): Socket => {
      const socket = Object.defineProperty(new Socket(), "remoteAddress", { value: remoteAddress });
      there.handle(socket);
      return socket;
    };
    const open = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"].map(from);
    expect(open.map(({ destroyed }) => destroyed)).toEqual([false, false, true, false]);
    open[0]!.destroy();
    await once(open[0]!, "close");
    const late = from("2001:db8::4");
    expect(late.destroyed).toBe(false);
    for (const socket of [...open, late]) socket.destroy();
  });

  it("bounds connections, in all and for one client, and what is under way on one", async () => {
    let forwarded = 0;
    const forward = () => {
      forwarded += 1;
      return new Promise<Buffer>(() => undefined);
    };
    await using door = await openDoor({ relay: { forward }, tcp: { connectionsPerClient: 2, inFlight: 5 } });
    const [first, second] = [await openTcp(door.address), await openTcp(door.address)];
    const third = await openTcp(door.address);
    await third.closed;
    for (let i = 0; i < 50; i += 1) first.socket.write(frame(question("example.com")));
    await expect.poll(() => forwarded).toBe(5);
    second.socket.write(frame(sentinel));
    await second.next();
    expect(forwarded).toBe(5);
    second.socket.destroy();
    await second.closed;
    await expect.poll(() => answersOverTcp(door.address)).toBe(true);
    await using narrow = await openDoor({ tcp: { connections: 1 } });
    const only = await openTcp(narrow.address);
    only.socket.write(frame(sentinel));
    await only.next();
    await (await openTcp(narrow.address)).closed;
    first.socket.destroy();
    only.socket.destroy();
  });
});

it("rcodes that the tests rely on are the registered ones", () => {
  expect(RCODE).toEqual({ NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5, BADVERS: 16 });
});
