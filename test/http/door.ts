// A door of ours with TLS in front of bodies that a test makes up, and clients that may do anything to its sockets.
import { once } from "node:events";
import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { onTestFinished } from "vitest";
import { dispatcher } from "../../src/http/dispatch.ts";
import type { Exchange } from "../../src/http/exchange.ts";
import { openDoor } from "../../src/http/server.ts";
import { silent } from "../../src/lib/log.ts";
import { siteTable } from "../../src/sites.ts";
import { mintLeaf } from "../../src/tls/leaf.ts";
import { makeRoot } from "../../src/tls/root.ts";

const HOST = "registry.example";
const root = makeRoot({ names: "all", now: Date.now(), hostname: "box" });
const { chain, key } = mintLeaf(root, [HOST], Date.now());
const tls = { cert: chain, key: key.export({ type: "pkcs8", format: "pem" }) as string };

/** What answers a request for one of our own pages: the whole way through server, dispatch and exchange, without a site. */
export type Pages = (exchange: Exchange) => Promise<void>;

export interface TestDoor {
  /** A socket of a client; plain or TLS, as the door is. It stays half open where the door ends its half. */
  readonly connect: () => Promise<Socket>;
  /** All that have come so far. */
  readonly exchanges: readonly Exchange[];
}

/** `secure` unless told. */
export const openTestDoor = async (pages: Pages, secure = true): Promise<TestDoor> => {
  const exchanges: Exchange[] = [];
  const dispatch = dispatcher({
    sites: siteTable([]),
    doorOf: () => {
      throw new Error("there is no site");
    },
    isOwnName: () => true,
    ownPages: (exchange) => {
      exchanges.push(exchange);
      return pages(exchange);
    },
    viaToken: "layover-test",
    log: silent,
  });
  const opened = await openDoor({
    door: secure ? "https" : "http",
    address: { host: "127.0.0.1", port: 0 },
    dispatch,
    clients: () => true,
    ...(secure ? { secure: { options: tls, follow: () => undefined } } : {}),
  });
  onTestFinished(() => opened.drain(AbortSignal.timeout(0)));
  const { port } = opened.address;
  const connect = async (): Promise<Socket> => {
    const bare = connectPlain({ host: "127.0.0.1", port, allowHalfOpen: true }).on("error", () => undefined);
    await once(bare, "connect");
    const socket: Socket = secure ? connectTls({ socket: bare, servername: HOST, rejectUnauthorized: false }) : bare;
    bareOf.set(socket, bare);
    socket.on("error", () => undefined);
    onTestFinished(() => void socket.destroy());
    if (secure) await once(socket, "secureConnect");
    return socket;
  };
  return { connect, exchanges };
};

const bareOf = new WeakMap<Socket, Socket>();

/** Breaks the connection as a machine that goes down does. */
export const reset = (socket: Socket): void => {
  bareOf.get(socket)!.resetAndDestroy();
  socket.destroy();
};

/** The bytes of a request. */
export const get = (path: string, { version = "1.1", method = "GET", headers = "" } = {}): string =>
  `${method} ${path} HTTP/${version}\r\nhost: box\r\n${headers}\r\n`;
