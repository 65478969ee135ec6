// Names that are not ours: Layover beside dnsmasq and unbound, all three asking one resolver that knows a zone of everything. Record by
// record they agree, but for what is listed here with its reason; and what Layover gives is, octet by octet, what the resolver sent.
import { mkdtemp } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Authority } from "./authority.ts";
import { DNS as RESOLVER } from "./internet.ts";
import { DNS, Layover } from "./layover.ts";
import { ask, type Manner, question, type Via } from "./names/asking.ts";
import { type Authoritative, reply, serveZone } from "./names/authoritative.ts";
import { startDnsmasq, startUnbound } from "./names/neighbours.ts";
import { type Read, read } from "./names/reading.ts";
import { wireName } from "./names/writing.ts";
import { APEX, LONGEST, TYPES, ZONE } from "./names/zone.ts";

const NEIGHBOURS = { dnsmasq: "127.0.0.14", unbound: "127.0.0.15" } as const;
type Neighbour = keyof typeof NEIGHBOURS;

let layover: Layover;
let zone: Authoritative;
const stops: (() => Promise<void>)[] = [];

beforeAll(async () => {
  const place = process.env["LAB_WORLD"];
  if (!place) throw new Error("these tests need a world of their own; run them with: npm run test:e2e");
  const dir = await mkdtemp(`${place}/`);
  zone = await serveZone(RESOLVER);
  stops.push(() => zone.close());
  for (const start of [
    () => startDnsmasq(dir, NEIGHBOURS.dnsmasq, RESOLVER),
    () => startUnbound(dir, NEIGHBOURS.unbound, RESOLVER),
  ]) {
    const part = await start();
    stops.push(() => part.stop());
  }
  layover = new Layover(`${dir}/layover`, (await Authority.make(dir)).certificate);
  await layover.start();
  stops.push(() => layover.stop());
});
afterAll(async () => {
  for (const stop of stops.toReversed()) await stop();
});

const [AD, CD] = [0x0020, 0x0010];
const TC = 0x02;
const MANNERS: Readonly<Record<string, Manner>> = {
  plain: {},
  "with CD": { flags: CD },
  "with AD": { flags: AD },
  "with EDNS": { edns: {} },
  "with DO": { edns: { do: true } },
  "with DO and CD": { edns: { do: true }, flags: CD },
  // A cookie, padding, and an option that nobody knows.
  "with options": {
    flags: AD | CD, // also because it is another question then, not one that is known already
    edns: { size: 4096, options: Buffer.from("000a0008636f6f6b6965212100" + "0c000400000000" + "fde90002abcd", "hex") },
  },
};

const given = ZONE.map(({ owner, type }): [string, number] => [owner.replace("*", "some"), type]);
const QUESTIONS: readonly (readonly [name: string, type: number])[] = [
  ...new Map(given.map((one) => [one.join(), one] as const)).values(),
  [`alias.${APEX}`, TYPES.A],
  [`chain.${APEX}`, TYPES.A],
  [`chain.${APEX}`, TYPES.AAAA],
  [`to-nothing.${APEX}`, TYPES.A],
  [`to-nobody.${APEX}`, TYPES.A],
  [`leaf.tree.${APEX}`, TYPES.A],
  [`deep.er.wild.${APEX}`, TYPES.A],
  [`some.wild.${APEX}`, TYPES.AAAA],
  [`empty.${APEX}`, TYPES.A],
  [`one.${APEX}`, TYPES.AAAA],
  [`one.${APEX}`, TYPES.HTTPS],
  [`one.${APEX}`, TYPES.DS],
  [`absent.${APEX}`, TYPES.A],
  [`absent.${APEX}`, TYPES.TXT],
  [`nobody-says.${APEX}`, TYPES.A],
  [`nothing-says.${APEX}`, TYPES.A],
  [`fails.${APEX}`, TYPES.A],
  [`refused.${APEX}`, TYPES.A],
  [`OtHeR.WiLd.lAb.ExAmPlE`, TYPES.A],
  [`both.${APEX}`, TYPES.ANY],
  [`absent.${APEX}`, TYPES.ANY],
];

/** The question as a resolver is asked it: nothing of the client's own is left but what the answer depends on. */
const relayed = (name: string, type: number, { edns, flags = 0 }: Manner): Buffer =>
  question(name.toLowerCase(), type, { flags, ...(edns && { edns: { do: edns.do === true } }) });

/** What the resolver must have sent, under this id and to this spelling of the question, if it is for a client that takes as much. */
const sent = (name: string, type: number, manner: Manner): Buffer => {
  const asked = relayed(name, type, manner);
  const first = reply(asked, "udp");
  const octets = Buffer.from((first[2]! & TC) === 0 ? first : reply(asked, "tcp"));
  const message = question(name, type, manner);
  message.copy(octets, 0, 0, 2);
  message.copy(octets, 12, 12, 12 + wireName(name).length);
  return octets;
};

const withoutTtls = (octets: Buffer): string => {
  const copy = Buffer.from(octets);
  for (const at of read(octets).ttlsAt) copy.writeUInt32BE(0, at);
  return copy.toString("hex");
};

const typeName = (type: number): string => Object.entries(TYPES).find(([, code]) => code === type)?.[0] ?? String(type);
const label = (name: string): string => (name === LONGEST ? "the longest name" : name || "the root");

