// The doors: sockets, TLS and time limits. Everything slow or oversized is cut here; bodies have idle limits, never total ones.
import {
  createServer as createHttp,
  type Server as HttpServer,
  type IncomingMessage,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { TlsOptions, Server as TlsServer } from "node:tls";
import { holdBody } from "./continue.ts";
import type { Crowd } from "./crowd.ts";
import type { Dispatch } from "./dispatch.ts";
import { drain, Silent } from "./drain.ts";
import { type Door, exchangeOf } from "./exchange.ts";

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface DoorOptions {
  readonly door: Door;
  readonly address: Address;
  /** `::` leaves IPv4 to another. */
  readonly ipv6Only?: boolean;
  readonly dispatch: Dispatch;
  /** Whether an address may use the doors. */
  readonly clients: (address: string) => boolean;
  /** Bounds the connections of all doors that have the same. */
  readonly crowd?: Crowd;
  /** For the TLS door: has each connection before TLS. */
  readonly before?: BeforeTls | undefined;
  /** For the TLS door: what each server name is shown. */
  readonly secure?: Secure;
  /** Makes a plain door a proxy's. */
  readonly proxy?: Proxy;
}

interface Secure {
  readonly options: TlsOptions;
  follow(server: TlsServer): void;
}

export interface Proxy {
  readonly connect: Connect;
  /** What those are shown whose connections are not passed on. */
  readonly secure: Secure;
  /** Sees each plain request first. */
  readonly toOrigin: (req: IncomingMessage) => void;
}

/** What becomes of a CONNECT. Must not reject; `head` is what came behind it. */
export type Connect = (req: IncomingMessage, socket: Socket, head: Buffer, ways: ConnectWays) => Promise<void>;

interface ConnectWays {
  /** TLS is spoken here, and what is in it is as from the TLS door. */
  readonly intercept: () => void;
  /** It is none of the door's any more, but for being cut at the end. */
  readonly keep: () => void;
}

/** Gives the connection on with `take`, with nothing read of it, or keeps it: then it is none of the door's, but for being counted, and cut at the end. */
export type BeforeTls = (socket: Socket, take: () => void, keep: () => void) => void;

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
  // who announces no body is read to the end from the start: a hit costs a tenth less than with the events of an empty stream
  optimizeEmptyRequests: true,
};
/** A connection on which nothing moves, in either direction. Longer than a registry takes to finish a push of many GiB. */
const IDLE = 35 * 60_000;

type Handler = (req: IncomingMessage, res: ServerResponse) => void;

/** Throws what listening throws, with address and port on it. */
export const openDoor = async (options: DoorOptions): Promise<OpenDoor> => {
  const silent = new Silent();
  const handler: Handler = (req, res) => {
    const talk = talks.get(req.socket) ?? beginTalk(req.socket, silent);
    if (hasBody(req)) lingerAfter(req, res);
    const isTunnelled = "encrypted" in req.socket;
    if (!isTunnelled) options.proxy?.toOrigin(req);
    inTurn(talk, res, () => {
      const exchange = exchangeOf(req, res, options.proxy && isTunnelled ? "https" : options.door);
      if (options.proxy !== undefined) exchange.note.door = "proxy";
      void options.dispatch(exchange);
    });
  };
  const server = options.secure === undefined ? createHttp(LIMITS, handler) : tlsServer(options.secure, handler);
  server.timeout = IDLE;
  // the admin's own pages are small, and read what comes
  if (options.door !== "admin")
    server.on("checkContinue", (req: IncomingMessage, res: ServerResponse) => {
      holdBody(res);
      handler(req, res);
    });
  const open = admitting(server, options, silent);
  server.on("clientError", refuseMalformed);
  const behind = options.proxy && proxying(server, options.proxy, handler, silent);
  await listening(server, options);
  const { address, port } = server.address() as AddressInfo;
  return { address: { host: address, port }, drain: (signal) => drain(server, behind, silent, open, signal) };
};

/** Who may not come in, or finds no room, never gets as far as TLS or HTTP. Gives the connections that there are, as they come and go. */
const admitting = (server: HttpServer, { clients, crowd, before, secure }: DoorOptions, silent: Silent): ReadonlySet<Socket> => {
  const open = new Set<Socket>();
  // Node's own, and what is to go before it
  const takers = server.listeners("connection") as ((socket: Socket) => void)[];
  server.removeAllListeners("connection");
  const take = (socket: Socket) => {
    socket.allowHalfOpen = secure === undefined;
    for (const one of takers) one.call(server, socket);
  };
  server.on("connection", (socket: Socket) => {
    if (!clients(socket.remoteAddress ?? "")) return void socket.destroy();
    if (crowd?.enter(socket, secure !== undefined) === false) return;
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    silent.add(socket);
    if (before === undefined) return take(socket);
    socket.allowHalfOpen = true;
    before(
      socket,
      () => take(socket),
      () => silent.spoke(socket),
    );
  });
  return open;
};

