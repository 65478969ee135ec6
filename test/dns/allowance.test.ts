import { decode } from "dns-packet";
import { describe, expect, it } from "vitest";
import { allowances } from "../../src/dns/allowance.ts";
import { DnsUdpServer, sendersOf } from "../../src/dns/udp.ts";
import { silent } from "../../src/lib/log.ts";
import { query, question, replyTo } from "./message.ts";

const MIB = 1024 * 1024;

describe("the allowance", () => {
  it("is one for a network, four seconds' worth at most, and comes back with time", () => {
    const time = { now: 0 };
    const of = allowances(() => time.now);
    const mine = of("10.0.0.5")!;
    expect(of("::ffff:10.0.0.77")).toBe(mine);
    expect(of("10.0.1.5")).not.toBe(mine);
    mine.spend(4 * MIB - 1);
    expect(mine.isSpent).toBe(false);
    mine.spend(1 + MIB);
    expect(mine.isSpent).toBe(true);
    time.now = 1_000;
    expect(mine.isSpent).toBe(true);
    time.now = 1_001;
    expect(mine.isSpent).toBe(false);
    time.now = 1_000_000;
    expect(mine.isSpent).toBe(false);
    mine.spend(4 * MIB);
    expect(mine.isSpent).toBe(true);
  });

  it("is for 56 bits of IPv6, zones aside, and for nobody here", () => {
    const of = allowances();
    expect(of("fd00:1:2:3ff::1")).toBe(of("fd00:1:2:300:ffff::"));
    expect(of("fd00:1:2:3ff::1")).not.toBe(of("fd00:1:2:4ff::1"));
    expect(of("fe80::1%eth0")).toBe(of("fe80::2%eth0"));
    expect([of("127.0.0.1"), of("::1"), of("::ffff:127.9.9.9")]).toEqual([undefined, undefined, undefined]);
  });
});

it("beyond it the door sends to TCP, asking nobody, until time has passed", () => {
  const time = { now: 0 };
  let asked = 0;
  const door = new DnsUdpServer({
    socket: { type: "udp4" },
    senders: sendersOf(
      () => true,
      () => time.now,
    ),
    log: silent,
    answer: (message) => {
      asked += 1;
      return { query: query("a.example", 1, { edns: {} }), reply: replyTo(message, Array(60).fill("192.0.2.7")) };
    },
  });
  const sent: Buffer[] = [];
  // The way back alone is cut off: no sender but this machine could be heard here.
  door.send = ((reply: Buffer) => void sent.push(reply)) as typeof door.send;
  const ask = (id: number) =>
    door.handle(question("A.example", 1, { id, edns: {} }), { address: "10.9.9.9", port: 5_353, family: "IPv4", size: 0 });
  for (let i = 0; i < 5_000; i += 1) ask(i);
  const whole = sent.filter((reply) => !decode(reply).flag_tc);
  expect(whole.length * whole[0]!.length).toBeGreaterThanOrEqual(4 * MIB);
  expect(asked).toBe(whole.length);
  expect(decode(sent.at(-1)!)).toMatchObject({ id: 4_999, rcode: "NOERROR", questions: [{ name: "A.example" }], answers: [] });
  expect(sent.at(-1)!.length).toBeLessThanOrEqual(question("A.example", 1, { edns: {} }).length);
  time.now = 1_000;
  ask(1);
  expect(decode(sent.at(-1)!).flag_tc).toBe(false);
});
