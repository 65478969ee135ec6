// Writes, and all that is no cacheable read, streamed to the host that was asked for, unbuffered, with the client's own credential.
// http-proxy does the piping. What upstream gets is framed as what came, whatever its headers say: connections are shared by all clients.
import type { Agent, ClientRequest, IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { createProxyServer } from "http-proxy";
import { OciError } from "../oci/error.ts";
import type { Site } from "../sites.ts";
import { awaitsContinue, letSend } from "./continue.ts";
import type { Exchange } from "./exchange.ts";

/** Upstream may be silent this long: finishing a push of many GiB makes some registries read it all again. Milliseconds. */
const SILENCE = 30 * 60_000;
const CONNECT_WITHIN = 10_000;
/** Upstream may take this long to say that a body may come, as patient as clients are themselves. Milliseconds. */
const CONTINUE_WITHIN = 1_000;

/** Who keeps watch over the upstream. */
export interface Passing {
  /** Gives what to call when it is over. Throws UPSTREAM_UNREACHABLE where it is no use. */
  enter(signal: AbortSignal): Promise<() => void>;
  answered(status: number): void;
  /** There was no connection. */
  unreachable(error: OciError): void;
}

export interface PassThroughParts {
  readonly site: Site;
  readonly upstream: URL;
  /** Never asks the system's resolver, which may be us; refuses addresses that are ours; ended with `close`. */
  readonly agent: Agent;
  readonly passing: Passing;
  readonly via: string;
}

/** Upstream's answer, its body on its way to the client. */
export interface Answered {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  /** Whether all of the request had gone by then. */
  readonly isWhole: boolean;
}

/** Listens beside, to what goes by, and holds nothing up. */
export interface Tap {
  request?(req: IncomingMessage): void;
  answer?(answer: IncomingMessage): void;
}

/** Settles when upstream has answered. Throws before that only. */
export type PassThrough = (exchange: Exchange, tap?: Tap) => Promise<Answered>;

export const passThrough = (parts: PassThroughParts): { forward: PassThrough; close: () => void } => {
  const { upstream, agent, passing, site } = parts;
  const proxy = createProxyServer({
    target: upstream,
    agent,
    changeOrigin: true,
    proxyTimeout: SILENCE,
    connectTimeout: CONNECT_WITHIN,
    headers: { via: parts.via },
    // path and query as the client wrote them: read anew, `..` and escapes would lead elsewhere than where they were judged to lead
    toProxy: true,
    prependPath: false,
  });
  const waiting = new WeakMap<IncomingMessage, (answer: IncomingMessage) => void>();
  proxy.on("proxyReq", (asked, req, res) => {
    stopEarly(asked, req, res);
    refuseUpgrade(asked, upstream);
    if (awaitsContinue(res)) askToContinue(asked, res);
  });
  proxy.on("proxyRes", (answer, req, res) => {
    // http-proxy pipes, and a pipe whose source breaks off leaves its target waiting for ever
    answer.once("close", () => {
      if (!answer.complete) res.destroy();
    });
    stripHopByHop(answer);
    answer.headers.connection = res.shouldKeepAlive && !awaitsContinue(res) ? "keep-alive" : "close";
    ownLocation(answer, site, upstream);
    waiting.get(req)?.(answer);
  });
  const forward: PassThrough = async ({ req, res, note, ctx }, tap) => {
    note.verdict = "PASS";
    res.once("close", await passing.enter(ctx.signal));
    stripHopByHop(req);
    ctx.tally.upstreamRequests += 1;
    return new Promise((resolve, reject) => {
      let isAnswered = false;
      waiting.set(req, (answer) => {
        isAnswered = true;
        passing.answered(answer.statusCode ?? 0);
        answer.on("data", (chunk: Buffer) => {
          ctx.tally.upstreamBytes += chunk.length;
        });
        tap?.answer?.(answer);
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, isWhole: req.readableEnded });
      });
      res.once("close", () => reject(new OciError("UPSTREAM_UNREACHABLE", "the client left before upstream answered")));
      tap?.request?.(req);
      proxy.web(req, res, bodyOf(req), (error) => {
        // upstream may well stop listening once it has answered: its answer is whole, or it is cut by what closes it
        if (isAnswered) return;
        const failure = asOciError(error, upstream);
        if (isUnconnected(error)) passing.unreachable(failure);
        reject(failure);
      });
    });
  };
  return { forward, close: () => agent.destroy() };
};

