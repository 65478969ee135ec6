import { decode } from "dns-packet";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_QUERY, prescreen } from "../../src/dns/prescreen.ts";
import { RCODE, TYPE } from "../../src/dns/wire.ts";
import { byOracle, header, opt, query, question, wireName, word } from "./message.ts";

const tail = (type: number = TYPE.A) => Buffer.concat([word(type), word(1)]);
const flagged = (flags: number) => question("ghcr.io", TYPE.A, { flags });
const counted = (...counts: [number, number, number, number]) => {
  const message = question("ghcr.io");
  for (const [i, count] of counts.entries()) message.writeUInt16BE(count, 4 + 2 * i);
  return message;
};
const raw = (...parts: Buffer[]) => Buffer.concat([header(1, 0x0100, [1, 0, 0, 0]), ...parts]);
const withExtra = (count: number, ...records: Buffer[]) => Buffer.concat([counted(1, 0, 0, count), ...records]);
const label = (length: number) => Buffer.concat([Buffer.from([length]), Buffer.alloc(length, "a")]);

const { FORMERR, NOTIMP, REFUSED, BADVERS } = RCODE;

describe("prescreen", () => {
  it.each<[string, Buffer]>([
    ["nothing", Buffer.alloc(0)],
    ["less than a header", question("ghcr.io").subarray(0, 11)],
    ["a reply", flagged(0x8100)],
    ["a reply with an odd opcode", flagged(0xa800)],
  ])("drops %s", (_, message) => {
    expect(prescreen(message)).toEqual({ verdict: "drop" });
  });

  it.each<[string, number, Buffer]>([
    ["a bare header", FORMERR, header(1, 0x0100, [1, 0, 0, 0])],
    ["no question", FORMERR, counted(0, 0, 0, 0)],
    ["two questions", FORMERR, counted(2, 0, 0, 0)],
    ["65535 questions", FORMERR, counted(65_535, 0, 0, 0)],
    ["an answer in a query", FORMERR, counted(1, 1, 0, 0)],
    ["an authority in a query", FORMERR, counted(1, 0, 1, 0)],
    ["an additional record that is not there", FORMERR, counted(1, 0, 0, 1)],
    ["octets left over", FORMERR, Buffer.concat([question("ghcr.io"), Buffer.from([0])])],
    ["a name that points to itself", FORMERR, raw(Buffer.from([0xc0, 0x0c]), tail())],
    ["a name that ends in a pointer", FORMERR, raw(label(3), Buffer.from([0xc0, 0x0c]), tail())],
    ["a reserved label form", FORMERR, raw(Buffer.from([0x41]), Buffer.alloc(65), Buffer.from([0]), tail())],
    ["a torn label", FORMERR, raw(Buffer.from([63, 97]))],
    ["a torn type", FORMERR, question("ghcr.io").subarray(0, -3)],
    ["a name of 256 octets", FORMERR, raw(label(63), label(63), label(63), label(62), Buffer.from([0]), tail())],
    ["too many octets", FORMERR, Buffer.concat([question("ghcr.io", TYPE.A, { edns: { options: Buffer.alloc(MAX_QUERY) } })])],
    ["two OPT records", FORMERR, withExtra(2, opt({}), opt({}))],
    ["an OPT that is not the root's", FORMERR, withExtra(1, wireName("a"), opt({}).subarray(1))],
    ["an OPT torn in its data", FORMERR, withExtra(1, opt({ options: Buffer.alloc(8) }).subarray(0, -1))],
    ["the type OPT", FORMERR, question("ghcr.io", TYPE.OPT)],
    ["IQUERY", NOTIMP, flagged(0x0900)],
    ["NOTIFY", NOTIMP, flagged(0x2000)],
    ["UPDATE", NOTIMP, flagged(0x2800)],
    ["class CH", REFUSED, question("version.bind", TYPE.TXT, { class: 3 })],
    ["class ANY", REFUSED, question("ghcr.io", TYPE.A, { class: 255 })],
    ["AXFR", REFUSED, question("ghcr.io", TYPE.AXFR)],
    ["IXFR", REFUSED, question("ghcr.io", TYPE.IXFR)],
    ["TKEY", REFUSED, question("ghcr.io", TYPE.TKEY)],
    ["EDNS version 1", BADVERS, question("ghcr.io", TYPE.A, { edns: { version: 1 } })],
  ])("refuses %s", (_, rcode, message) => {
    expect(prescreen(message)).toMatchObject({ verdict: "error", rcode });
  });

  it("reads what is asked, in lower case, and keeps the question as it came", () => {
    const message = question("GhCr.IO", TYPE.HTTPS, { id: 0xbeef, flags: 0x0110, edns: { size: 4096, do: true } });
    expect(prescreen(message)).toEqual({
      verdict: "query",
      query: {
        message,
        id: 0xbeef,
        opcode: 0,
        rd: true,
        cd: true,
        qname: "ghcr.io",
        qtype: 65,
        qclass: 1,
        questionEnd: 25,
        question: message.subarray(12, 25),
        edns: { size: 4096, do: true, version: 0 },
      },
    });
  });

  it.each<[string, Buffer, string]>([
    ["the root", Buffer.from([0]), ""],
    [
      "a name of 255 octets",
      Buffer.concat([label(63), label(63), label(63), label(61), Buffer.from([0])]),
      `${"a".repeat(63)}.`.repeat(3) + "a".repeat(61),
    ],
    ["a dot within a label", Buffer.concat([Buffer.from([7]), Buffer.from("ghcr.io"), Buffer.from([0])]), "ghcr\\.io"],
    ["a backslash", Buffer.from([2, 0x5c, 0x41, 0]), "\\\\a"],
    ["control characters, blanks and high octets", Buffer.from([5, 0, 0x20, 0x7f, 0xff, 0xc0, 0]), "\\000\\032\\127\\255\\192"],
    ["an underscore", wireName("_443._https.GHCR.io"), "_443._https.ghcr.io"],
  ])("reads %s", (_, name, expected) => {
    expect(prescreen(raw(name, tail()))).toMatchObject({ verdict: "query", query: { qname: expected } });
  });

  it("lets a signature behind the OPT pass", () => {
    const tsig = Buffer.concat([wireName("key"), word(TYPE.TSIG), word(255), Buffer.alloc(4), word(3), Buffer.alloc(3)]);
    expect(prescreen(withExtra(2, opt({}), tsig))).toMatchObject({ verdict: "query", query: { edns: { size: 1232 } } });
  });

  it("agrees with dns-packet about questions that it encodes", () => {
    const part = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/);
    const given = fc.record({
      labels: fc.array(part, { minLength: 1, maxLength: 6 }),
      id: fc.nat(65_535),
      type: fc.constantFrom("A", "AAAA", "TXT", "MX", "NS", "SRV", "CAA", "DS", "SOA"),
      size: fc.option(fc.integer({ min: 1, max: 65_535 })), // dns-packet makes 4096 of 0
    });
    fc.assert(
      fc.property(given, ({ labels, id, type, size }) => {
        const name = labels.join(".");
        const additionals = size === null ? [] : [{ type: "OPT", name: ".", udpPayloadSize: size, flags: 0x8000 }];
        const screened = prescreen(byOracle({ id, questions: [{ name, type }], additionals }));
        const edns = size === null ? undefined : { size, do: true, version: 0 };
        expect(screened).toMatchObject({ verdict: "query", query: { id, qname: name.toLowerCase(), edns } });
        expect(screened.verdict === "query" && TYPE[type as keyof typeof TYPE]).toBe(
          screened.verdict === "query" && screened.query.qtype,
        );
      }),
    );
  });

  it("passes nothing that dns-packet cannot read, whatever octets come", () => {
    const base = question("registry.gitlab.com", TYPE.A, { edns: { options: Buffer.alloc(12) } });
    const change = fc.array(fc.tuple(fc.nat(base.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
    const mutated = change.map((changes) => {
      const message = Buffer.from(base);
      for (const [at, value] of changes) message[at] = value;
      return message;
    });
    const noise = fc.uint8Array({ maxLength: 80 }).map((octets) => Buffer.from(octets));
    fc.assert(
      fc.property(fc.oneof(mutated, noise), (message) => {
        const screened = prescreen(message);
        if (screened.verdict !== "query") return;
        // The options are the resolver's to judge: without them the oracle must read the rest.
        const { questionEnd, message: whole } = screened.query;
        const bare = Buffer.from(whole.subarray(0, questionEnd));
        bare.writeUInt16BE(0, 10);
        expect(decode(bare).questions).toHaveLength(1);
      }),
      { numRuns: 20_000 },
    );
  });

  it("takes no longer for a chain of pointers than for any other message (quadratic in dns2's parser)", () => {
    const chain = (octets: number): Buffer => {
      const pointers = Array.from({ length: Math.floor((octets - 17) / 6) }, (_, i) => [word(0xc00c + 6 * i), tail()]).flat();
      const message = Buffer.concat([raw(Buffer.from([0]), tail()), ...pointers]);
      message.writeUInt16BE(pointers.length / 2 + 1, 4);
      return message;
    };
    const records = Array.from({ length: 95 }, () => Buffer.concat([word(0xc00c), word(1), word(1), Buffer.alloc(4), word(0)]));
    const normal = elapsed(question("registry.gitlab.com", TYPE.A, { edns: {} }));
    for (const hostile of [chain(1_232), chain(48_000), withExtra(95, ...records)])
      expect(elapsed(hostile)).toBeLessThan(normal * 50 + 20);
  });
});

/** Milliseconds for a thousand. */
const elapsed = (message: Buffer): number => {
  const start = performance.now();
  for (let i = 0; i < 1_000; i += 1) prescreen(message);
  return performance.now() - start;
};

it("the tests' own question is one", () => {
  expect(query("ghcr.io").qname).toBe("ghcr.io");
});
