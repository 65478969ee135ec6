// A million packets at the real sockets, UDP and TCP, by somebody who knows the format: whoever asks a proper question in between is
// answered, nothing answers an answer, nothing is longer than it may be, and the process stays as small as it was.
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, readdir, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { getPriority } from "node:os";
import { setImmediate as turn } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Authority } from "./authority.ts";
import { DNS as RESOLVER } from "./internet.ts";
import { ADDRESS, DNS, Layover } from "./layover.ts";
import { ask, question } from "./names/asking.ts";
import { type Authoritative, serveZone } from "./names/authoritative.ts";
import { hostile, randomFrom, shapes } from "./names/hostile.ts";
import { read } from "./names/reading.ts";
import { u16 } from "./names/writing.ts";
import { APEX, TYPES } from "./names/zone.ts";
import { until } from "./until.ts";
import { OPEN } from "./world.ts";

const OTHERS = `one.${APEX}`;
/** Milliseconds for a proper question; the machine has other things to do as well. */
const PATIENCE = 5_000;
const MEGABYTE = 2 ** 20;

let layover: Layover;
let zone: Authoritative;

beforeAll(async () => {
  const place = process.env["LAB_WORLD"];
  if (!place) throw new Error("these tests need a world of their own; run them with: npm run test:e2e");
  const dir = await mkdtemp(`${place}/`);
  zone = await serveZone(RESOLVER);
  layover = new Layover(`${dir}/layover`, (await Authority.make(dir)).certificate);
  await layover.start();
});
afterAll(async () => {
  await layover?.stop();
  await zone?.close();
});

