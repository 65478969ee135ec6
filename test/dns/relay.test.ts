import { createSocket } from "node:dgram";
import { once } from "node:events";
import { decode } from "dns-packet";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import type { Query } from "../../src/dns/prescreen.ts";
import { createRelay, type RelayOptions } from "../../src/dns/relay.ts";
import { plainResolver } from "../../src/dns/resolver.ts";
import { RCODE, TYPE } from "../../src/dns/wire.ts";
import { silent } from "../../src/lib/log.ts";
import { opt, query, question, questionEnd, replyTo } from "./message.ts";
import { type Asked, type FakeResolver, fakeResolver } from "./resolver.ts";

const good = (address = "192.0.2.7") => fakeResolver(({ message, send }) => send(replyTo(message, [address])));
const silence = () => fakeResolver(() => undefined);
const failing = (rcode: number) => fakeResolver(({ message, send }) => send(replyTo(message, [], 0x8180 | rcode)));
const later = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
};

const relayTo = (resolvers: readonly FakeResolver[], options: Partial<RelayOptions> = {}) => {
  const relay = createRelay({
    resolvers: resolvers.map(({ address }) => plainResolver(address)),
    log: silent,
    attemptMs: 300,
    totalMs: 3_000,
    ...options,
  });
  return {
    forward: (asked: Query, client?: string) => relay.forward(asked, client),
    [Symbol.dispose]: () => relay.close(),
    close: () => relay.close(),
  };
};

const addressIn = (reply: Buffer) => decode(reply).answers[0]?.data;

