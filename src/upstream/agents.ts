// Who opens connections to upstreams: undici's agents for our own questions, Node's for what is passed through. Both look names up by our own
// resolver and go the site's way out.
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { buildConnector as Connecting } from "undici";
import buildConnector from "undici/lib/core/connect.js";
import Agent from "undici/lib/dispatcher/agent.js";
import { OciError } from "../oci/error.ts";
import { portOf } from "./port.ts";
import { openTunnel } from "./tunnel.ts";
import { secureContextFor, type Way } from "./way.ts";

/** Of our own questions; a client waits. Milliseconds. */
const CONNECT_WITHIN = 4_000;
/** Of what is passed through, TLS included. Milliseconds. */
const PASS_WITHIN = 10_000;
/** Shorter than any server keeps an idle connection: a write on one that is just being closed could not be tried again. */
const IDLE_SOCKET = 3_000;

type UndiciAgent = InstanceType<typeof Agent>;

export class Agents {
  readonly #way: Way;
  readonly #idle: number;
  readonly #agents = new Map<string, UndiciAgent>();

  /** `idle` for the first byte and between two. Milliseconds. */
  constructor(way: Way, idle: number) {
    this.#way = way;
    this.#idle = idle;
  }

  /**
   * One agent a port, as only the port decides which addresses are our own; one for each certificate that we show; and one with a new connection
   * for each request.
   */
  for(url: URL, keepAlive: boolean): UndiciAgent {
    const port = portOf(url);
    const secureContext = secureContextFor(this.#way, url.origin);
    const key = `${port} ${keepAlive} ${secureContext === this.#way.secureContext}`;
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const { resolver, proxy } = this.#way;
    const tls = { timeout: CONNECT_WITHIN, secureContext };
    const agent = new Agent({
      allowH2: false,
      headersTimeout: this.#idle,
      bodyTimeout: this.#idle,
      pipelining: keepAlive ? 1 : 0,
      keepAliveTimeout: 10_000,
      keepAliveMaxTimeout: 30_000,
      connect:
        proxy === undefined
          ? { ...tls, lookup: resolver.lookupFor(port), autoSelectFamily: true }
          : tunnelled(this.#way, buildConnector({ ...tls, allowH2: false })),
    });
    this.#agents.set(key, agent);
    return agent;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#agents.values()].map((agent) => agent.destroy()));
  }
}

/** `secure` speaks TLS over the tunnel. */
const tunnelled =
  (way: Way, secure: Connecting.connector): Connecting.connector =>
  (options, done) => {
    const { protocol, hostname, port } = options;
    tunnelTo(new URL(`${protocol}//${bracketed(hostname)}:${port}`), way).then(
      (socket) => {
        if (protocol === "https:") secure({ ...options, httpSocket: socket }, done);
        else done(null, socket);
      },
      (error: Error) => done(error, null),
    );
  };

const tunnelTo = async (upstream: URL, { resolver, proxy }: Way): Promise<Socket> => {
  // a socket looks no address up
  resolver.refuseOurs(proxy!.url);
  return openTunnel(proxy!, upstream.hostname, portOf(upstream));
};

const bracketed = (host: string): string => (host.includes(":") ? `[${host}]` : host);

/** For requests to this upstream alone. */
export const agentTo = (upstream: URL, way: Way): HttpAgent => {
  const options = { keepAlive: true, lookup: way.resolver.lookupFor(portOf(upstream)), timeout: IDLE_SOCKET };
  const isSecure = upstream.protocol === "https:";
  const agent = isSecure
    ? new HttpsAgent({ ...options, secureContext: secureContextFor(way, upstream.origin) })
    : new HttpAgent(options);
  if (way.proxy === undefined) return agent;
  const over = agent.createConnection.bind(agent);
  agent.createConnection = (asked, done) => {
    tunnelTo(upstream, way).then(
      (socket) => {
        if (isSecure) inTime(over({ ...asked, socket } as typeof asked)!, done!);
        else done!(null, socket);
      },
      (error: Error) => done!(error, undefined as never),
    );
    return undefined;
  };
  return agent;
};

/** Nobody else sees to it that a handshake over what is connected already ends. */
const inTime = (socket: Duplex, done: (error: Error | null, socket: Duplex) => void): void => {
  const finish = (error: Error | null) => {
    clearTimeout(late);
    socket.off("secureConnect", finish).off("error", finish);
    done(error, socket);
  };
  const late = setTimeout(() => {
    socket.destroy(new OciError("UPSTREAM_UNREACHABLE", "there is no TLS behind the proxy's tunnel in time"));
  }, PASS_WITHIN);
  socket.once("secureConnect", () => finish(null)).once("error", finish);
};
