// Packets that nobody should send, out of one seed: the same run again is the same packets.
import { question } from "./asking.ts";
import { u16, wireName } from "./writing.ts";

export type Random = (below: number) => number;

/** mulberry32: small, quick, and the same everywhere. */
export const randomFrom = (seed: number): Random => {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
};

const seeds = (ours: string, others: string): readonly Buffer[] => [
  question(ours, 1),
  question(ours, 28, { edns: { size: 4096, do: true } }),
  question(`_443._https.${ours}`, 65, { edns: { options: Buffer.from("0008000400011800", "hex") } }),
  question(others, 1),
  question(others, 16, { edns: { do: true, options: Buffer.from("000a00080102030405060708", "hex") } }),
  question(`a.b.c.d.e.f.g.${others}`, 257, { edns: { size: 0 } }),
  question("use-application-dns.net", 1),
  question("4.0.0.127.in-addr.arpa", 12),
];

/** A stream of them: noise, valid ones with octets changed, cut or added, and ones built to be wrong in one place. */
export const hostile = (random: Random, ours: string, others: string): (() => Buffer) => {
  const valid = seeds(ours, others);
  const one = <T>(of: readonly T[]): T => of[random(of.length)]!;
  const octets = (length: number): Buffer => {
    const all = Buffer.allocUnsafe(length);
    for (let at = 0; at < length; at += 1) all[at] = random(256);
    return all;
  };

  const noise = (): Buffer => octets(random(random(50) === 0 ? 4_000 : 120));

  const mutated = (): Buffer => {
    const message = Buffer.from(one(valid));
    for (let left = random(6); left > 0; left -= 1) message[2 + random(message.length - 2)] = random(256);
    const change = random(12);
    if (change === 0) return message.subarray(0, random(message.length));
    return change === 1 ? Buffer.concat([message, octets(random(40))]) : message;
  };

  /** Names: pointers to themselves, forwards, in circles, in chains; labels of every length octet; too long ones. */
  const named = (): Buffer => {
    const header = u16(random(0x1_0000), 0x0100, 1 + random(3), 0, 0, random(3));
    const chain = () => Buffer.concat(Array.from({ length: 1 + random(200) }, (_, n) => u16(0xc000 | (12 + 2 * n))));
    const name = one([
      () => u16(0xc000 | random(0x4000)),
      () => Buffer.concat([Buffer.from([random(256)]), octets(random(80))]),
      () => Buffer.concat([Buffer.from([1, 97]), u16(0xc00c)]),
      () => u16(0xc00e, 0xc00c),
      chain,
      () => Buffer.concat([...Array.from({ length: random(140) }, () => Buffer.from([1, random(256)])), Buffer.from([0])]),
      () => Buffer.concat([Buffer.from([63]), octets(63), Buffer.from([64]), octets(64), Buffer.from([0])]),
    ])();
    return Buffer.concat([header, name, u16(random(300), 1), random(2) === 0 ? u16(0xc00c, 1, 1) : Buffer.alloc(0)]);
  };

  /** Counts that lie, answers and authority in a question, every opcode and class. */
  const counted = (): Buffer => {
    const message = Buffer.from(one(valid));
    message.writeUInt16BE(one([0, 1, 2, 255, 65_535]), 4 + 2 * random(4));
    if (random(2) === 0) message[2] = random(128);
    if (random(4) === 0) message.writeUInt16BE(random(0x1_0000), message.length - 2);
    return message;
  };

  /** OPT: lengths, options, version, owner, number of them. */
  const extended = (): Buffer => {
    const owner = random(6) === 0 ? wireName("opt.example") : Buffer.from([0]);
    const data = octets(random(60));
    const opt = () =>
      Buffer.concat([
        owner,
        u16(41, one([0, 64, 512, 1232, 65_535, random(0x1_0000)])),
        Buffer.from([random(3) && 1, random(4) === 0 ? random(256) : 0, one([0, 0x80]), random(2)]),
        u16(random(3) === 0 ? random(0x1_0000) : data.length),
        data,
      ]);
    const plain = question(random(3) === 0 ? ours : others, 1 + random(70));
    const count = random(4) === 0 ? 2 : 1;
    plain.writeUInt16BE(random(5) === 0 ? random(4) : count, 10);
    return Buffer.concat([plain, ...Array.from({ length: count }, opt)]);
  };

  const kinds = [noise, mutated, mutated, named, counted, extended];
  return () => one(kinds)();
};

const opt = (parts: { owner?: Buffer; size?: number; version?: number; length?: number; data?: string } = {}): Buffer => {
  const data = Buffer.from(parts.data ?? "", "hex");
  const { owner = Buffer.from([0]), size = 1232, version = 0, length = data.length } = parts;
  return Buffer.concat([owner, u16(41, size), Buffer.from([0, version, 0, 0]), u16(length), data]);
};

type Outcome = "answered" | "FORMERR" | "BADVERS";

