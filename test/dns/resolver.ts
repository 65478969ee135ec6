// A resolver on a free port of 127.0.0.1, over UDP and TCP, that behaves as a test tells it to; and a client for both.

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, type Socket as Connection, connect, createServer } from "node:net";
import { type PlainResolver, parseResolver } from "../../src/lib/resolver-address.ts";
import { word } from "./message.ts";

export interface Asked {
  readonly message: Buffer;
  readonly via: "udp" | "tcp";
  readonly from: RemoteInfo | undefined;
  readonly send: (reply: Buffer) => void;
}

export interface FakeResolver extends AsyncDisposable {
  readonly address: PlainResolver;
  readonly text: string;
  readonly asked: Asked[];
  readonly udp: Socket;
}

export const fakeResolver = async (behave: (asked: Asked) => void): Promise<FakeResolver> => {
  const asked: Asked[] = [];
  const take = (one: Asked) => {
    asked.push(one);
    behave(one);
  };
  const { tcp, udp, port } = await samePort();
  const connections = new Set<Connection>();
  tcp.on("connection", (socket) => {
    connections.add(socket);
    socket.on("error", () => undefined);
    socket.once("data", (data) => {
      take({ message: data.subarray(2), via: "tcp", from: undefined, send: (reply) => socket.write(frame(reply)) });
    });
  });
  udp.on("message", (message, from) => {
    take({ message, via: "udp", from, send: (reply) => udp.send(reply, from.port, from.address) });
  });
  const text = `127.0.0.1:${port}`;
  const dispose = async () => {
    for (const socket of connections) socket.destroy();
    udp.close();
    tcp.close();
    await Promise.all([once(udp, "close"), once(tcp, "close")]);
  };
  return { address: parseResolver(text) as PlainResolver, text, asked, udp, [Symbol.asyncDispose]: dispose };
};

const samePort = async () => {
  for (;;) {
    const tcp = createServer().listen(0, "127.0.0.1");
    await once(tcp, "listening");
    const { port } = tcp.address() as AddressInfo;
    const udp = createSocket("udp4");
    const bound = await new Promise<boolean>((resolve) => {
      udp.once("error", () => resolve(false));
      udp.bind(port, "127.0.0.1", () => resolve(true));
    });
    if (bound) return { tcp, udp, port };
    tcp.close();
  }
};

export const frame = (message: Buffer): Buffer => Buffer.concat([word(message.length), message]);

const split = (address: string) => {
  const at = address.lastIndexOf(":");
  return { host: address.slice(0, at).replace(/[[\]]/g, ""), port: Number(address.slice(at + 1)) };
};

/** Sends and gives the first reply. */
export const askUdp = async (address: string, message: Buffer): Promise<Buffer> => {
  const { host, port } = split(address);
  const socket = createSocket(host.includes(":") ? "udp6" : "udp4");
  try {
    socket.send(message, port, host);
    const [reply] = (await once(socket, "message")) as [Buffer];
    return reply;
  } finally {
    socket.close();
  }
};

/** A connection whose replies are read one by one. */
export const openTcp = async (address: string) => {
  const socket = connect(split(address));
  let held = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    held = Buffer.concat([held, chunk]);
  });
  socket.on("error", () => undefined);
  const closed = new Promise<void>((resolve) => void socket.once("close", () => resolve()));
  await once(socket, "connect");
  const next = async (): Promise<Buffer> => {
    while (held.length < 2 || held.length < 2 + held.readUInt16BE(0)) {
      if (socket.destroyed) throw new Error("closed without a reply");
      await Promise.race([once(socket, "data"), closed]);
    }
    const reply = held.subarray(2, 2 + held.readUInt16BE(0));
    held = held.subarray(2 + reply.length);
    return reply;
  };
  return { socket, closed, next };
};
