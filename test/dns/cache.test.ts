import { decode, encode } from "dns-packet";
import { describe, expect, it } from "vitest";
import { cached } from "../../src/dns/cache.ts";
import type { Query } from "../../src/dns/prescreen.ts";
import { createRelay } from "../../src/dns/relay.ts";
import { plainResolver } from "../../src/dns/resolver.ts";
import { RCODE, TYPE } from "../../src/dns/wire.ts";
import { silent } from "../../src/lib/log.ts";
import { openDoor } from "./door.ts";
import { opt, query, question, questionEnd, replyTo } from "./message.ts";
import { type Asked, askUdp, fakeResolver } from "./resolver.ts";

const SOA = { type: "SOA", name: "example.com", ttl: 600, data: { mname: "ns.example", rname: "it.example", minimum: 120 } };

/** Records by the oracle, to the very question that came. */
const answerOf = (message: Buffer, fields: object): Buffer => {
  const { id, questions } = decode(message);
  return encode({ type: "response", id, flags: 0x0180, questions, ...fields });
};

const open = async (
  behave: (asked: Asked) => void,
  { waitMs = 3_000, ...options }: { maxSize?: number; waitMs?: number } = {},
) => {
  const resolver = await fakeResolver(behave);
  const relay = createRelay({ resolvers: [plainResolver(resolver.address)], log: silent, attemptMs: waitMs, totalMs: waitMs });
  const time = { now: 0 };
  const cache = cached(relay, { now: () => time.now, patienceMs: 100, ...options });
  const dispose = async () => {
    relay.close();
    await resolver[Symbol.asyncDispose]();
  };
  const ask = async (asked: Query) => decode(await cache.forward(asked));
  return { cache, resolver, time, ask, [Symbol.asyncDispose]: dispose };
};

const a = (ttl: number, data = "192.0.2.7") => ({ type: "A", name: "example.com", ttl, data });

