// Writes, and all that is no cacheable read, streamed to the host that was asked for, unbuffered, with the client's own credential.
// http-proxy does the piping; what it would leak (hop-by-hop headers) is taken off before, and errors are turned into ours.
import { Agent as HttpAgent, type IncomingMessage } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { LookupFunction } from "node:net";
import type { SecureContext } from "node:tls";
import { createProxyServer } from "http-proxy";
import { OciError } from "../oci/error.ts";
import type { Site } from "../sites.ts";
import type { Exchange } from "./exchange.ts";

/** Upstream may be silent this long: finishing a push of many GiB makes some registries read it all again. Milliseconds. */
const SILENCE = 30 * 60_000;
const CONNECT_WITHIN = 10_000;
/** Shorter than any server keeps an idle connection: a write on one that is just being closed could not be tried again. */
const IDLE_SOCKET = 3_000;

export interface PassThroughParts {
  readonly site: Site;
  readonly upstream: URL;
  /** Never the system's resolver, which may be us; refuses addresses that are ours. */
  readonly lookup: LookupFunction;
  readonly secureContext: SecureContext;
  readonly via: string;
}

/** Settles when upstream has answered; its status is then known and the body on its way. Throws before that only. */
export type PassThrough = (
  exchange: Exchange,
) => Promise<{ readonly status: number; readonly headers: IncomingMessage["headers"] }>;

export const passThrough = (parts: PassThroughParts): { forward: PassThrough; close: () => void } => {
  const { upstream, lookup, secureContext, site } = parts;
  const options = { keepAlive: true, lookup, timeout: IDLE_SOCKET };
  const agent = upstream.protocol === "https:" ? new HttpsAgent({ ...options, secureContext }) : new HttpAgent(options);
  const proxy = createProxyServer({
    target: upstream,
    agent,
    changeOrigin: true,
    proxyTimeout: SILENCE,
    connectTimeout: CONNECT_WITHIN,
    headers: { via: parts.via },
  });
  const waiting = new WeakMap<IncomingMessage, (answer: IncomingMessage) => void>();
  proxy.on("proxyRes", (answer, req, res) => {
    // http-proxy pipes, and a pipe whose source breaks off leaves its target waiting for ever
    answer.once("close", () => {
      if (!answer.complete) res.destroy();
    });
    ownLocation(answer, site, upstream);
    waiting.get(req)?.(answer);
  });
  const forward: PassThrough = ({ req, res, note, ctx }) => {
    note.verdict = "PASS";
    stripHopByHop(req);
    ctx.tally.upstreamRequests += 1;
    return new Promise((resolve, reject) => {
      waiting.set(req, (answer) => {
        answer.on("data", (chunk: Buffer) => {
          ctx.tally.upstreamBytes += chunk.length;
        });
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers });
      });
      res.once("close", () => reject(new OciError("UPSTREAM_UNREACHABLE", "the client left before upstream answered")));
      proxy.web(req, res, {}, (error) => {
        if (res.headersSent) res.destroy();
        reject(asOciError(error, upstream));
      });
    });
  };
  return { forward, close: () => agent.destroy() };
};

const asOciError = (error: Error, upstream: URL): OciError => {
  if (error instanceof OciError) return error;
  const { code } = error as NodeJS.ErrnoException;
  return new OciError("UPSTREAM_UNREACHABLE", `${upstream.host} cannot be reached: ${code ?? error.message}`, { cause: error });
};

const HOP_BY_HOP = ["connection", "keep-alive", "proxy-authorization", "proxy-connection", "te", "trailer", "upgrade", "expect"];

/** RFC 9110 §7.6.1: these, and whatever `Connection` names, are for this hop alone. */
const stripHopByHop = ({ headers }: IncomingMessage): void => {
  const named = (headers.connection ?? "").split(",").map((name) => name.trim().toLowerCase());
  for (const name of [...HOP_BY_HOP, ...named]) if (name !== "authorization" && name !== "host") delete headers[name];
};

/** Location stays as upstream wrote it, but where it leads to an upstream that clients know by the site's name. */
const ownLocation = (answer: IncomingMessage, site: Site, upstream: URL): void => {
  const { location } = answer.headers;
  if (location === undefined || upstream.host === site.host || !URL.canParse(location)) return;
  const url = new URL(location);
  if (!site.upstreams.some((origin) => origin.origin === url.origin)) return;
  answer.headers.location = `https://${site.host}${url.pathname}${url.search}`;
};
