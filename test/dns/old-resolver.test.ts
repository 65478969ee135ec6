import { decode } from "dns-packet";
import { describe, expect, it } from "vitest";
import { withoutEdnsIfNeedBe } from "../../src/dns/old-resolver.ts";
import type { Query } from "../../src/dns/prescreen.ts";
import { createRelay } from "../../src/dns/relay.ts";
import { plainResolver } from "../../src/dns/resolver.ts";
import { RCODE, TYPE } from "../../src/dns/wire.ts";
import { silent } from "../../src/lib/log.ts";
import { opt, query, questionEnd, replyTo } from "./message.ts";
import { type Asked, fakeResolver } from "./resolver.ts";

const hasOpt = (message: Buffer): boolean => message.readUInt16BE(10) === 1;
const without = (message: Buffer): Buffer => {
  const bare = Buffer.from(message.subarray(0, questionEnd(message)));
  bare.writeUInt16BE(0, 10);
  return bare;
};
const header = (message: Buffer, rcode: number): Buffer => {
  const reply = Buffer.alloc(12);
  message.copy(reply, 0, 0, 2);
  reply.writeUInt16BE(0x8180 | rcode, 2);
  return reply;
};
const badVersion = (message: Buffer): Buffer => {
  const extended = opt({});
  extended[5] = 1;
  const reply = Buffer.concat([replyTo(without(message), []), extended]);
  reply.writeUInt16BE(1, 10);
  return reply;
};

const open = async (refuse: (asked: Asked) => void) => {
  const resolver = await fakeResolver((asked) => {
    if (hasOpt(asked.message)) refuse(asked);
    else asked.send(replyTo(asked.message, ["192.0.2.7"]));
  });
  const relay = createRelay({
    resolvers: [withoutEdnsIfNeedBe(plainResolver(resolver.address))],
    log: silent,
    attemptMs: 300,
    totalMs: 600,
  });
  const dispose = async () => {
    relay.close();
    await resolver[Symbol.asyncDispose]();
  };
  return { resolver, ask: (asked: Query) => relay.forward(asked), [Symbol.asyncDispose]: dispose };
};

const asked = () => query("eXample.com", TYPE.A, { id: 0x0102, edns: { do: true } });

describe("a resolver that chokes on EDNS", () => {
  it.each<[string, (asked: Asked) => void]>([
    ["FORMERR", ({ message, send }) => send(replyTo(without(message), [], 0x8180 | RCODE.FORMERR))],
    ["NOTIMP", ({ message, send }) => send(replyTo(without(message), [], 0x8180 | RCODE.NOTIMP))],
    ["FORMERR and a bare header", ({ message, send }) => send(header(message, RCODE.FORMERR))],
    ["BADVERS", ({ message, send }) => send(badVersion(message))],
  ])("and says %s is asked once more without it, and its client has an OPT nevertheless", async (_, refuse) => {
    await using lab = await open(refuse);
    const reply = await lab.ask(asked());
    expect(decode(reply)).toMatchObject({
      id: 0x0102,
      rcode: "NOERROR",
      questions: [{ name: "eXample.com" }],
      answers: [{ data: "192.0.2.7" }],
      additionals: [{ type: "OPT", flag_do: false }],
    });
    const [first, second, ...more] = lab.resolver.asked.map(({ message }) => message);
    expect(hasOpt(first!)).toBe(true);
    expect(second!.subarray(2)).toEqual(without(first!).subarray(2));
    expect(more).toEqual([]);
  });

  it("has its refusal given on where it refuses without EDNS too", async () => {
    const refuse = ({ message, send }: Asked) => send(replyTo(without(message), [], 0x8180 | RCODE.FORMERR));
    await using resolver = await fakeResolver(refuse);
    const relay = createRelay({ resolvers: [withoutEdnsIfNeedBe(plainResolver(resolver.address))], log: silent });
    expect(decode(await relay.forward(asked())).rcode).toBe("FORMERR");
    expect(resolver.asked).toHaveLength(2);
    relay.close();
  });

  it("and falls silent without it has its refusal given on", async () => {
    await using resolver = await fakeResolver(({ message, send }) => {
      if (hasOpt(message)) send(replyTo(without(message), [], 0x8180 | RCODE.NOTIMP));
    });
    const resolvers = [withoutEdnsIfNeedBe(plainResolver(resolver.address))];
    const relay = createRelay({ resolvers, log: silent, attemptMs: 100, totalMs: 200 });
    expect(decode(await relay.forward(asked())).rcode).toBe("NOTIMP");
    relay.close();
  });

  it.each([RCODE.SERVFAIL, RCODE.NXDOMAIN, RCODE.REFUSED])("is none for rcode %i", async (rcode) => {
    await using lab = await open(({ message, send }) => send(replyTo(without(message), [], 0x8180 | rcode)));
    await lab.ask(asked());
    expect(lab.resolver.asked.every(({ message }) => hasOpt(message))).toBe(true);
  });

  it("is asked once what has no EDNS", async () => {
    await using lab = await open(() => undefined);
    await lab.ask(query("example.com"));
    expect(lab.resolver.asked).toHaveLength(1);
  });
});
