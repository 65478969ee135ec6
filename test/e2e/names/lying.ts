// A resolver that means harm: to each question it says some lies, and now and then the truth. What it says is decided by the question's name.
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "./hostile.ts";
import { u16, u32 } from "./writing.ts";

/** In honest answers, in those that no question was answered with, and in those that answer the question but are a liar's own word. */
export const TRUTH = "c0000207";
export const FORGED = "06060606";
export const CLAIMED = "c6336401";

const questionEnd = (message: Buffer): number => {
  let at = 12;
  while (message[at] !== 0) at += 1 + message[at]!;
  return at + 5;
};

interface Said {
  readonly flags?: number;
  readonly counts?: readonly [number, number, number, number];
  readonly ttl?: number;
  readonly address?: string;
  readonly owner?: Buffer;
  readonly more?: Buffer;
}

/** An answer of one address, to the question that came. */
const answer = (message: Buffer, { flags = 0x8180, counts = [1, 1, 0, 0], ttl = 60, ...said }: Said = {}): Buffer => {
  const { address = TRUTH, owner = u16(0xc00c), more = Buffer.alloc(0) } = said;
  const record = Buffer.concat([owner, u16(1, 1), u32(ttl), u16(4), Buffer.from(address, "hex"), more]);
  return Buffer.concat([message.subarray(0, 2), u16(flags, ...counts), message.subarray(12, questionEnd(message)), record]);
};

const changed = (octets: Buffer, at: number, value: number): Buffer => {
  octets[at] = value;
  return octets;
};

/** What must be passed over: it answers another question, or none. */
const forged: readonly ((message: Buffer, random: Random) => Buffer)[] = [
  (message, random) => changed(answer(message, { address: FORGED }), 0, message[0]! ^ (1 + random(255))),
  (message) => changed(answer(message, { address: FORGED }), 13, message[13]! ^ 1),
  (message) => changed(answer(message, { address: FORGED }), questionEnd(message) - 3, 99),
  (message) => changed(answer(message, { address: FORGED }), questionEnd(message) - 1, 3),
  (message) => answer(message, { address: FORGED, counts: [0, 1, 0, 0] }),
  (message) => answer(message, { address: FORGED, counts: [2, 1, 0, 0] }),
  (message) => answer(message, { address: FORGED, flags: 0x0180 }),
  (message) => answer(message, { address: FORGED, flags: 0xa980 }),
  (message) => message,
  (message, random) => answer(message, { address: FORGED }).subarray(0, random(14)),
  (message, random) => Buffer.concat([message.subarray(0, 2), u16(0x8180), Buffer.alloc(random(60), 0xff)]),
];

/** What answers the question and cannot be read: nobody may be given it. */
const unreadable: readonly ((message: Buffer, random: Random) => Buffer)[] = [
  (message) => answer(message, { address: FORGED, counts: [1, 65_535, 65_535, 65_535] }),
  (message) => answer(message, { address: FORGED, counts: [1, 2, 0, 0] }),
  (message) => answer(message, { address: FORGED }).subarray(0, -3),
  (message) => answer(message, { address: FORGED, owner: Buffer.concat([Buffer.from([0x80]), Buffer.alloc(128)]) }),
  (message) =>
    answer(message, { address: FORGED, counts: [1, 1, 0, 1], more: Buffer.from([0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0xff, 0xff]) }),
];

/** Its own word, true or not: the right form, strange contents. */
const claimed: readonly ((message: Buffer, random: Random) => Buffer)[] = [
  (message) => answer(message, { address: CLAIMED, ttl: 0xffff_ffff }),
  (message) => answer(message, { address: CLAIMED, ttl: 0x7fff_ffff }),
  (message) => answer(message, { address: CLAIMED, ttl: 0 }),
  (message) =>
    answer(message, { address: CLAIMED, owner: Buffer.concat([Buffer.from([1, 97]), u16(0xc000 | questionEnd(message))]) }),
  (message) => answer(message, { address: CLAIMED, owner: u16(0xffff) }),
  (message, random) => answer(message, { address: CLAIMED, more: Buffer.alloc(random(3_000)) }),
  (message) =>
    answer(message, {
      address: CLAIMED,
      counts: [1, 4_001, 0, 0],
      more: Buffer.alloc(16 * 4_000, LONG),
    }),
];
/** A record of nothing, sixteen octets. */
const LONG = Buffer.concat([u16(0xc00c, 1, 1), u32(60), u16(4), Buffer.from(CLAIMED, "hex")]);