/**
 * http-proxy says of a DELETE that tells no length that it has none, and would then send its chunks all the same: the next request
 * on that connection, as upstream reads it. What such a body would mean nobody knows (RFC 9110 §9.3.5): it is left out.
 */
const bodyOf = ({ method, headers }: IncomingMessage): { readonly buffer?: Readable } =>
  (method === "DELETE" || method === "OPTIONS") && headers["content-length"] === undefined ? { buffer: Readable.from([]) } : {};

/** An answer that comes before the request is whole ends it: what else the client sends goes nowhere (server.ts, linger). */
const stopEarly = (asked: ClientRequest, req: IncomingMessage, res: ServerResponse): void => {
  res.once("finish", () => {
    if (req.complete) return;
    req.unpipe(asked);
    asked.destroy();
    req.resume();
  });
};

/** Nobody asks for another protocol (HOP_BY_HOP). Node would drop the connection, and tell nobody that there is no answer. */
const refuseUpgrade = (asked: ClientRequest, { host }: URL): void => {
  asked.once("upgrade", (_answer, socket) => {
    socket.destroy();
    asked.emit("error", new OciError("UPSTREAM_UNREACHABLE", `${host} goes over to a protocol that nobody has asked for`));
  });
};

/** The client waits for upstream's word before it sends, and is told to go on where none comes for long (RFC 9110 §10.1.1). */
const askToContinue = (asked: ClientRequest, res: ServerResponse): void => {
  // a client that has lost its patience has sent already
  if (asked.headersSent) {
    letSend(res);
    return;
  }
  const timer = setTimeout(() => letSend(res), CONTINUE_WITHIN);
  asked.once("continue", () => letSend(res));
  for (const over of ["continue", "response", "close"]) asked.once(over, () => clearTimeout(timer));
  asked.setHeader("expect", "100-continue");
  asked.flushHeaders();
};

const UNCONNECTED = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ETIMEDOUT",
  "ECONNECT_TIMEOUT",
  "ENOTFOUND",
  "UPSTREAM_UNREACHABLE",
]);

/** What breaks off later may be the client's, or the way's. */
const isUnconnected = (error: Error): boolean => UNCONNECTED.has((error as NodeJS.ErrnoException).code ?? "");

const asOciError = (error: Error, upstream: URL): OciError => {
  if (error instanceof OciError) return error;
  const { code } = error as NodeJS.ErrnoException;
  return new OciError("UPSTREAM_UNREACHABLE", `${upstream.host} cannot be reached: ${code ?? error.message}`, { cause: error });
};

const HOP_BY_HOP = ["connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade", "expect"];

/** Nobody may take these away by naming them: without a length or its chunks a body is the next request. */
const END_TO_END = new Set(["authorization", "host", "content-length", "transfer-encoding"]);

/** RFC 9110 §7.6.1: these, and whatever `Connection` names, are for this hop alone. */
const stripHopByHop = ({ headers }: IncomingMessage): void => {
  const named = (headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase());
  for (const name of [...HOP_BY_HOP, ...named]) if (!END_TO_END.has(name)) delete headers[name];
};

/** Location stays as upstream wrote it, but where it leads to an upstream that clients know by the site's name. */
const ownLocation = (answer: IncomingMessage, site: Site, upstream: URL): void => {
  const { location } = answer.headers;
  if (location === undefined || upstream.host === site.host || !URL.canParse(location)) return;
  const url = new URL(location);
  if (!site.upstreams.some((origin) => origin.origin === url.origin)) return;
  answer.headers.location = `https://${site.host}${url.pathname}${url.search}`;
};