describe("the relay", () => {
  it("gives the resolver the client's octets under another id, and the client the resolver's under its own", async () => {
    // A cookie, an option of tomorrow, padding; a record of a type that nobody knows.
    const options = Buffer.from([0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xee, 0, 1, 9, 0, 12, 0, 3, 0, 0, 0]);
    const asked = query("WwW.Example.COM", 65_400, { id: 0x0102, flags: 0x0110, edns: { size: 4096, do: true, options } });
    let sent = Buffer.alloc(0);
    await using resolver = await fakeResolver(({ message, send }) => {
      sent = Buffer.concat([replyTo(message, ["192.0.2.1"], 0x81b0), opt({ options })]);
      sent.writeUInt16BE(1, 10);
      send(sent);
    });
    using relay = relayTo([resolver]);
    const reply = await relay.forward(asked);
    expect(resolver.asked[0]!.message.subarray(2)).toEqual(asked.message.subarray(2));
    expect(reply.subarray(2)).toEqual(sent.subarray(2));
    expect(reply.readUInt16BE(0)).toBe(0x0102);
  });

  it("takes a new port and a new id for every question", async () => {
    await using resolver = await good();
    using relay = relayTo([resolver]);
    for (let i = 0; i < 20; i += 1) await relay.forward(query("example.com", TYPE.A, { id: 5 }));
    expect(new Set(resolver.asked.map(({ from }) => from!.port)).size).toBeGreaterThan(10);
    expect(new Set(resolver.asked.map(({ message }) => message.readUInt16BE(0))).size).toBeGreaterThan(15);
  });

  it("takes an answer whose name is in another case", async () => {
    await using resolver = await fakeResolver(({ message, send }) => {
      const lower = Buffer.from(message);
      lower.write("example", 13, "latin1");
      send(replyTo(lower, ["192.0.2.9"]));
    });
    using relay = relayTo([resolver]);
    expect(addressIn(await relay.forward(query("EXAMPLE.com")))).toBe("192.0.2.9");
  });

  const wrong: [string, (asked: Asked) => Buffer][] = [
    ["an answer under another id", ({ message }) => withId(replyTo(message, ["6.6.6.6"]), message.readUInt16BE(0) ^ 1)],
    [
      "an answer to another name",
      ({ message }) => replyTo(question("evil.example", TYPE.A, { id: message.readUInt16BE(0) }), ["6.6.6.6"]),
    ],
    // 65 and 97 are one letter in two cases.
    [
      "an answer to another type",
      ({ message }) => replyTo(question("example.com", 97, { id: message.readUInt16BE(0) }), ["6.6.6.6"]),
    ],
    ["its own question", ({ message }) => message],
    ["half a header", ({ message }) => message.subarray(0, 7)],
    ["nothing", () => Buffer.alloc(0)],
    ["a header that promises a question", ({ message }) => replyTo(message, []).subarray(0, 12)],
    ["two questions", ({ message }) => twice(replyTo(message, ["6.6.6.6"]))],
  ];
  it.each(wrong)("passes over %s and waits for the right one", async (_, lie) => {
    await using resolver = await fakeResolver((asked) => {
      asked.send(lie(asked));
      asked.send(replyTo(asked.message, ["192.0.2.7"]));
    });
    using relay = relayTo([resolver]);
    expect(addressIn(await relay.forward(query("example.com", TYPE.HTTPS)))).toBe("192.0.2.7");
    expect(resolver.asked).toHaveLength(1);
  });

  it("does not hear the right answer from another port", async () => {
    const spoofer = createSocket("udp4");
    await using resolver = await fakeResolver(({ message, from, send }) => {
      spoofer.send(replyTo(message, ["6.6.6.6"]), from!.port, from!.address, () => send(replyTo(message, ["192.0.2.7"])));
    });
    using relay = relayTo([resolver]);
    expect(addressIn(await relay.forward(query("example.com")))).toBe("192.0.2.7");
    spoofer.close();
    await once(spoofer, "close");
  });

  it("asks the same resolver over TCP for what was cut", async () => {
    const many = Array.from({ length: 200 }, (_, i) => `10.0.0.${i}`);
    await using resolver = await fakeResolver(({ message, via, send }) => {
      send(via === "udp" ? replyTo(message, [], 0x8380) : replyTo(message, many));
    });
    await using other = await good();
    using relay = relayTo([resolver, other]);
    const reply = decode(await relay.forward(query("example.com", TYPE.A, { id: 77 })));
    expect(reply).toMatchObject({ id: 77, flag_tc: false });
    expect(reply.answers).toHaveLength(200);
    expect(resolver.asked.map(({ via }) => via)).toEqual(["udp", "tcp"]);
    expect(other.asked).toEqual([]);
  });

  it("gives what was cut where nothing whole can be had", async () => {
    await using resolver = await fakeResolver(({ message, via, send }) => {
      send(via === "udp" ? replyTo(message, ["192.0.2.1"], 0x8380) : Buffer.from("this is no answer to anything"));
    });
    using relay = relayTo([resolver]);
    expect(decode(await relay.forward(query("example.com")))).toMatchObject({ flag_tc: true, answers: [{ data: "192.0.2.1" }] });
  });

  it.each([
    ["is silent", silence],
    ["fails", () => failing(RCODE.SERVFAIL)],
    ["refuses", () => failing(RCODE.REFUSED)],
    ["refuses with a bare header", () => fakeResolver(({ message, send }) => send(bare(message, RCODE.FORMERR)))],
  ])("asks the next when the first %s", async (_, make) => {
    await using first = await make();
    await using second = await good();
    using relay = relayTo([first, second]);
    expect(addressIn(await relay.forward(query("example.com")))).toBe("192.0.2.7");
    expect(first.asked).toHaveLength(1);
  });

  it("asks the next when nobody is at the first's port", async () => {
    const gone = await silence();
    await gone[Symbol.asyncDispose]();
    await using second = await good();
    using relay = relayTo([gone, second]);
    expect(addressIn(await relay.forward(query("example.com")))).toBe("192.0.2.7");
  });

  it.each([RCODE.NXDOMAIN, RCODE.NOERROR, RCODE.NOTIMP])("takes rcode %i for an answer", async (rcode) => {
    await using first = await failing(rcode);
    await using second = await good();
    using relay = relayTo([first, second]);
    expect((await relay.forward(query("example.com")))[3]! & 15).toBe(rcode);
    expect(second.asked).toEqual([]);
  });

  it("tells what the resolvers say when all fail, and SERVFAIL when all refuse or are silent", async () => {
    await using refusing = await failing(RCODE.REFUSED);
    await using failed = await fakeResolver(({ message, send }) => send(replyTo(message, ["192.0.2.2"], 0x8182)));
    await using mute = await silence();
    using all = relayTo([refusing, failed, mute]);
    expect(decode(await all.forward(query("example.com")))).toMatchObject({
      rcode: "SERVFAIL",
      answers: [{ data: "192.0.2.2" }],
    });
    using relay = relayTo([refusing, mute], { attemptMs: 30, totalMs: 100 });
    const reply = await relay.forward(query("eXample.com", TYPE.A, { edns: { do: true } }));
    expect(decode(reply)).toMatchObject({
      rcode: "SERVFAIL",
      questions: [{ name: "eXample.com" }],
      additionals: [{ flag_do: true }],
    });
  });

  it.each([
    ["22: nobody answered", silence, 22],
    ["23: somebody refused", () => failing(RCODE.REFUSED), 23],
  ])("says why to who speaks EDNS, and to nobody else (%s)", async (_, start, code) => {
    await using resolver = await start();
    using relay = relayTo([resolver], { attemptMs: 30, totalMs: 60 });
    const reply = decode(await relay.forward(query("example.com", TYPE.A, { edns: {} })));
    expect(reply).toMatchObject({ rcode: "SERVFAIL", additionals: [{ options: [{ code: 15, data: Buffer.from([0, code]) }] }] });
    expect(decode(await relay.forward(query("example.com")))).toMatchObject({ rcode: "SERVFAIL", additionals: [] });
  });

  it.each([
    ["promises more records than there are", (message: Buffer) => counting(replyTo(message, ["192.0.2.1"]), 6, 2)],
    ["ends within a record", (message: Buffer) => replyTo(message, ["192.0.2.1"]).subarray(0, -2)],
    ["has a label of 64 octets", (message: Buffer) => replacing(replyTo(message, ["192.0.2.1"]), questionEnd(message), 64)],
  ])("gives nobody an answer that %s, and asks the next, without blame", async (_, broken) => {
    const lines: string[] = [];
    await using first = await fakeResolver(({ message, send }) => send(broken(message)));
    await using second = await good();
    using relay = relayTo([first, second], { log: pino({}, { write: (line: string) => void lines.push(line) }) });
    expect(addressIn(await relay.forward(query("example.com")))).toBe("192.0.2.7");
    await relay.forward(query("example.org"));
    expect(first.asked).toHaveLength(2);
    expect(lines).toEqual([]);
  });

  it("asks a lone resolver again when a packet was lost", async () => {
    let times = 0;
    await using lossy = await fakeResolver(({ message, send }) => {
      times += 1;
      if (times > 1) send(replyTo(message, ["192.0.2.7"]));
    });
    using relay = relayTo([lossy]);
    expect(addressIn(await relay.forward(query("example.com")))).toBe("192.0.2.7");
  });

  it("does not wait for a dead resolver twice, and goes back to it when it answers a probe", async () => {
    let alive = false;
    await using first = await fakeResolver(({ message, send }) => alive && send(replyTo(message, ["192.0.2.1"])));
    await using second = await good("192.0.2.2");
    using relay = relayTo([first, second], { attemptMs: 400, probeEvery: 0 });
    const ask = async (name: string) => addressIn(await relay.forward(query(name)));
    expect(await ask("one.example")).toBe("192.0.2.2");
    const started = performance.now();
    for (let i = 0; i < 5; i += 1) expect(await ask(`n${i}.example`)).toBe("192.0.2.2");
    expect(performance.now() - started).toBeLessThan(1_200);
    alive = true;
    await later(() => first.asked.length > 5);
    expect(await ask("back.example")).toBe("192.0.2.2");
    await expect.poll(() => ask("again.example"), { timeout: 5_000 }).toBe("192.0.2.1");
  });

  it("asks once for those who ask the same at the same time, each under its own id", async () => {
    const held: Asked[] = [];
    await using resolver = await fakeResolver((asked) => void held.push(asked));
    using relay = relayTo([resolver], { attemptMs: 3_000 });
    const replies = [1, 2, 3].map((id) => relay.forward(query("example.com", TYPE.A, { id })));
    const cased = relay.forward(query("EXAMPLE.com", TYPE.A, { id: 4 }));
    await later(() => held.length === 2);
    for (const { message, send } of held) send(replyTo(message, ["192.0.2.7"]));
    expect((await Promise.all(replies)).map((reply) => reply.readUInt16BE(0))).toEqual([1, 2, 3]);
    expect(decode(await cased)).toMatchObject({ id: 4, questions: [{ name: "EXAMPLE.com" }] });
    expect(resolver.asked).toHaveLength(2);
  });

  it("bounds what is under way, and what of it is one client's", async () => {
    await using resolver = await silence();
    using relay = relayTo([resolver], { maxInFlight: 10, attemptMs: 3_000 });
    const five = (client: string) => Array.from({ length: 5 }, (_, i) => relay.forward(query(`${i}.${client}.example`), client));
    const waiting = five("192.0.2.1");
    expect(decode(await relay.forward(query("more.example"), "192.0.2.1"))).toMatchObject({ rcode: "SERVFAIL" });
    waiting.push(...five("192.0.2.2"));
    expect(decode(await relay.forward(query("more.example"), "192.0.2.3"))).toMatchObject({ rcode: "SERVFAIL" });
    await expect.poll(() => resolver.asked.length).toBeGreaterThanOrEqual(10);
    relay.close();
    for (const reply of await Promise.all(waiting)) expect(decode(reply).rcode).toBe("SERVFAIL");
  });

  it("survives hundreds of questions at once, of which the system may lose some, without a warning of a leak", async () => {
    const warnings: Error[] = [];
    const warn = (warning: Error) => void warnings.push(warning);
    process.on("warning", warn);
    await using resolver = await good();
    using relay = relayTo([resolver], { attemptMs: 500, totalMs: 10_000 });
    const replies = await Promise.all(Array.from({ length: 500 }, (_, i) => relay.forward(query(`n${i}.example`))));
    for (const reply of replies) expect(addressIn(reply)).toBe("192.0.2.7");
    process.off("warning", warn);
    expect(warnings).toEqual([]);
  });

  it("keeps its whole time, also over many silent resolvers", async () => {
    const mute = await Promise.all(Array.from({ length: 5 }, silence));
    using relay = relayTo(mute, { attemptMs: 1_500, totalMs: 500 });
    const started = performance.now();
    expect(decode(await relay.forward(query("example.com"))).rcode).toBe("SERVFAIL");
    expect(performance.now() - started).toBeGreaterThan(400);
    for (const { asked } of mute) expect(asked.length).toBeGreaterThan(0);
    await Promise.all(mute.map((one) => one[Symbol.asyncDispose]()));
  });

  it("ends a loop when a resolver leads back to it, and says so", async () => {
    const lines: string[] = [];
    await using resolver = await fakeResolver(({ message, send }) => {
      void relay.forward(query("example.com", TYPE.A, { id: message.readUInt16BE(0) })).then(send);
    });
    await using next = await good();
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    using relay = relayTo([resolver, next], { log, probeEvery: 0 });
    expect(addressIn(await relay.forward(query("example.com", TYPE.A, { id: 1 })))).toBe("192.0.2.7");
    expect(resolver.asked).toHaveLength(1);
    expect(lines.join()).toContain("it asks Layover itself");
    // Nor does a probe that we answer ourselves make it well again.
    for (let i = 0; i < 5; i += 1)
      expect(addressIn(await relay.forward(query("example.com", TYPE.A, { id: 1 })))).toBe("192.0.2.7");
    await later(() => resolver.asked.length > 3);
    expect(lines.join()).not.toContain("answers again");
  });

  it("takes a client with the very id that it uses itself for a client", async () => {
    let twin: Promise<Buffer> | undefined;
    await using resolver = await fakeResolver(({ message, send }) => {
      twin = relay.forward(query("example.com", TYPE.A, { id: message.readUInt16BE(0) }));
      send(replyTo(message, ["192.0.2.7"]));
    });
    using relay = relayTo([resolver]);
    await relay.forward(query("example.com", TYPE.A, { id: 1 }));
    expect(addressIn(await twin!)).toBe("192.0.2.7");
  });
});

const withId = (message: Buffer, id: number): Buffer => {
  message.writeUInt16BE(id, 0);
  return message;
};

const counting = (reply: Buffer, at: number, count: number): Buffer => {
  reply.writeUInt16BE(count, at);
  return reply;
};

const replacing = (reply: Buffer, at: number, octet: number): Buffer => {
  reply[at] = octet;
  return reply;
};

const twice = (reply: Buffer): Buffer => {
  reply.writeUInt16BE(2, 4);
  return reply;
};

const bare = (message: Buffer, rcode: number): Buffer => {
  const reply = Buffer.alloc(12);
  message.copy(reply, 0, 0, 2);
  reply.writeUInt16BE(0x8180 | rcode, 2);
  return reply;
};
