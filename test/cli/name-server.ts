// A DNS server over UDP and TCP with the same answers for every name, for the doctor to look at.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";
import { Packet } from "dns2";
import { onTestFinished } from "vitest";
import { TYPES } from "../../src/cli/doctor-ask.ts";

/** By type; for HTTPS what stands there is of no matter. */
export type Records = Partial<Record<keyof typeof TYPES, string[]>>;

export const answerTo = (query: Buffer, records: Records, rcode = 0): Buffer => {
  const request = Packet.parse(query);
  const reply = Packet.createResponseFromRequest(request);
  const [question] = request.questions;
  const type = Object.entries(TYPES).find(([, code]) => code === question?.type)?.[0] as keyof typeof TYPES;
  for (const address of records[type] ?? []) {
    const data = type === "HTTPS" ? { data: Buffer.from("000100", "hex") } : { address };
    reply.answers.push({ name: question!.name, type: TYPES[type], class: 1, ttl: 30, ...data } as never);
  }
  reply.header.rcode = rcode;
  return reply.toBuffer();
};

/** UDP and TCP on one port, which either may find taken by others: tried a few times. */
const samePort = async (host: string, wanted: number) => {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const tcp = createServer().listen(wanted, host);
    await once(tcp, "listening");
    const { port } = tcp.address() as { port: number };
    const udp = createSocket("udp4");
    const isBound = await new Promise<boolean>((resolve) => {
      udp.once("error", () => resolve(false));
      udp.bind(port, host, () => resolve(true));
    });
    if (isBound) return { tcp, udp, port };
    tcp.close();
  }
  throw new Error("no port is free for both");
};

export interface Ways {
  readonly tcp?: boolean;
  readonly rcode?: number;
  readonly silent?: boolean;
  readonly host?: string;
  readonly port?: number;
  /** For some names others than the rest. */
  readonly of?: (name: string) => Records | undefined;
}

/** Closed when the test ends. */
export const nameServer = async (records: Records, ways: Ways = {}) => {
  const { tcp: hasTcp = true, rcode = 0, silent = false, host = "127.0.0.1", of = () => undefined } = ways;
  const { tcp, udp, port } = await samePort(host, ways.port ?? 0);
  const answer = (query: Buffer) => answerTo(query, of(Packet.parse(query).questions[0]!.name) ?? records, rcode);
  let isOpen = true;
  const close = () => {
    if (!isOpen) return;
    isOpen = false;
    tcp.close();
    udp.close();
  };
  onTestFinished(close);
  udp.on("message", (query, from) => {
    if (!silent) udp.send(answer(query), from.port, from.address);
  });
  if (!hasTcp) tcp.close();
  tcp.on("connection", (socket) => {
    socket.once("data", (bytes: Buffer) => {
      const reply = answer(bytes.subarray(2));
      const framed = Buffer.concat([Buffer.of(reply.length >> 8, reply.length & 255), reply]);
      socket.write(framed.subarray(0, 5)); // in two pieces
      socket.end(framed.subarray(5));
    });
    socket.on("error", () => undefined);
  });
  return { host, port, close };
};