describe("the cache of answers", () => {
  it("gives an answer again as it came, but for the id, the TTLs and the case of the question", async () => {
    let sent = Buffer.alloc(0);
    await using lab = await open(({ message, send }) => {
      sent = Buffer.concat([replyTo(message, ["192.0.2.1", "192.0.2.2"]), opt({ options: Buffer.from([0xff, 0xee, 0, 1, 9]) })]);
      sent.writeUInt16BE(1, 10);
      send(sent);
    });
    await lab.cache.forward(query("example.com", TYPE.A, { id: 1, edns: {} }));
    lab.time.now = 42_900;
    const again = lab.cache.forward(query("eXaMple.COM", TYPE.A, { id: 0x0203, edns: {} }));
    expect(Buffer.isBuffer(again)).toBe(true); // at once
    const expected = Buffer.from(sent);
    expected.writeUInt16BE(0x0203, 0);
    question("eXaMple.COM").copy(expected, 12, 12);
    for (const at of [0, 1]) expected.writeUInt32BE(18, questionEnd(sent) + 16 * at + 6);
    expect(again).toEqual(expected);
    lab.time.now = 60_000;
    await lab.ask(query("example.com", TYPE.A, { edns: {} }));
    expect(lab.resolver.asked).toHaveLength(2);
  });

  it("lives as long as the shortest of its records, and an hour at most", async () => {
    await using lab = await open(({ message, send }) => {
      const short = decode(message).questions[0]!.name === "short.example";
      send(answerOf(message, { answers: [a(86_400)], additionals: short ? [{ ...a(7), name: "ns.example" }] : [] }));
    });
    for (const [name, seconds] of [
      ["short.example", 7],
      ["long.example", 3_600],
    ] as const) {
      lab.time.now = 0;
      lab.resolver.asked.length = 0;
      await lab.ask(query(name));
      lab.time.now = seconds * 1_000 - 1;
      expect((await lab.ask(query(name))).answers[0]!.ttl).toBe(86_400 - seconds + 1);
      expect(lab.resolver.asked).toHaveLength(1);
      lab.time.now += 1;
      await lab.ask(query(name));
      expect(lab.resolver.asked).toHaveLength(2);
    }
  });

  it.each([
    ["no such name", { flags: 0x0183, authorities: [SOA] }, 120],
    ["nothing of that type", { authorities: [SOA] }, 120],
    [
      "an alias of what has nothing",
      { answers: [{ type: "CNAME", name: "example.com", ttl: 30, data: "b.example" }], authorities: [SOA] },
      30,
    ],
    [
      "a SOA that asks for longer than is sane",
      { flags: 0x0183, authorities: [{ ...SOA, ttl: 99_999, data: { ...SOA.data, minimum: 99_999 } }] },
      900,
    ],
  ])("keeps %s as long as its SOA says", async (_, fields, seconds) => {
    await using lab = await open(({ message, send }) => send(answerOf(message, fields)));
    await lab.ask(query("example.com"));
    lab.time.now = seconds * 1_000 - 1;
    await lab.ask(query("example.com"));
    expect(lab.resolver.asked).toHaveLength(1);
    lab.time.now += 1;
    await lab.ask(query("example.com"));
    expect(lab.resolver.asked).toHaveLength(2);
  });

  it.each<[string, (message: Buffer) => Buffer]>([
    ["a negative answer without a SOA", (message) => answerOf(message, { flags: 0x0183 })],
    ["a referral", (message) => answerOf(message, { authorities: [{ type: "NS", name: "com", ttl: 60, data: "ns.example" }] })],
    ["what has a TTL of zero", (message) => answerOf(message, { answers: [a(60), a(0)] })],
    ["what has a TTL below zero", (message) => answerOf(message, { answers: [a(0xffff_fff0)] })],
    ["a refusal", (message) => answerOf(message, { flags: 0x0184 })],
    ["what has octets left over", (message) => Buffer.concat([replyTo(message, ["192.0.2.1"]), Buffer.from([0])])],
    ["what is cut", (message) => replyTo(message, ["192.0.2.1"], 0x8380)],
  ])("does not keep %s", async (_, reply) => {
    await using lab = await open(({ message, via, send }) => (via === "tcp" ? send(Buffer.alloc(3)) : send(reply(message))));
    await lab.cache.forward(query("example.com"));
    await lab.cache.forward(query("example.com"));
    expect(lab.resolver.asked.filter(({ via }) => via === "udp")).toHaveLength(2);
  });

  it("does not keep that there was no room for the question", async () => {
    const held: Asked[] = [];
    await using resolver = await fakeResolver((asked) => void held.push(asked));
    const relay = createRelay({ resolvers: [plainResolver(resolver.address)], log: silent, maxInFlight: 1 });
    const cache = cached(relay);
    const first = cache.forward(query("one.example"));
    const second = decode(await cache.forward(query("two.example", TYPE.A, { edns: {} })));
    expect(second).toMatchObject({ rcode: "SERVFAIL", additionals: [{ options: [{ code: 15, data: Buffer.from([0, 0]) }] }] });
    await expect.poll(() => held.length).toBe(1);
    held[0]!.send(replyTo(held[0]!.message, ["192.0.2.1"]));
    await first;
    const again = cache.forward(query("two.example", TYPE.A, { edns: {} }));
    await expect.poll(() => held.length).toBe(2);
    held[1]!.send(replyTo(held[1]!.message, ["192.0.2.2"]));
    expect(decode(await again).answers).toMatchObject([{ data: "192.0.2.2" }]);
    relay.close();
  });

  it("keeps apart what differs in type, CD, DO, AD or having EDNS, and nothing else", async () => {
    await using lab = await open(({ message, send }) => send(replyTo(message, ["192.0.2.7"])));
    const apart = [
      query("example.com"),
      query("example.com", 65),
      query("example.com", 97),
      query("example.com", TYPE.A, { flags: 0x0110 }),
      query("example.com", TYPE.A, { flags: 0x0120 }),
      query("example.com", TYPE.A, { edns: {} }),
      query("example.com", TYPE.A, { edns: { do: true } }),
      query("a\\.example.com"),
    ];
    for (const one of apart) await lab.cache.forward(one);
    expect(lab.resolver.asked).toHaveLength(apart.length);
    await lab.cache.forward(
      query("EXAMPLE.com", TYPE.A, { edns: { size: 4_096, options: Buffer.from([0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]) } }),
    );
    expect(lab.resolver.asked).toHaveLength(8);
  });

  it("tells the resolver nothing of the client: its cookie, network and padding stay here", async () => {
    await using lab = await open(({ message, send }) => send(replyTo(message, ["192.0.2.7"])));
    const options = Buffer.from([0, 8, 0, 7, 0, 1, 24, 0, 10, 1, 2, 0, 12, 0, 3, 0, 0, 0]);
    await lab.cache.forward(query("Example.com", TYPE.A, { edns: { size: 4_096, do: true, options } }));
    const expected = question("example.com", TYPE.A, { edns: { do: true } });
    expect(lab.resolver.asked[0]!.message.subarray(2)).toEqual(expected.subarray(2));
  });

  it("asks once for those who ask at the same time, in whatever case, each told under its own id", async () => {
    const held: Asked[] = [];
    await using lab = await open((asked) => void held.push(asked));
    const replies = ["a.example", "A.example", "a.EXAMPLE"].map((name, id) => lab.ask(query(name, TYPE.A, { id })));
    await expect.poll(() => held.length).toBe(1);
    held[0]!.send(replyTo(held[0]!.message, ["192.0.2.7"]));
    expect((await Promise.all(replies)).map(({ id, questions }) => [id, questions[0]!.name])).toEqual([
      [0, "a.example"],
      [1, "A.example"],
      [2, "a.EXAMPLE"],
    ]);
    expect(lab.resolver.asked).toHaveLength(1);
  });

  it("does not keep what a question is answered that asks for no recursion", async () => {
    await using lab = await open(({ message, send }) => send(replyTo(message, ["192.0.2.7"])));
    for (let i = 0; i < 2; i += 1) await lab.cache.forward(query("example.com", TYPE.A, { flags: 0 }));
    expect(lab.resolver.asked).toHaveLength(2);
  });

  it("remembers for three seconds that a resolver fails", async () => {
    await using lab = await open(({ message, send }) => send(replyTo(message, [], 0x8182)));
    expect((await lab.ask(query("example.com"))).rcode).toBe("SERVFAIL");
    lab.time.now = 2_999;
    expect((await lab.ask(query("example.com", TYPE.A, { id: 9 }))).id).toBe(9);
    expect(lab.resolver.asked).toHaveLength(1);
    lab.time.now = 3_000;
    await lab.ask(query("example.com"));
    expect(lab.resolver.asked).toHaveLength(2);
  });

  it("stays within its room", async () => {
    await using lab = await open(({ message, send }) => send(replyTo(message, Array(40).fill("192.0.2.7"))), { maxSize: 20_000 });
    for (let i = 0; i < 30; i += 1) await lab.cache.forward(query(`n${i}.example`));
    for (let i = 29; i >= 0; i -= 1) await lab.cache.forward(query(`n${i}.example`));
    const again = lab.resolver.asked.length - 30;
    expect(again).toBeGreaterThan(10);
    expect(again).toBeLessThan(25);
  });
});

