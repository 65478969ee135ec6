import { isIPv4, isIPv6 } from "node:net";
import { encode } from "dns-packet";
import fc from "fast-check";
import { expect, it } from "vitest";
import { readAddresses, readRecords } from "../../src/dns/records.ts";
import { question, questionEnd } from "./message.ts";

const name = fc.constantFrom("example.com", "www.example.com", "a.b.c.example", "other.test");
const ttl = fc.nat(0x7fff_ffff);
const record = fc.oneof(
  fc.record({ type: fc.constant("A"), name, ttl, data: fc.constant("192.0.2.1") }),
  fc.record({ type: fc.constant("CNAME"), name, ttl, data: name }),
  fc.record({ type: fc.constant("TXT"), name, ttl, data: fc.string({ maxLength: 40 }).map((text) => [text]) }),
);
const END = question("example.com").length;
const replies = fc
  .record({
    answers: fc.array(record, { maxLength: 4 }),
    authorities: fc.array(record, { maxLength: 3 }),
    additionals: fc.array(record, { maxLength: 3 }),
  })
  .map((sections) => ({
    sections,
    message: encode({ type: "response", id: 1, questions: [{ type: "A", name: "example.com" }], ...sections }),
  }));

it("finds the TTL of every record that another encoder wrote", () => {
  fc.assert(
    fc.property(replies, ({ sections, message }) => {
      expect(questionEnd(message)).toBe(END);
      const found = readRecords(message, END, 1)!;
      const all = [...sections.answers, ...sections.authorities, ...sections.additionals];
      expect(found.ttls.map((at) => message.readUInt32BE(at))).toEqual(all.map((one) => one.ttl));
      const isPositive = sections.answers.some(({ type }) => type === "A");
      expect(found.life).toBe(isPositive ? Math.min(...all.map((one) => one.ttl)) : undefined);
    }),
  );
});

it("finds the addresses that another encoder wrote, of one family, whatever aliases led to them", () => {
  const addresses = fc.array(
    fc.oneof(
      fc.ipV4().map((data) => ({ type: "A", data })),
      fc.ipV6().map((data) => ({ type: "AAAA", data: canonical(data) })),
    ),
    {
      maxLength: 6,
    },
  );
  fc.assert(
    fc.property(addresses, ttl, (list, seconds) => {
      const answers = [
        { type: "CNAME", name: "example.com", ttl: 5, data: "b.example" },
        ...list.map((one) => ({ ...one, name: "b.example", ttl: seconds })),
      ];
      const authorities = [{ type: "A", name: "ns.example", ttl: 5, data: "203.0.113.1" }];
      const message = encode({ type: "response", id: 1, questions: [{ type: "A", name: "example.com" }], answers, authorities });
      for (const [type, code] of [
        ["A", 1],
        ["AAAA", 28],
      ] as const) {
        const expected = list.filter((one) => one.type === type).map(({ data }) => ({ address: data, ttl: seconds }));
        expect(readAddresses(message, END, code)).toEqual(expected);
      }
    }),
  );
});

/** dns-packet errs with some spellings. */
const canonical = (address: string): string =>
  address.includes(":") ? new URL(`http://[${address}]/`).hostname.slice(1, -1) : address;

it("takes any octets without throwing, and never points outside of them", () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 });
  const hostile = fc.oneof(
    fc.tuple(replies, changes, fc.nat(200)).map(([{ message }, edits, cut]) => {
      const copy = Buffer.from(message);
      for (const [at, value] of edits) copy[at % copy.length] = value;
      return cut < 60 ? copy.subarray(0, cut) : copy;
    }),
    fc.uint8Array({ maxLength: 300 }).map((octets) => Buffer.from(octets)),
  );
  fc.assert(
    fc.property(hostile, (message) => {
      const found = readRecords(message, END, 1);
      for (const { address } of readAddresses(message, END, 1)) expect(isIPv4(address)).toBe(true);
      for (const { address } of readAddresses(message, END, 28)) expect(isIPv6(address)).toBe(true);
      for (const at of found?.ttls ?? []) expect(at + 4).toBeLessThanOrEqual(message.length);
      if (found?.lastOpt !== undefined) expect(found.lastOpt + 2).toBeLessThanOrEqual(message.length);
    }),
    { numRuns: 5_000 },
  );
});
