// One request as the pipes behind HTTP see it: parsed once, immutable but for its tally, and its one log line at the end.
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import { plainHost } from "../lib/host-name.ts";
import type { Logger } from "../lib/log.ts";
import { parseAccept } from "../oci/media.ts";
import type { Context, Tally } from "../oci/registry.ts";

export type Door = "https" | "http" | "admin";

export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly door: Door;
  /** The host that was asked for, without port, lower case; empty when there was none. */
  readonly host: string;
  /** What TLS was shaken hands for; `undefined` on the plain door and without SNI. */
  readonly serverName: string | undefined;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly client: string;
  readonly ctx: Context;
  /** A path of the site's, with its query, as this client reaches it. */
  readonly outward: (path: string) => string;
  /** Filled in on the way, for the log line. */
  readonly note: {
    /** Where it is another than the listener's. */
    door?: "mirror" | "proxy";
    site?: string;
    repo?: string;
    reference?: string;
    verdict?: string;
    error?: string;
    /** A health check, which comes every second: of interest only when all is not well. */
    isProbe?: boolean;
  };
}

export const exchangeOf = (req: IncomingMessage, res: ServerResponse, door: Door): Exchange => {
  const host = hostOf(authorityOf(req));
  const target = req.url ?? "/";
  const mark = target.indexOf("?");
  const servername = (req.socket as Partial<TLSSocket>).servername;
  const client = (req.socket.remoteAddress ?? "").replace(/^::ffff:/, "");
  return {
    req,
    res,
    door,
    host,
    serverName: typeof servername === "string" && servername !== "" ? plainHost(servername) : undefined,
    method: req.method ?? "GET",
    path: mark === -1 ? target : target.slice(0, mark),
    query: mark === -1 ? NO_QUERY : new URLSearchParams(target.slice(mark + 1)),
    client,
    ctx: new ClientContext(req, res, client),
    outward: asItIs,
    note: {},
  };
};

const asItIs = (path: string): string => path;

/** Read only, as every query is. */
const NO_QUERY = new URLSearchParams();

export class ClientGone extends Error {
  constructor() {
    super("the client has gone");
    this.name = "ClientGone";
  }
}

/** Names requests of this process apart from those of others; a number of their own tells them apart among themselves. */
const TRACES = randomBytes(4).toString("hex");
let requests = 0;

/** A client's context. Its signal costs more than a hit does, and a hit never looks at it: it is made when it is first asked for. */
class ClientContext implements Context {
  readonly credential: string | undefined;
  readonly accept: readonly string[];
  readonly agent: string | undefined;
  readonly client: string;
  readonly trace: string;
  readonly tally: Tally = { upstreamBytes: 0, upstreamRequests: 0 };
  #gone: AbortController | undefined;
  readonly #res: ServerResponse;

  constructor({ headers }: IncomingMessage, res: ServerResponse, client: string) {
    this.client = client;
    this.credential = isNobodys(headers.authorization) ? undefined : headers.authorization;
    this.accept = headers.accept === undefined ? [] : parseAccept(headers.accept);
    this.agent = headers["user-agent"];
    requests += 1;
    this.trace = `${TRACES}${requests.toString(16).padStart(4, "0")}`;
    this.#res = res;
  }

  get signal(): AbortSignal {
    this.#gone ??= goneOf(this.#res);
    return this.#gone.signal;
  }
}

/** No name and no password: what podman sends that is not logged in to a registry that asks for them. */
const isNobodys = (authorization: string | undefined): boolean =>
  authorization !== undefined && /^basic +Og==$/i.test(authorization);

const goneOf = (res: ServerResponse): AbortController => {
  const gone = new AbortController();
  if (res.closed) gone.abort(new ClientGone());
  else res.once("close", () => gone.abort(new ClientGone()));
  return gone;
};

/** `https://ghcr.io/v2/` as a target says whom the request is for, and Host does not (RFC 9112 3.2.2): it becomes `/v2/`. */
const authorityOf = (req: IncomingMessage): string | undefined => {
  const { url = "/", headers } = req;
  if (url.startsWith("/")) return headers.host;
  const [, authority, rest = ""] = ABSOLUTE.exec(url) ?? [];
  if (authority === undefined) return headers.host;
  req.url = rest.startsWith("/") ? rest : `/${rest}`;
  return authority;
};
const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/is;

/** `Host` → name: without port, brackets, case or trailing dot. */
const hostOf = (header: string | undefined): string => {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:/@\s]+))(?::\d{1,5})?$/i.exec(header ?? "");
  return match === null ? "" : plainHost(match[1] ?? match[2]!);
};

/** One line a request, of fixed fields: no header, no query, no credential. */
export const logExchange = (log: Logger, exchange: Exchange): void => {
  const { res, note, ctx, method, path, client, door } = exchange;
  const began = performance.now();
  res.once("close", () => {
    const line = {
      site: note.site ?? exchange.host,
      repo: note.repo,
      ref: note.reference,
      verdict: note.verdict,
      method,
      path: note.repo === undefined ? path.slice(0, 300) : undefined,
      status: res.headersSent ? res.statusCode : 0,
      // all of it given to the socket; a body that broke off never gets there
      whole: res.writableEnded,
      upstreamBytes: ctx.tally.upstreamBytes,
      ms: Math.round(performance.now() - began),
      client,
      door: note.door ?? door,
      trace: ctx.trace,
      err: note.error,
    };
    log[note.isProbe === true && line.status === 200 ? "debug" : "info"](line, "request");
  });
};
