// What the resolver of these tests knows: one zone of everything that a name can be, with signatures of the right shape for who asks for
// them. Nothing of it is a registry's.
import { type Entry, labelsOf, type Part, u16, u32, wireName } from "./writing.ts";

export const TYPES = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  LOC: 29,
  SRV: 33,
  NAPTR: 35,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  SSHFP: 44,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  TLSA: 52,
  SVCB: 64,
  HTTPS: 65,
  ANY: 255,
  URI: 256,
  CAA: 257,
  UNKNOWN: 65_400,
} as const;

export const APEX = "lab.example";
export const TTL = 300;
const LONG_LABEL = "l".repeat(63);
/** 255 octets on the wire. */
export const LONGEST = `${LONG_LABEL}.${LONG_LABEL}.${LONG_LABEL}.${"m".repeat(49)}.${APEX}`;

const text = (...strings: readonly string[]): Buffer =>
  Buffer.concat(strings.flatMap((one) => [Buffer.from([Buffer.byteLength(one, "latin1")]), Buffer.from(one, "latin1")]));
const a = (last: number): Part[] => [Buffer.from([192, 0, 2, last])];
const aaaa = (last: number): Part[] => [Buffer.from(`20010db8${"0".repeat(22)}${u16(last).toString("hex").slice(2)}`, "hex")];
const to = (name: string): Part[] => [{ name, squeezed: true }];
const under = (label: string): string => (label === "@" ? APEX : `${label}.${APEX}`);
/** Key and length of an SVCB parameter before its value (RFC 9460 2.2). */
const param = (key: number, value: Buffer): Buffer => Buffer.concat([u16(key, value.length), value]);
const service = (target: string): Part[] => [
  u16(1),
  { name: target },
  param(1, text("h3", "h2")),
  param(3, u16(8443)),
  param(4, Buffer.from([192, 0, 2, 9])),
];

const soaData = (): Part[] => [...to(under("ns1")), ...to(under("hostmaster")), u32(2026, 3600, 600, 86_400, 60)];

type Given = readonly [label: string, type: keyof typeof TYPES, data: readonly (readonly Part[])[], ttl?: number];

