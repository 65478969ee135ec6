// One question to one server, over UDP or TCP, with a deadline.
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { u16, wireName } from "./writing.ts";

export type Via = "udp" | "tcp";

export interface Manner {
  readonly edns?: { readonly size?: number; readonly do?: boolean; readonly options?: Buffer } | undefined;
  /** Of CD and AD, those that are set; RD always is. */
  readonly flags?: number;
  readonly id?: number;
}

export const question = (name: string, type: number, { edns, flags = 0, id = 0x4c41 }: Manner = {}): Buffer => {
  const options = edns?.options ?? Buffer.alloc(0);
  const opt = edns ? [Buffer.from([0, 0, 41]), u16(edns.size ?? 1232, 0, edns.do ? 0x8000 : 0, options.length), options] : [];
  return Buffer.concat([u16(id, 0x0100 | flags, 1, 0, 0, edns ? 1 : 0), wireName(name), u16(type, 1), ...opt]);
};

export const ask = (server: string, message: Buffer, via: Via, ms = 8_000): Promise<Buffer> => {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const timer = setTimeout(() => reject(new Error(`${server} did not answer over ${via}`)), ms);
  const stop = via === "udp" ? overUdp(server, message, resolve, reject) : overTcp(server, message, resolve, reject);
  return promise.finally(() => {
    clearTimeout(timer);
    stop();
  });
};

type Settle = [resolve: (reply: Buffer) => void, reject: (error: Error) => void];

const overUdp = (server: string, message: Buffer, ...[resolve, reject]: Settle): (() => void) => {
  const socket = createSocket("udp4").on("error", reject).on("message", resolve);
  socket.send(message, 53, server);
  return () => socket.close();
};

const overTcp = (server: string, message: Buffer, ...[resolve, reject]: Settle): (() => void) => {
  const socket = connect(53, server);
  let held = Buffer.alloc(0);
  socket.on("error", reject).on("close", () => reject(new Error(`${server} closed the connection`)));
  socket.on("data", (chunk) => {
    held = Buffer.concat([held, chunk]);
    if (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) resolve(held.subarray(2, 2 + held.readUInt16BE(0)));
  });
  socket.write(Buffer.concat([u16(message.length), message]));
  return () => socket.destroy();
};