describe("an old answer", () => {
  const failing = async (silent = false) => {
    const state = { well: true };
    const lab = await open(
      ({ message, send }) => {
        if (state.well) send(replyTo(message, ["192.0.2.7"]));
        else if (!silent) send(replyTo(message, [], 0x8182));
      },
      { waitMs: 400 },
    );
    await lab.ask(query("example.com"));
    state.well = false;
    lab.time.now = 61_000;
    return { ...lab, state };
  };

  it("that there is no such name says so as an extended error of its own", async () => {
    let isWell = true;
    await using lab = await open(({ message, send }) => {
      const fields = { flags: 0x0183, authorities: [SOA], additionals: [{ type: "OPT", name: ".", udpPayloadSize: 1232 }] };
      send(isWell ? answerOf(message, fields) : replyTo(message, [], 0x8182));
    });
    const asked = query("absent.example.com", TYPE.A, { edns: {} });
    await lab.ask(asked);
    isWell = false;
    lab.time.now = 121_000;
    expect(await lab.ask(asked)).toMatchObject({
      rcode: "NXDOMAIN",
      authorities: [{ ttl: 30 }],
      additionals: [{ options: [{ code: 15, data: Buffer.from([0, 19]) }] }],
    });
  });

  it.each([
    ["fails", false],
    ["is silent", true],
  ])("is given for 30 s when the resolver %s, which is then left alone for 30 s", async (_, isSilent) => {
    await using lab = await failing(isSilent);
    expect((await lab.ask(query("example.com", TYPE.A, { id: 8 }))).answers).toMatchObject([{ ttl: 30, data: "192.0.2.7" }]);
    lab.time.now += 29_999;
    const asked = lab.resolver.asked.length;
    expect(Buffer.isBuffer(lab.cache.forward(query("example.com")))).toBe(true);
    expect(lab.resolver.asked).toHaveLength(asked);
    lab.state.well = true;
    // What was asked of the silent one is under way for a while yet, and shared.
    const ask = async () => {
      lab.time.now += 30_000;
      return (await lab.ask(query("example.com"))).answers[0]!.ttl;
    };
    await expect.poll(ask).toBe(60);
  });

  it("is not waited for longer than patience, and what comes later is kept", async () => {
    let late: Asked | undefined;
    await using lab = await open((asked) => {
      if (late === undefined && lab.time.now > 0) late = asked;
      else asked.send(replyTo(asked.message, ["192.0.2.7"]));
    });
    await lab.ask(query("example.com"));
    lab.time.now = 61_000;
    const started = performance.now();
    expect((await lab.ask(query("example.com"))).answers[0]!.ttl).toBe(30);
    expect(performance.now() - started).toBeLessThan(2_500);
    late!.send(replyTo(late!.message, ["192.0.2.8"]));
    await expect.poll(async () => (await lab.ask(query("example.com"))).answers[0]!.data).toBe("192.0.2.8");
    expect(lab.resolver.asked).toHaveLength(2);
  });

  it("is given for a day and no longer", async () => {
    await using lab = await failing();
    lab.time.now = 60_000 + 24 * 3_600_000 - 1;
    expect((await lab.ask(query("example.com"))).answers).toHaveLength(1);
    lab.time.now += 1;
    expect((await lab.ask(query("example.com"))).rcode).toBe("SERVFAIL");
  });

  it("does not outlive the word that the name is gone", async () => {
    let rcode: number = RCODE.NOERROR;
    await using lab = await open(({ message, send }) =>
      send(rcode === RCODE.NOERROR ? replyTo(message, ["192.0.2.7"]) : answerOf(message, { flags: 0x0180 | rcode })),
    );
    await lab.ask(query("example.com"));
    lab.time.now = 61_000;
    rcode = RCODE.NXDOMAIN; // without a SOA: not kept itself
    expect((await lab.ask(query("example.com"))).rcode).toBe("NXDOMAIN");
    rcode = RCODE.SERVFAIL;
    expect((await lab.ask(query("example.com"))).rcode).toBe("SERVFAIL");
  });

  it("says that it is one where the answer has an OPT (RFC 8914)", async () => {
    let well = true;
    await using lab = await open(({ message, send }) => {
      const reply = Buffer.concat([replyTo(message, well ? ["192.0.2.7"] : [], well ? 0x8180 : 0x8182), opt({})]);
      reply.writeUInt16BE(1, 10);
      send(reply);
    });
    const asked = query("example.com", TYPE.A, { edns: {} });
    const fresh = await lab.cache.forward(asked);
    well = false;
    lab.time.now = 61_000;
    const old = await lab.cache.forward(asked);
    expect(old.subarray(fresh.length)).toEqual(Buffer.from([0, 15, 0, 2, 0, 3]));
    expect(decode(old).additionals).toMatchObject([{ type: "OPT", options: [{ code: 15 }] }]);
  });
});

it("stands behind a whole door, and cuts what is kept for each client anew", async () => {
  await using resolver = await fakeResolver(({ message, via, send }) =>
    send(via === "udp" ? replyTo(message, [], 0x8380) : replyTo(message, Array(60).fill("192.0.2.7"))),
  );
  const relay = createRelay({ resolvers: [plainResolver(resolver.address)], log: silent });
  await using door = await openDoor({ relay: cached(relay) });
  for (const [size, answers] of [
    [1_232, 60],
    [600, 0],
    [1_232, 60],
  ] as const) {
    const reply = decode(await askUdp(door.address, question("example.com", TYPE.A, { edns: { size } })));
    expect(reply).toMatchObject({ flag_tc: answers === 0 });
    expect(reply.answers).toHaveLength(answers);
  }
  expect(resolver.asked).toHaveLength(2);
  relay.close();
});