/** Resident memory of the process that owns DNS, in octets. */
const memory = async (): Promise<number> => {
  const status = await readFile(`/proc/${layover.parent.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
};

/** Packets that the kernel threw away because Layover had not read them: they would have tested nothing. */
const dropped = async (): Promise<number> => {
  const table = await readFile("/proc/net/udp", "utf8");
  const line = table.split("\n").find((one) => one.includes("0400007F:0035"));
  return Number(line?.trim().split(/\s+/).at(-1));
};

const probe = async (): Promise<void> => {
  const [ours, others] = await Promise.all([
    ask(DNS, question(OPEN, TYPES.A), "udp", PATIENCE),
    ask(DNS, question(OTHERS, TYPES.A), "udp", PATIENCE),
  ]);
  const address = Buffer.from(ADDRESS.split(".").map(Number)).toString("hex");
  expect(read(ours).answers).toEqual([`${OPEN}. 1 1 ${address}`]);
  expect(read(others).answers).toEqual([`${OTHERS}. 1 1 c0000201`]);
};

describe("shapes that have troubled others", () => {
  const RCODES = { answered: 0, FORMERR: 1, BADVERS: 16 };
  test.each(shapes(OTHERS).map(([what, message, outcome]) => ({ what, message, outcome })))(
    "$what: $outcome",
    async ({ message, outcome }) => {
      for (const via of ["udp", "tcp"] as const) {
        const reply = read(await ask(DNS, message, via, PATIENCE));
        expect(reply).toMatchObject({ id: message.readUInt16BE(0), rcode: RCODES[outcome] });
        expect(reply.answers).toHaveLength(outcome === "answered" ? 1 : 0);
        expect(reply.flags).toContain("RA");
      }
    },
  );

  test("data beyond the frame's length is the next frame, and one that no query is", async () => {
    const message = question(OTHERS, TYPES.A);
    const socket = connect(53, DNS);
    socket.write(Buffer.concat([u16(message.length), message, Buffer.from([0, 1, 2])]));
    let got = Buffer.alloc(0);
    socket.on("data", (chunk) => (got = Buffer.concat([got, chunk])));
    socket.on("error", () => undefined);
    await once(socket, "close", { signal: AbortSignal.timeout(PATIENCE) });
    await probe();
  });
});

/** A sender with its own 65,536 ids, each used once, so that every reply is known by its id. */
class Sender {
  readonly #socket: UdpSocket;
  readonly #limits = new Uint16Array(0x1_0000);
  readonly wrong: string[] = [];
  replies = 0;
  #next = 0;

  private constructor(socket: UdpSocket) {
    this.#socket = socket;
    socket.on("message", (reply) => this.#judge(reply));
  }

  static async open(): Promise<Sender> {
    const socket = createSocket("udp4");
    socket.connect(53, DNS);
    await once(socket, "connect");
    return new Sender(socket);
  }

  get isSpent(): boolean {
    return this.#next > 0xffff;
  }

  /** Numbers it, if it is long enough to have a number. */
  send(message: Buffer): void {
    if (message.length >= 2) message.writeUInt16BE(this.#next, 0);
    // To an answer there is no answer, and without an OPT none of more than 512 octets (RFC 6891 6.2.5).
    const isMute = message.length < 12 || (message[2]! & 0x80) !== 0;
    this.#limits[this.#next] = isMute ? 0 : message.readUInt16BE(10) === 0 ? 512 : 1232;
    this.#next += 1;
    this.#socket.send(message);
  }

  close(): void {
    this.#socket.close();
  }

  #judge(reply: Buffer): void {
    this.replies += 1;
    const id = reply.length < 12 ? -1 : reply.readUInt16BE(0);
    const isReply = id >= 0 && (reply[2]! & 0x80) !== 0 && reply.length <= this.#limits[id]!;
    if (!isReply && this.wrong.length < 10) this.wrong.push(`${reply.length} octets: ${reply.toString("hex", 0, 40)}`);
  }
}

const BATCH = 100;
const TURN = 20;
const UDP_PACKETS = 900_000;
const TCP_PACKETS = 100_000;
const PER_CONNECTION = 50;

test("900,000 packets over UDP", async () => {
  const next = hostile(randomFrom(7), OPEN, OTHERS);
  await probe();
  const lost = await dropped();
  const before = await memory();
  let [sent, slowest, replies] = [0, 0, 0];
  const wrong: string[] = [];
  let sender = await Sender.open();
  while (sent < UDP_PACKETS) {
    for (let left = BATCH; left > 0; left -= 1) {
      sender.send(next());
      if (left % TURN === 0) await turn(); // for the replies that have come: a socket holds few
    }
    sent += BATCH;
    const began = performance.now();
    await probe();
    slowest = Math.max(slowest, performance.now() - began);
    if (!sender.isSpent && sent < UDP_PACKETS && sent % 65_500 !== 0) continue;
    replies += sender.replies;
    wrong.push(...sender.wrong);
    sender.close();
    sender = await Sender.open();
  }
  sender.close();
  const grown = (await memory()) - before;
  console.log(
    `${sent} packets, ${replies} replies, slowest probe ${slowest.toFixed(0)} ms, grown by ${(grown / MEGABYTE).toFixed(1)} MiB`,
  );
  expect(wrong).toEqual([]);
  expect(replies).toBeGreaterThan(sent / 2);
  expect((await dropped()) - lost).toBeLessThan(sent / 100);
  expect(grown).toBeLessThan(48 * MEGABYTE);
});

test("100,000 packets over TCP, with and without proper frames", async () => {
  const next = hostile(randomFrom(11), OPEN, OTHERS);
  const before = await memory();
  let replies = 0;
  for (let sent = 0; sent < TCP_PACKETS; sent += PER_CONNECTION) {
    const isFramed = sent % (4 * PER_CONNECTION) !== 0;
    const messages = Array.from({ length: PER_CONNECTION }, next).map((one) =>
      one.length < 12 ? Buffer.concat([one, Buffer.alloc(12)]) : one,
    );
    const stream = Buffer.concat(messages.flatMap((message) => (isFramed ? [u16(message.length), message] : [message])));
    const socket = connect(53, DNS).on("error", () => undefined);
    socket.on("data", (chunk) => (replies += chunk.length));
    socket.end(stream);
    await once(socket, "close", { signal: AbortSignal.timeout(15_000) });
    if (sent % 1_000 === 0) await probe();
  }
  await probe();
  expect(replies).toBeGreaterThan(TCP_PACKETS);
  expect((await memory()) - before).toBeLessThan(48 * MEGABYTE);
});

test("nothing of it was an error to Layover, and it is the same process still", async () => {
  expect(layover.parent.ended).toBe(false);
  expect(layover.tail(200)).not.toMatch(/"level":"?(error|50|fatal|60)/);
});

/** Of each thread of a process, how nice it is. */
const niceness = async (pid: number): Promise<number[]> => {
  const threads = await readdir(`/proc/${pid}/task`);
  const stats = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, "utf8").catch(() => "")));
  return stats.filter((stat) => stat !== "").map((stat) => Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]));
};

test("DNS goes before the front end, the first one and the next", async () => {
  const own = getPriority();
  expect((await niceness(layover.parent.pid))[0]).toBe(own - 10);
  for (const _ of ["first", "next"]) {
    const front = await until("a front end", 10_000, () => layover.front());
    await until("it to be ready", 20_000, () => layover.ready());
    expect(new Set(await niceness(front))).toEqual(new Set([own]));
    process.kill(front, "SIGKILL");
    await until("it to be gone", 5_000, async () => (await layover.front()) !== front);
  }
});