const GIVEN: readonly Given[] = [
  ["@", "SOA", [soaData()]],
  ["@", "NS", [to(under("ns1")), to(under("ns2"))]],
  ["@", "MX", [[u16(10), ...to(under("mail"))]]],
  ["@", "DNSKEY", [[u16(257), Buffer.from([3, 13]), Buffer.alloc(64, 0xa5)]]],
  ["@", "CAA", [[Buffer.from([0]), text("issue"), Buffer.from("ca.example")]]],
  ["ns1", "A", [a(53)]],
  ["ns2", "A", [a(54)]],
  ["mail", "A", [a(25)]],
  ["one", "A", [a(1)]],
  ["many", "A", [a(10), a(11), a(12), a(13)]],
  ["six", "AAAA", [aaaa(6), aaaa(7)]],
  ["both", "A", [a(2)]],
  ["both", "AAAA", [aaaa(2)]],
  ["both", "TXT", [[text("v=1")]]],
  ["alias", "CNAME", [to(under("one"))]],
  ["chain", "CNAME", [to(under("chain2"))]],
  ["chain2", "CNAME", [to(under("chain3"))], 60],
  ["chain3", "CNAME", [to(under("many"))]],
  ["to-nothing", "CNAME", [to(under("six"))]],
  ["to-nobody", "CNAME", [to(under("absent"))]],
  [
    "mx",
    "MX",
    [
      [u16(10), ...to(under("mail"))],
      [u16(20), ...to("mx.other.example")],
    ],
  ],
  ["long", "TXT", [[text(...Array.from({ length: 4 }, (_, n) => String(n).repeat(255)))]]],
  ["octets", "TXT", [[text("\u00ff\u0000\u0080", "", '"quoted" \\')]]],
  ["_sip._tcp", "SRV", [[u16(1, 2, 5060), ...to(under("one"))]]],
  ["https", "HTTPS", [service("")]],
  ["https-alias", "HTTPS", [[u16(0), { name: under("https") }]]],
  ["_dns", "SVCB", [service(under("one"))]],
  [
    "caa",
    "CAA",
    [
      [Buffer.from([128]), text("iodef"), Buffer.from("mailto:a@b.example")],
      [Buffer.from([0]), text("issue"), Buffer.from(";")],
    ],
  ],
  ["signed", "DS", [[u16(4711), Buffer.from([13, 2]), Buffer.alloc(32, 0xd5)]]],
  ["naptr", "NAPTR", [[u16(10, 20), text("u", "E2U+sip", "!^.*$!sip:a@b.example!"), Buffer.from([0])]]],
  ["_443._tcp", "TLSA", [[Buffer.from([3, 1, 1]), Buffer.alloc(32, 0x7a)]]],
  ["sshfp", "SSHFP", [[Buffer.from([4, 2]), Buffer.alloc(32, 0x55)]]],
  ["loc", "LOC", [[Buffer.from([0, 0x12, 0x16, 0x13]), u32(0x8b3e6abc, 0x7fbdd368, 0x00989680)]]],
  ["uri", "URI", [[u16(10, 1), Buffer.from("https://a.example/")]]],
  ["hinfo", "HINFO", [[text("VAX", "UNIX")]]],
  ["strange", "UNKNOWN", [[Buffer.from("0001c00cdeadbeef", "hex")], [Buffer.alloc(0)]]],
  ["*.wild", "A", [a(77)]],
  ["*.wild", "TXT", [[text("whatever")]]],
  ["tree", "DNAME", [[{ name: under("wild") }]]],
  ["under.empty", "A", [a(3)]],
  ["MiXeD", "A", [a(4)]],
  ["a\\.dot", "A", [a(5)]],
  ["blank\\032and\\\\slash", "A", [a(6)]],
  ["octet\\255\\000", "A", [a(7)]],
  ["xn--bcher-kva", "A", [a(8)]],
  ["short", "A", [a(9)], 1],
  ["never", "A", [a(14)], 0],
  ["year", "A", [a(15)], 31_536_000],
  ["big", "A", Array.from({ length: 100 }, (_, n) => a(100 + n))],
  ["huge", "TXT", Array.from({ length: 80 }, (_, n) => [text(String(n).padStart(250, "x"))])],
];

const entries: readonly Entry[] = GIVEN.flatMap(([label, type, data, ttl = TTL]) =>
  data.map((one) => ({ owner: under(label), type: TYPES[type], ttl, data: one })),
);
const longest: Entry = { owner: LONGEST, type: TYPES.A, ttl: TTL, data: a(63) };
const pointer: Entry = { owner: "7.2.0.203.in-addr.arpa", type: TYPES.PTR, ttl: TTL, data: to(under("one")) };
const root: readonly Entry[] = ["a", "b"].map((letter) => ({
  owner: "",
  type: TYPES.NS,
  ttl: TTL,
  data: to(`${letter}.root-servers.example`),
}));

export const ZONE: readonly Entry[] = [...entries, longest, pointer, ...root];

/** Names that exist only because something is under them do exist (RFC 8020). */
export const EXISTING: ReadonlySet<string> = new Set(
  ZONE.flatMap(({ owner }) => {
    const labels = labelsOf(owner).map((label) => label.toString("latin1").toLowerCase());
    return labels.map((_, n) => labels.slice(n).join("\0."));
  }),
);

export const SOA: Entry = { owner: APEX, type: TYPES.SOA, ttl: TTL, data: soaData() };

/** A signature that only looks like one. */
export const signature = ({ owner, type, ttl }: Entry): Entry => ({
  owner,
  type: TYPES.RRSIG,
  ttl,
  data: [
    u16(type),
    Buffer.from([13, labelsOf(owner).length]),
    u32(ttl, 0x7000_0000, 0x6000_0000),
    u16(4711),
    { name: APEX },
    Buffer.alloc(64, type & 255),
  ],
});

export const denial = (owner: string): Entry => ({
  owner,
  type: TYPES.NSEC,
  ttl: 60,
  data: [wireName(`\\000.${owner}`), Buffer.from([0, 6, 0x40, 0, 0, 0, 0, 3])],
});