/** What has come by CONNECT, of which Node's own server knows nothing any more: the server that has what is not passed on. */
const proxying = (server: HttpServer, { connect, secure }: Proxy, handler: Handler, silent: Silent): HttpServer => {
  const behind = tlsServer(secure, handler);
  // it listens nowhere, and Node looks for slow headers only where a server does
  behind.emit("listening");
  behind.timeout = IDLE;
  behind.on("clientError", refuseMalformed);
  behind.on("checkContinue", (req: IncomingMessage, res: ServerResponse) => {
    holdBody(res);
    handler(req, res);
  });
  server.on("connect", (req: IncomingMessage, socket: Socket, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    // an answer that is still owed would come in the middle of the tunnel
    if (!isIdle(talks.get(socket))) return void socket.destroy();
    void connect(req, socket, head, {
      intercept: () => {
        silent.add(socket);
        if (head.length > 0) socket.unshift(head);
        behind.emit("connection", socket);
      },
      keep: () => silent.spoke(socket),
    });
  });
  return behind;
};

const isIdle = (talk: Talk | undefined): boolean =>
  talk === undefined || (talk.waiting === 0 && talk.answering?.writableFinished !== false);

/** A malformed request is answered where an answer can still be told from what goes out; a broken socket needs no more than closing. */
const refuseMalformed = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  const res = talks.get(socket)?.answering;
  const isHalfSent = res?.headersSent === true && !res.writableFinished;
  if (error.code === "ECONNRESET" || !socket.writable || isHalfSent) {
    socket.destroy();
    return;
  }
  const status = error.code === "HPE_HEADER_OVERFLOW" ? "431 Request Header Fields Too Large" : "400 Bad Request";
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`, () => socket.destroy());
};

/** Who sends on after an answer that came early is listened to so long, that it may read the answer, and so long while it is silent. Milliseconds. */
const LINGER = 2 * 60_000;
const LINGER_SILENT = 5_000;

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined;

/**
 * A connection that is closed with bytes unread is reset, and the reset takes the answer from its reader (RFC 9112 §9.6): our side of it
 * ends, and the rest of the body is read and thrown away.
 */
const lingerAfter = (req: IncomingMessage, res: ServerResponse): void => {
  const { socket } = req;
  // where either side has said that it wants the connection closed, Node would do so as soon as the answer is out
  socket.destroySoon = () => {
    if (req.complete) Socket.prototype.destroySoon.call(socket);
    else socket.end();
  };
  res.once("finish", () => {
    if (req.complete || socket.destroyed) return;
    const close = () => socket.destroy();
    const latest = setTimeout(close, LINGER);
    let read = socket.bytesRead;
    // what is thrown away is told by no event
    const look = setInterval(() => {
      if (socket.bytesRead === read) close();
      read = socket.bytesRead;
    }, LINGER_SILENT);
    req.once("end", close);
    socket.once("close", () => {
      clearTimeout(latest);
      clearInterval(look);
    });
    socket.end();
  });
};

/** Requests of one connection that wait for their turn; who sends more at once means no good. */
const MAX_WAITING = 100;

/** What goes on on a connection. */
interface Talk {
  readonly socket: Socket;
  waiting: number;
  /** Of the last request whose turn has come. */
  answering: ServerResponse | undefined;
}

const talks = new WeakMap<object, Talk>();

const beginTalk = (socket: Socket, silent: Silent): Talk => {
  const talk: Talk = { socket, waiting: 0, answering: undefined };
  talks.set(socket, talk);
  silent.spoke(socket);
  return talk;
};

/**
 * A client may send requests before the last is answered (RFC 9112 §9.3.2). Each is begun when its answer may go out:
 * a thousand of them in one packet open no thousand files, and hold no thousand buffers.
 */
const inTurn = (talk: Talk, res: ServerResponse, dispatch: () => void): void => {
  if (res.socket !== null) {
    talk.answering = res;
    dispatch();
  } else if (talk.waiting === MAX_WAITING) talk.socket.destroy();
  else {
    talk.waiting += 1;
    res.once("socket", () => {
      talk.waiting -= 1;
      talk.answering = res;
      dispatch();
    });
  }
};

const tlsServer = (secure: Secure, handler: Handler): HttpServer => {
  const server = createHttps({ ...LIMITS, ...secure.options, ALPNProtocols: ["http/1.1"] }, handler);
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  secure.follow(server);
  return server as unknown as HttpServer;
};

const listening = (server: HttpServer, { address: { host, port }, ipv6Only = false }: DoorOptions): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, ipv6Only, backlog: 1024 }, () => {
      server.off("error", reject);
      resolve();
    });
  });
