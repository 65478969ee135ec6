import { decode } from "dns-packet";
import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { openResolvers } from "../../src/dns/resolvers.ts";
import { silent } from "../../src/lib/log.ts";
import { rootPem } from "../upstream/secure.ts";
import { type AskedSecurely, httpsFake, tlsFake } from "./encrypted-resolver.ts";
import { query, question, replyTo } from "./message.ts";
import { fakeResolver } from "./resolver.ts";

const good = ({ message, send }: AskedSecurely) => send(replyTo(message, ["192.0.2.7"]));

/** Says where dns.example is; all else it knows by another address. */
const bootstrap = () =>
  fakeResolver(({ message, send }) => {
    const [asked] = decode(message).questions;
    if (asked!.name !== "dns.example") send(replyTo(message, ["203.0.113.1"]));
    else send(replyTo(message, asked!.type === "A" ? ["127.0.0.1"] : []));
  });

const kinds = [
  ["TLS", tlsFake, (host: string, port: number) => `tls://${host}:${port}`],
  [
    "HTTPS",
    (behave: (asked: AskedSecurely) => void, names?: readonly string[]) => httpsFake(behave, names && { names }),
    (host: string, port: number) => `https://${host}:${port}`,
  ],
] as const;

describe.each(kinds)("a resolver over %s", (_, fake, url) => {
  const open = async (
    behave: (asked: AskedSecurely) => void,
    { names = ["dns.example"], isTrusted = true, host = "dns.example" } = {},
  ) => {
    const resolver = await fake(behave, names);
    const plain = await bootstrap();
    const lines: string[] = [];
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    const groups = { resolvers: [url(host, resolver.port), plain.text], splits: [], trust: isTrusted ? rootPem : undefined };
    const resolvers = await openResolvers(groups, log);
    const dispose = async () => {
      resolvers.close();
      await resolver[Symbol.asyncDispose]();
      await plain[Symbol.asyncDispose]();
    };
    const ask = async (name: string, id = 7) => decode(await resolvers.forward(query(name, 1, { id })));
    const address = async (name: string) => (await ask(name)).answers[0]?.data;
    return { resolver, plain, lines, resolvers, ask, address, [Symbol.asyncDispose]: dispose };
  };

  it("is found by a plain one, checked, and asked many things on one connection", async () => {
    await using lab = await open(good);
    const replies = await Promise.all(Array.from({ length: 100 }, (_, i) => lab.ask(`n${i}.example`, i)));
    expect(replies.map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(replies.map(({ questions }) => questions[0]!.name)).toEqual(Array.from({ length: 100 }, (_, i) => `n${i}.example`));
    expect(new Set(replies.map(({ answers }) => answers[0]!.data))).toEqual(new Set(["192.0.2.7"]));
    expect(lab.resolver.connections()).toBe(1);
    expect(lab.plain.asked.every(({ message }) => decode(message).questions[0]!.name === "dns.example")).toBe(true);
  });

  it("answers in whatever order it likes", async () => {
    const held: AskedSecurely[] = [];
    await using lab = await open((asked) => void held.push(asked));
    const replies = Promise.all(["a.example", "b.example", "c.example"].map((name) => lab.ask(name)));
    await expect.poll(() => held.length).toBe(3);
    for (const { message, send } of held.reverse()) {
      const last = decode(message).questions[0]!.name.codePointAt(0)!;
      send(replyTo(message, [`192.0.2.${last}`]));
    }
    expect((await replies).map(({ answers }) => answers[0]!.data)).toEqual(["192.0.2.97", "192.0.2.98", "192.0.2.99"]);
  });

  it("may be an address that its certificate has", async () => {
    await using lab = await open(good, { host: "127.0.0.1", names: ["127.0.0.1"] });
    expect(await lab.address("a.example")).toBe("192.0.2.7");
  });

  it.each([
    ["has another name", { names: ["other.example"] }],
    ["is of an issuer that nobody trusts", { isTrusted: false }],
    ["has no address, by which it is asked", { host: "127.0.0.1" }],
  ])("is told nothing when its certificate %s", async (_, options) => {
    await using lab = await open(good, options);
    expect(await lab.address("a.example")).toBe("203.0.113.1");
    expect(lab.resolver.asked).toEqual([]);
    expect(lab.lines.join()).toMatch(/"reason":"[^"]*(certificate|altnames)/);
  });

  it("is asked again when it has closed the connection, without anybody noticing", async () => {
    await using lab = await open(good);
    for (let round = 1; round <= 3; round += 1) {
      expect(await lab.address(`r${round}.example`)).toBe("192.0.2.7");
      expect(lab.resolver.connections()).toBe(round);
      lab.resolver.hangUp();
    }
    expect(lab.lines).toEqual([]);
  });

  it("that tears the connection under a question is asked once more, then the next", async () => {
    let isTearing = false;
    await using lab = await open((asked) => (isTearing ? asked.tear() : good(asked)));
    expect(await lab.address("a.example")).toBe("192.0.2.7");
    isTearing = true;
    expect(await lab.address("b.example")).toBe("203.0.113.1");
    expect(lab.resolver.asked.map(({ message }) => decode(message).questions[0]!.name)).toEqual([
      "a.example",
      "b.example",
      "b.example",
    ]);
  });

  it("that falls silent costs one wait, and a new connection when it is well again", async () => {
    let isSilent = false;
    await using lab = await open((asked) => void (isSilent || good(asked)));
    await lab.address("a.example");
    isSilent = true;
    expect(await lab.address("b.example")).toBe("203.0.113.1");
    const started = performance.now();
    expect(await lab.address("c.example")).toBe("203.0.113.1");
    expect(performance.now() - started).toBeLessThan(1_000);
    isSilent = false;
    await expect.poll(() => lab.address("d.example"), { timeout: 15_000, interval: 250 }).toBe("192.0.2.7");
    expect(lab.resolver.connections()).toBeGreaterThan(1);
  }, 25_000);

  it.each<[string, (message: Buffer) => Buffer]>([
    ["answers another question", (message) => replyTo(question("evil.example", 1, { id: message.readUInt16BE(0) }), ["6.6.6.6"])],
    ["gives a query back", (message) => message],
    [
      "gives a header alone that refuses",
      (message) => Buffer.concat([message.subarray(0, 2), Buffer.from([0x81, 0x85, 0, 0, 0, 0, 0, 0, 0, 0])]),
    ],
  ])("is not believed when it %s", async (_, lie) => {
    await using lab = await open(({ message, send }) => send(lie(message)));
    expect(await lab.address("a.example")).toBe("203.0.113.1");
  });

  it("gives answers larger than a packet whole", async () => {
    await using lab = await open(({ message, send }) => send(replyTo(message, Array(3_000).fill("192.0.2.7"))));
    expect((await lab.ask("a.example")).answers).toHaveLength(3_000);
  });
});