/** All that can differ; TTLs are another matter, for each has asked at another moment. */
const COMPARED = ["rcode", "flags", "question", "answers", "authorities", "additionals", "edns", "options"] as const;
type Part = (typeof COMPARED)[number];

interface Asked {
  readonly name: string;
  readonly type: number;
  readonly manner: string;
  readonly via: Via;
  readonly ours: Read;
  readonly theirs: Read;
}

interface Difference {
  readonly who: Neighbour;
  readonly parts: readonly Part[];
  readonly where: (asked: Asked) => boolean;
  readonly why: string;
}

const DIFFERENCES: readonly Difference[] = [
  {
    who: "dnsmasq",
    parts: ["rcode"],
    where: ({ name, ours, theirs }) => name.startsWith("refused.") && ours.rcode === 2 && theirs.rcode === 5,
    why: "a resolver's REFUSED is said to Layover, not to its client, whom nobody here refuses: SERVFAIL, as unbound has it",
  },
  ...(["dnsmasq", "unbound"] as const).map(
    (who): Difference => ({
      who,
      parts: ["options"],
      where: ({ name, ours, theirs }) => name.startsWith("refused.") && ours.options === "000f00020017" && theirs.options === "",
      why: "Layover says why it has no answer: extended error 23, a resolver that refuses (RFC 8914 4.24)",
    }),
  ),
  {
    who: "unbound",
    parts: ["flags"],
    where: ({ ours, theirs }) => ours.flags === `${theirs.flags} AD`,
    why: "unbound has no validator here and so says AD of nothing (RFC 4035 3.2.3); Layover passes on what its resolver says, for whoever asked for it",
  },
  {
    who: "unbound",
    parts: ["answers"],
    where: ({ type, ours, theirs }) => type === TYPES.ANY && theirs.answers.length > 0 && ours.answers.length > 0,
    why: "ANY is any of the records that there are (RFC 8482 4.1): unbound answers with those in its cache",
  },
];

const differing = ({ ours, theirs }: Asked): Part[] =>
  COMPARED.filter((part) => JSON.stringify(ours[part]) !== JSON.stringify(theirs[part]));

/** REFUSED is the one answer that is not passed on. */
const PASSED = QUESTIONS.filter(([name]) => !name.startsWith("refused."));

describe.each(Object.keys(MANNERS))("a question %s", (manner) => {
  const how = MANNERS[manner]!;
  const room = how.edns ? 1232 : 512;

  test("is answered with the octets that the resolver sent, at first with its TTLs, and cut where they are too many", async () => {
    for (const [name, type] of PASSED) {
      const wanted = sent(name, type, how);
      const got = await ask(DNS, question(name, type, how), "udp");
      if (wanted.length <= room) expect(got.toString("hex"), `${label(name)} ${typeName(type)}`).toBe(wanted.toString("hex"));
      else expect(read(got), label(name)).toMatchObject({ rcode: 0, answers: [], authorities: [], additionals: [] });
      expect((got[2]! & TC) !== 0, label(name)).toBe(wanted.length > room);
      expect(read(got).edns, label(name)).toBe(read(wanted).edns);
    }
  });

  test("is answered with them again from the cache, and over TCP whole, with TTLs that have gone down at most", async () => {
    for (const [name, type] of PASSED) {
      const wanted = sent(name, type, how);
      const got = await ask(DNS, question(name, type, how), "tcp");
      expect(withoutTtls(got), `${label(name)} ${typeName(type)}`).toBe(withoutTtls(wanted));
      const [before, now] = [read(wanted).ttls, read(got).ttls];
      expect(now.filter((ttl, n) => ttl > before[n]! || ttl < before[n]! - 60)).toEqual([]);
    }
  });
});

describe.each(Object.keys(NEIGHBOURS) as Neighbour[])("beside %s", (who) => {
  const seen = new Set<Difference>();

  test.each(Object.keys(MANNERS))("every question %s, over UDP and TCP, has the same answer", async (manner) => {
    const unexplained: string[] = [];
    for (const [name, type] of QUESTIONS) {
      for (const via of ["udp", "tcp"] as const) {
        const message = question(name, type, MANNERS[manner]);
        const [ours, theirs] = await Promise.all([ask(DNS, message, via), ask(NEIGHBOURS[who], message, via)]);
        const asked: Asked = { name, type, manner, via, ours: read(ours), theirs: read(theirs) };
        const left = new Set(differing(asked));
        for (const difference of DIFFERENCES) {
          if (difference.who !== who || !difference.parts.some((part) => left.has(part)) || !difference.where(asked)) continue;
          seen.add(difference);
          for (const part of difference.parts) left.delete(part);
        }
        for (const part of left) {
          const values = `ours ${JSON.stringify(asked.ours[part])}, theirs ${JSON.stringify(asked.theirs[part])}`;
          unexplained.push(`${label(name)} ${typeName(type)} over ${via}: ${part}: ${values}`);
        }
      }
    }
    expect(unexplained).toEqual([]);
  });

  test("each difference that is listed is one", () => {
    expect(DIFFERENCES.filter((one) => one.who === who && !seen.has(one)).map(({ why }) => why)).toEqual([]);
  });
});
