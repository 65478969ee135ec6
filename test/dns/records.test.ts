import { encode } from "dns-packet";
import fc from "fast-check";
import { expect, it } from "vitest";
import { readRecords } from "../../src/dns/records.ts";
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
      for (const at of found?.ttls ?? []) expect(at + 4).toBeLessThanOrEqual(message.length);
      if (found?.lastOpt !== undefined) expect(found.lastOpt + 2).toBeLessThanOrEqual(message.length);
    }),
    { numRuns: 5_000 },
  );
});
