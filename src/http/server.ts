// The doors: sockets, TLS and time limits. Everything slow or oversized is cut here; bodies have idle limits, never total ones.
import {
  createServer as createHttp,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { createServer as createHttps } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { SecureContext } from "node:tls";
import type { Dispatch } from "./dispatch.ts";
import { type Door, exchangeOf } from "./exchange.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface DoorOptions {
  readonly door: Door;
  readonly address: Address;
  readonly dispatch: Dispatch;
  /** Whether an address may use the doors. */
  readonly clients: (address: string) => boolean;
  /** For the TLS door: the certificate for a server name; `undefined` name: none was sent. */
  readonly contextFor?: (name: string | undefined) => Promise<SecureContext>;
  /** For the TLS door: what is offered without SNI. */
  readonly defaultContext?: { readonly cert: string; readonly key: string };
}

export interface OpenDoor {
  readonly address: Address;
  /** No new connections; those under way may finish until `signal` fires, then they are cut. */
  drain(signal: AbortSignal): Promise<void>;
}

/** Headers must be there within this, whole (slow loris). A body may take as long as it moves. Milliseconds. */
const LIMITS: ServerOptions = {
  headersTimeout: 20_000,
  requestTimeout: 0,
  connectionsCheckingInterval: 5_000,
  // longer than Docker keeps an idle connection (30 s), so that it is the client that closes
  keepAliveTimeout: 65_000,
  maxHeaderSize: 32 * 1024,
};
const HANDSHAKE_WITHIN = 10_000;
/** A connection on which nothing moves, in either direction. Longer than a registry takes to finish a push of many GiB. */
const IDLE = 35 * 60_000;

/** Throws what listening throws, with address and port on it. */
export const openDoor = async (options: DoorOptions): Promise<OpenDoor> => {
  const handler = (req: IncomingMessage, res: ServerResponse) => void options.dispatch(exchangeOf(req, res, options.door));
  const server = options.door === "https" ? tlsServer(options, handler) : createHttp(LIMITS, handler);
  server.timeout = IDLE;
  server.on("connection", (socket: Socket) => {
    if (!options.clients(socket.remoteAddress ?? "")) socket.destroy();
  });
  // a malformed request is answered by Node where it still can be; a broken socket needs no more than closing
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (error.code === "ECONNRESET" || !socket.writable) socket.destroy();
    else
      socket.end(
        `HTTP/1.1 ${error.code === "HPE_HEADER_OVERFLOW" ? "431 Request Header Fields Too Large" : "400 Bad Request"}\r\nConnection: close\r\n\r\n`,
      );
  });
  await listening(server, options.address);
  const { address, port } = server.address() as AddressInfo;
  return { address: { host: address, port }, drain: (signal) => drain(server, signal) };
};

const tlsServer = (
  { contextFor, defaultContext }: DoorOptions,
  handler: (req: IncomingMessage, res: ServerResponse) => void,
): HttpServer =>
  createHttps(
    {
      ...LIMITS,
      ...defaultContext,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["http/1.1"],
      handshakeTimeout: HANDSHAKE_WITHIN,
      SNICallback: (name, done) => {
        contextFor!(name).then(
          (context) => done(null, context),
          (error: unknown) => done(error as Error),
        );
      },
    },
    handler,
  ).on("tlsClientError", (_error, socket) => socket.destroy()) as unknown as HttpServer;

const listening = (server: HttpServer, { host, port }: Address): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off("error", reject);
      resolve();
    });
  });

const drain = (server: HttpServer, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const cut = () => server.closeAllConnections();
    server.close(() => {
      signal.removeEventListener("abort", cut);
      resolve();
    });
    server.closeIdleConnections();
    if (signal.aborted) cut();
    else signal.addEventListener("abort", cut, { once: true });
  });