it("a resolver over TLS that sends what is no message is left", async () => {
  await using resolver = await tlsFake(({ send }) => send(Buffer.alloc(3)), ["127.0.0.1"]);
  const resolvers = await openResolvers({ resolvers: [`tls://127.0.0.1:${resolver.port}`], splits: [], trust: rootPem }, silent);
  expect(decode(await resolvers.forward(query("a.example"))).rcode).toBe("SERVFAIL");
  resolvers.close();
});

it.each<[string, Parameters<typeof httpsFake>[1]]>([
  ["fails", { answer: (stream) => stream.respond({ ":status": 502 }, { endStream: true }) }],
  [
    "shows a page",
    {
      answer: (stream, reply) => {
        stream.respond({ ":status": 200, "content-type": "text/html" });
        stream.end(reply);
      },
    },
  ],
  [
    "does not end",
    {
      answer: (stream) => {
        stream.respond({ ":status": 200, "content-type": "application/dns-message" });
        stream.end(Buffer.alloc(200_000, 1));
      },
    },
  ],
])("a resolver over HTTPS that %s has not answered", async (_, options) => {
  await using resolver = await httpsFake(good, { names: ["127.0.0.1"], ...options });
  await using plain = await bootstrap();
  const groups = { resolvers: [`https://127.0.0.1:${resolver.port}`, plain.text], splits: [], trust: rootPem };
  const resolvers = await openResolvers(groups, silent);
  expect(decode(await resolvers.forward(query("a.example"))).answers).toMatchObject([{ data: "203.0.113.1" }]);
  expect(resolver.asked.length).toBeGreaterThan(0);
  resolvers.close();
});