/** Shapes that have troubled forwarders, and what is due: options are not looked into, for none is passed on. */
export const shapes = (name: string): readonly (readonly [string, Buffer, Outcome])[] => {
  const asked = (additional: readonly Buffer[], count = additional.length): Buffer => {
    const message = question(name, 1);
    message.writeUInt16BE(count, 10);
    return Buffer.concat([message, ...additional]);
  };
  const withQuestion = (octets: readonly Buffer[], counts: readonly number[] = [1, 0, 0, 0]): Buffer =>
    Buffer.concat([u16(0x4c41, 0x0100, ...counts), ...octets]);
  const ecs = (hex: string) => asked([opt({ data: `0008${u16(hex.length / 2).toString("hex")}${hex}` })]);
  const end = u16(1, 1);
  return [
    ["an OPT without options", asked([opt()]), "answered"],
    ["an ECS whose prefix is longer than its address", ecs("0001ff0001020304"), "answered"],
    ["an ECS of an unknown family", ecs("00631800010203"), "answered"],
    ["an ECS with a scope", ecs("00011818010203"), "answered"],
    ["an ECS of no prefix", ecs("00010000"), "answered"],
    ["an ECS that is cut off", ecs("0001"), "answered"],
    ["an option of length 0 with data behind it", asked([opt({ data: "00080000ffffffff" })]), "answered"],
    ["an option that claims 100 octets of 10", asked([opt({ data: `000a0064${"ab".repeat(10)}` })]), "answered"],
    ["options twice, and in falling order", asked([opt({ data: "000b0000000a00000008000000080000" })]), "answered"],
    ["DAU, DHU and N3U of odd lengths", asked([opt({ data: "00050003010203000600010100070000" })]), "answered"],
    ["padding that is not of zeros, at the beginning", asked([opt({ data: "000c0004deadbeef000a0000" })]), "answered"],
    ["a cookie too long", asked([opt({ data: `000a0064${"cc".repeat(100)}` })]), "answered"],
    [
      "a keep-alive over UDP, an EDE and an expire in a question",
      asked([opt({ data: "000b0002000100 0f000200030009 0000".replaceAll(" ", "") })]),
      "answered",
    ],
    ["a size of 0", asked([opt({ size: 0 })]), "answered"],
    ["EDNS version 19", asked([opt({ version: 19 })]), "BADVERS"],
    [
      "EDNS version 255 with options",
      asked([opt({ version: 255, data: "0008000400011800000a0008aaaaaaaaaaaaaaaa" })]),
      "BADVERS",
    ],
    ["an OPT whose length is 65535", asked([opt({ length: 65_535 })]), "FORMERR"],
    ["an OPT that claims 1000 octets", asked([opt({ size: 64, length: 1_000, data: "aabb" })]), "FORMERR"],
    ["an OPT that claims 10 octets of 6", asked([opt({ length: 10, data: "000a00020102" })]), "FORMERR"],
    ["an OPT that claims fewer octets than there are", asked([opt({ length: 2, data: "000a00020102" })]), "FORMERR"],
    ["an OPT with a name", asked([opt({ owner: wireName("label.example") })]), "FORMERR"],
    ["an OPT whose name is a pointer", asked([opt({ owner: u16(0xc00c) })]), "FORMERR"],
    [
      "an OPT whose name has a label of 200",
      asked([opt({ owner: Buffer.concat([Buffer.from([200]), Buffer.alloc(9), u16(0)]) })]),
      "FORMERR",
    ],
    ["two OPTs", asked([opt(), opt()]), "FORMERR"],
    ["an OPT that is promised and missing", asked([], 1), "FORMERR"],
    ["an OPT that is not promised", asked([opt()], 0), "FORMERR"],
    ["65535 OPTs promised", asked([opt()], 65_535), "FORMERR"],
    ["half an OPT", asked([opt().subarray(0, 6)], 1), "FORMERR"],
    ["a record cut off within its data", asked([Buffer.concat([u16(0xc00c, 1, 1, 0, 60, 4), Buffer.from([1])])], 1), "FORMERR"],
    ["a question that points to itself", withQuestion([u16(0xc00c), end]), "FORMERR"],
    ["a question that points behind the message", withQuestion([u16(0xffff), end]), "FORMERR"],
    ["a question that points to 16382", withQuestion([u16(0xfffe), end]), "FORMERR"],
    ["a question of two pointers in a circle", withQuestion([u16(0xc00e, 0xc00c), end]), "FORMERR"],
    [
      "a chain of 200 pointers",
      withQuestion([...Array.from({ length: 200 }, (_, n) => u16(0xc00e + 2 * n)), Buffer.from([0]), end]),
      "FORMERR",
    ],
    [
      "a name of 256 octets",
      withQuestion([...Array.from({ length: 127 }, () => Buffer.from([1, 97])), Buffer.from([1, 98, 0]), end]),
      "FORMERR",
    ],
    ["a label of 64 octets", withQuestion([Buffer.from([64]), Buffer.alloc(64, 97), Buffer.from([0]), end]), "FORMERR"],
    ["a name without an end", withQuestion([Buffer.from([3, 97, 98, 99])]), "FORMERR"],
    ["no question", withQuestion([], [0, 0, 0, 0]), "FORMERR"],
    ["two questions", withQuestion([wireName(name), end, wireName(name), end], [2, 0, 0, 0]), "FORMERR"],
    [
      "an answer in the question",
      withQuestion([wireName(name), end, u16(0xc00c, 1, 1, 0, 60, 4, 0x0a00, 1)], [1, 1, 0, 0]),
      "FORMERR",
    ],
    [
      "authority that points into the additional section",
      withQuestion([wireName(name), end, u16(0xc030, 2, 1, 0, 60, 2, 0xc040)], [1, 0, 1, 0]),
      "FORMERR",
    ],
    ["octets behind the end", Buffer.concat([question(name, 1), Buffer.from([0])]), "FORMERR"],
  ];
};
