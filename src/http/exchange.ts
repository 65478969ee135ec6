// One request as the pipes behind HTTP see it: parsed once, immutable but for its tally, and its one log line at the end.
import { randomBytes } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import { plainHost } from "../lib/host-name.ts";
import type { Logger } from "../lib/log.ts";
import { parseAccept } from "../oci/media.ts";
import type { Context, Tally } from "../oci/registry.ts";

export type Door = "https" | "http";

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
  /** Filled in on the way, for the log line. */
  readonly note: { site?: string; repo?: string; reference?: string; verdict?: string; error?: string };
}

export const exchangeOf = (req: IncomingMessage, res: ServerResponse, door: Door): Exchange => {
  const target = req.url ?? "/";
  const mark = target.indexOf("?");
  const gone = new AbortController();
  res.once("close", () => gone.abort(new ClientGone()));
  const tally: Tally = { upstreamBytes: 0, upstreamRequests: 0 };
  const servername = (req.socket as Partial<TLSSocket>).servername;
  return {
    req,
    res,
    door,
    host: hostOf(req.headers.host),
    serverName: typeof servername === "string" && servername !== "" ? plainHost(servername) : undefined,
    method: req.method ?? "GET",
    path: mark === -1 ? target : target.slice(0, mark),
    query: new URLSearchParams(mark === -1 ? "" : target.slice(mark + 1)),
    client: (req.socket.remoteAddress ?? "").replace(/^::ffff:/, ""),
    ctx: {
      credential: req.headers.authorization,
      accept: parseAccept(req.headersDistinct["accept"] ?? []),
      signal: gone.signal,
      trace: randomBytes(6).toString("hex"),
      tally,
    },
    note: {},
  };
};

export class ClientGone extends Error {
  constructor() {
    super("the client has gone");
    this.name = "ClientGone";
  }
}

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
      door,
      trace: ctx.trace,
      err: note.error,
    };
    log.info(line, "request");
  });
};
