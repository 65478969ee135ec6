// A resolver over TLS and one over HTTPS, on free ports of 127.0.0.1, whose certificate is of an issuer of the tests.
import { once } from "node:events";
import { createSecureServer, type Http2Session, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { certified } from "../upstream/secure.ts";
import { word } from "./message.ts";

export interface AskedSecurely {
  readonly message: Buffer;
  readonly connection: number;
  readonly send: (reply: Buffer) => void;
  /** Ends the connection at once. */
  readonly tear: () => void;
}

export interface EncryptedFake extends AsyncDisposable {
  readonly port: number;
  readonly asked: AskedSecurely[];
  /** How many connections there have been. */
  readonly connections: () => number;
  /** Ends those that are open, as a server does with idle ones. */
  hangUp(): void;
}

type Behave = (asked: AskedSecurely) => void;

export const tlsFake = async (behave: Behave, names: readonly string[] = ["dns.example"]): Promise<EncryptedFake> => {
  const asked: AskedSecurely[] = [];
  const open = new Set<TLSSocket>();
  let count = 0;
  const server = createServer(certified(names), (socket) => {
    count += 1;
    const connection = count;
    open.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => open.delete(socket));
    let held = Buffer.alloc(0);
    socket.on("data", (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const message = held.subarray(2, 2 + held.readUInt16BE(0));
        held = held.subarray(2 + message.length);
        const send = (reply: Buffer) => void socket.write(Buffer.concat([word(reply.length), reply]));
        const one = { message, connection, send, tear: () => void socket.destroy() };
        asked.push(one);
        behave(one);
      }
    });
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const hangUp = () => {
    for (const socket of open) socket.end();
  };
  const dispose = async () => {
    for (const socket of open) socket.destroy();
    server.close();
    await once(server, "close");
  };
  const { port } = server.address() as AddressInfo;
  return { port, asked, connections: () => count, hangUp, [Symbol.asyncDispose]: dispose };
};

type Answer = (stream: ServerHttp2Stream, reply: Buffer) => void;

const proper: Answer = (stream, reply) => {
  stream.respond({ ":status": 200, "content-type": "application/dns-message" });
  stream.end(reply);
};

export const httpsFake = async (
  behave: Behave,
  { names = ["dns.example"], answer = proper }: { names?: readonly string[]; answer?: Answer } = {},
): Promise<EncryptedFake> => {
  const asked: AskedSecurely[] = [];
  const open = new Set<Http2Session>();
  let count = 0;
  const server = createSecureServer(certified(names));
  server.on("session", (session) => {
    count += 1;
    const connection = count;
    open.add(session);
    session.on("error", () => undefined);
    session.on("close", () => open.delete(session));
    session.on("stream", (stream: ServerHttp2Stream, headers) => {
      stream.on("error", () => undefined);
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        if (headers[":path"] !== "/dns-query" || headers["content-type"] !== "application/dns-message") {
          stream.respond({ ":status": 404 }, { endStream: true });
          return;
        }
        const send = (reply: Buffer) => {
          if (!stream.closed) answer(stream, reply);
        };
        const one = { message: Buffer.concat(chunks), connection, send, tear: () => session.destroy() };
        asked.push(one);
        behave(one);
      });
    });
  });
  server.on("tlsClientError", () => undefined);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const hangUp = () => {
    for (const session of open) session.close();
  };
  const dispose = async () => {
    for (const session of open) session.destroy();
    server.close();
    await once(server, "close");
  };
  const { port } = server.address() as AddressInfo;
  return { port, asked, connections: () => count, hangUp, [Symbol.asyncDispose]: dispose };
};
