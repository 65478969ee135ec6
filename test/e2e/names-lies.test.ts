// A resolver that lies in every way it can: forged answers are believed by nobody, what cannot be read is given to nobody, and Layover
// answers on, in time and in a memory of its own size.
import { mkdtemp, readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Authority } from "./authority.ts";
import { DNS as RESOLVER } from "./internet.ts";
import { ADDRESS, DNS, Layover } from "./layover.ts";
import { ask, question } from "./names/asking.ts";
import { randomFrom } from "./names/hostile.ts";
import { CLAIMED, FORGED, serveLies, TRUTH } from "./names/lying.ts";
import { TYPES } from "./names/zone.ts";
import { OPEN } from "./world.ts";

const QUESTIONS = 6_000;
/** A sixth of them over TCP, of which one client has 64 connections at most. */
const AT_ONCE = 150;
/** All attempts together, and what a busy machine adds. Milliseconds. */
const PATIENCE = 12_000;
const MEGABYTE = 2 ** 20;

let layover: Layover;
let liar: { close(): Promise<void> };

beforeAll(async () => {
  const place = process.env["LAB_WORLD"];
  if (!place) throw new Error("these tests need a world of their own; run them with: npm run test:e2e");
  const dir = await mkdtemp(`${place}/`);
  liar = await serveLies(RESOLVER, randomFrom(23));
  layover = new Layover(`${dir}/layover`, (await Authority.make(dir)).certificate);
  await layover.start();
});
afterAll(async () => {
  await layover?.stop();
  await liar?.close();
});

const memory = async (): Promise<number> => {
  const status = await readFile(`/proc/${layover.parent.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
};

/** Its counted records lie within it. */
const isWhole = (reply: Buffer, end: number): boolean => {
  let at = end;
  for (let left = reply.readUInt16BE(6) + reply.readUInt16BE(8) + reply.readUInt16BE(10); left > 0; left -= 1) {
    while (at < reply.length && reply[at]! > 0 && reply[at]! < 0x40) at += 1 + reply[at]!;
    if (at >= reply.length || (reply[at]! > 0 && reply[at]! < 0xc0)) return false;
    at += reply[at] === 0 ? 1 : 2;
    if (at + 10 > reply.length) return false;
    at += 10 + reply.readUInt16BE(at + 8);
  }
  return at <= reply.length;
};

const tally = { truth: 0, claimed: 0, failed: 0, cut: 0 };

/** What is wrong with the answer to one question, if anything. */
const judged = async (n: number): Promise<string | undefined> => {
  const via = n % 6 === 0 ? "tcp" : "udp";
  const message = question(`n${n}.liar.example`, TYPES.A, { id: n & 0xffff, ...(n % 2 === 0 && { edns: {} }) });
  const reply = await ask(DNS, message, via, PATIENCE);
  const asked = question(`n${n}.liar.example`, TYPES.A).subarray(12);
  const what = () => `${n} over ${via}: ${reply.toString("hex", 0, 100)}`;
  if (reply.readUInt16BE(0) !== (n & 0xffff) || (reply[2]! & 0xf8) !== 0x80) return `not a reply to it: ${what()}`;
  if (reply.readUInt16BE(4) !== 1 || !reply.subarray(12).subarray(0, asked.length).equals(asked))
    return `another question: ${what()}`;
  if (via === "udp" && reply.length > (n % 2 === 0 ? 1232 : 512)) return `too long: ${what()}`;
  if (!isWhole(reply, 12 + asked.length)) return `unreadable: ${what()}`;
  const text = reply.toString("hex", 12 + asked.length);
  if (text.includes(FORGED)) return `forged: ${what()}`;
  if (text.includes(TRUTH)) tally.truth += 1;
  else if (text.includes(CLAIMED)) tally.claimed += 1;
  else if ((reply[2]! & 2) !== 0) tally.cut += 1;
  else tally.failed += 1;
  return undefined;
};

test("no lie is believed, and none is waited for too long", async () => {
  const wrong: string[] = [];
  const before = await memory();
  let [next, slowest] = [0, 0];
  const asking = async () => {
    while (next < QUESTIONS) {
      next += 1;
      const what = await judged(next).catch(String);
      if (what !== undefined) wrong.push(what);
    }
  };
  let isOver = false;
  const probing = async () => {
    const address = Buffer.from(ADDRESS.split(".").map(Number));
    while (!isOver) {
      const began = performance.now();
      const reply = await ask(DNS, question(OPEN, TYPES.A), "udp", 5_000);
      slowest = Math.max(slowest, performance.now() - began);
      if (!reply.includes(address)) wrong.push("our own name had another answer");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const watching = probing();
  await Promise.all(Array.from({ length: AT_ONCE }, asking));
  isOver = true;
  await watching;
  const grown = (await memory()) - before;
  console.log(tally, `slowest own name ${slowest.toFixed(0)} ms, grown by ${(grown / MEGABYTE).toFixed(1)} MiB`);
  expect(wrong.slice(0, 10)).toEqual([]);
  expect(tally.truth).toBeGreaterThan(QUESTIONS / 10);
  expect(tally.claimed).toBeGreaterThan(QUESTIONS / 100);
  expect(tally.failed).toBeGreaterThan(QUESTIONS / 100);
  expect(grown).toBeLessThan(48 * MEGABYTE);
});

test("nothing of it was an error to Layover", () => {
  expect(layover.parent.ended).toBe(false);
  expect(layover.tail(400)).not.toMatch(/"level":"?(error|50|fatal|60)/);
});