const one = <T>(of: readonly T[], random: Random): T => of[random(of.length)]!;
const CUT = 0x8380;

/** Lies come first, for the truth ends the waiting. A cut one sends Layover to TCP, where more of it waits. */
const overUdp = (message: Buffer, random: Random): Buffer[] => {
  const lies = Array.from({ length: random(4) }, () => one(forged, random)(message, random));
  const last = [
    () => answer(message),
    () => answer(message),
    () => answer(message, { flags: CUT, counts: [1, 0, 0, 0] }).subarray(0, questionEnd(message)),
    () => answer(message, { flags: CUT, counts: [1, 9, 9, 9] }),
    () => one(claimed, random)(message, random).subarray(0, 60_000),
    () => one(unreadable, random)(message, random),
    () => Buffer.concat([message.subarray(0, 2), u16(0x8180 | random(16), 0, 0, 0, 0)]),
    () => answer(message, { flags: 0x8180 | random(16) }),
  ];
  return random(40) === 0 ? lies : [...lies, one(last, random)()];
};

const framed = (message: Buffer): Buffer => Buffer.concat([u16(message.length), message]);

/** One after the other, or in crumbs, or with an end before its end. */
const overTcp = async (socket: Socket, message: Buffer, random: Random): Promise<void> => {
  const whole = framed(answer(message));
  const ways = [
    () => socket.end(whole),
    () => socket.end(whole.subarray(0, random(whole.length))),
    () => socket.end(framed(one(forged, random)(message, random))),
    () => socket.end(framed(one(claimed, random)(message, random))),
    () => socket.end(framed(one(unreadable, random)(message, random))),
    () => socket.end(Buffer.concat([u16(65_535), Buffer.alloc(random(70_000))])),
    () => socket.end(u16(0)),
    () => socket.destroy(),
    () => undefined,
    async () => {
      for (let at = 0; at < whole.length && !socket.destroyed; at += 7) {
        socket.write(whole.subarray(at, at + 7));
        await sleep(2);
      }
    },
  ];
  await one(ways, random)();
};

export const serveLies = async (address: string, random: Random): Promise<{ close(): Promise<void> }> => {
  const stranger = createSocket("udp4");
  stranger.bind(0, address);
  await once(stranger, "listening");
  const udp: UdpSocket = createSocket({ type: "udp4", recvBufferSize: 1 << 20, sendBufferSize: 1 << 20 });
  udp.on("message", (message: Buffer, from: RemoteInfo) => {
    // The right answer from the wrong port, before anything else.
    if (random(4) === 0) stranger.send(answer(message, { address: FORGED }), from.port, from.address);
    for (const reply of overUdp(message, random)) udp.send(reply, from.port, from.address, () => undefined);
  });
  udp.on("error", () => undefined);
  const open = new Set<Socket>();
  const tcp = createServer((socket) => {
    open.add(socket);
    socket.on("close", () => open.delete(socket)).on("error", () => socket.destroy());
    socket.once("data", (data) => void overTcp(socket, data.subarray(2), random));
  });
  udp.bind(53, address);
  await once(udp, "listening");
  tcp.listen(53, address);
  await once(tcp, "listening");
  const close = async () => {
    for (const socket of open) socket.destroy();
    for (const end of [udp, stranger, tcp]) end.close();
    await Promise.all([once(udp, "close"), once(stranger, "close"), once(tcp, "close")]);
  };
  return { close };
};
