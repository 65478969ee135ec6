// Which pipe a request goes down: Layover's own pages, a site's registry (by the site's name or as a mirror), or straight through to the host that was asked for.
import type { ServerResponse } from "node:http";
import { isIP } from "node:net";
import type { Logger } from "../lib/log.ts";
import { plainAddress } from "../lib/prefixes.ts";
import { isOciError, OciError } from "../oci/error.ts";
import { parseRange } from "../oci/range.ts";
import type { Listing, Provenance, Registry } from "../oci/registry.ts";
import { type OciRequest, parseRequest } from "../oci/request.ts";
import type { Site, Sites } from "../sites.ts";
import { ClientGone, type Exchange, logExchange } from "./exchange.ts";
import { isApi, mirrored } from "./mirror.ts";
import { sendBlob, sendBlobStat, sendError, sendListing, sendListingStat, sendManifest, sendManifestStat } from "./respond.ts";

/** What is behind a site's name. */
export interface SiteDoor {
  readonly site: Site;
  readonly registry: Registry;
  /** For those who ask for it on Layover's own name. */
  readonly mirror: Registry;
  /** `GET /v2/`: upstream's word, or in an outage what is remembered of it. */
  readonly ping: (exchange: Exchange) => Promise<void>;
  /** Everything that is no cacheable read: streamed to the host that was asked for, or, of a hosted site, done here. */
  readonly passThrough: (exchange: Exchange, request: OciRequest) => Promise<void>;
}

export interface DispatchParts {
  readonly sites: Sites;
  /** `response` is what it is for. */
  readonly doorOf: (site: Site, response: ServerResponse) => SiteDoor;
  /** Whether the name is one of Layover's own. */
  readonly isOwnName: (host: string) => boolean;
  readonly ownPages: (exchange: Exchange) => Promise<void>;
  /** Our token in `Via`: a request that carries it has been here before. */
  readonly viaToken: string;
  readonly log: Logger;
}

export type Dispatch = (exchange: Exchange) => Promise<void>;

/** Never rejects; every request is answered or cut, and logged once. */
export const dispatcher = (parts: DispatchParts): Dispatch => {
  return async (exchange) => {
    logExchange(parts.log, exchange);
    try {
      await route(parts, exchange);
    } catch (error) {
      fail(parts.log, exchange, error);
    }
  };
};

const fail = (log: Logger, exchange: Exchange, error: unknown): void => {
  const { res, note, ctx } = exchange;
  if (error instanceof ClientGone || ctx.signal.aborted) {
    res.destroy();
    return;
  }
  note.error = error instanceof Error ? error.message.slice(0, 500) : String(error);
  note.verdict ??= isOciError(error) && error.status < 500 ? "REFUSED" : "ERROR";
  if (!isOciError(error) && !res.headersSent)
    log.error({ trace: ctx.trace, err: error instanceof Error ? error.stack : String(error) }, "internal error");
  sendError(res, error);
};

/** `undefined`: answered at once. */
const route = (parts: DispatchParts, exchange: Exchange): Promise<void> | undefined => {
  const { host, serverName, note } = exchange;
  refuseTwofold(exchange);
  if (viaOf(exchange).includes(parts.viaToken))
    throw new OciError("LOOP_DETECTED", "this request has already been through here: upstream names resolve to Layover itself");
  const site = parts.sites.byHost(host);
  if (site === undefined && !isOwn(parts, exchange)) {
    if (note.door === "proxy") throw new OciError("DENIED", "this proxy passes on HTTPS alone, by CONNECT");
    throw new OciError("MISDIRECTED", `Layover does not stand in for ${host.slice(0, 255) || "a request without a Host"}`);
  }
  // a connection is for a site, or for one of our own names, which no site has
  if (serverName !== undefined && parts.sites.byHost(serverName) !== site)
    throw new OciError("MISDIRECTED", `the connection is for ${serverName}, the request for ${host}`);
  if (site === undefined) return isApi(exchange.path) ? mirror(parts, exchange) : parts.ownPages(exchange);
  note.site = site.host;
  if (exchange.door === "http") return redirectToHttps(exchange);
  return serve(parts.doorOf(site, exchange.res), exchange);
};

/** Node takes the first of several; whoever is behind us may take another (RFC 9112 3.2). */
const refuseTwofold = ({ req: { rawHeaders } }: Exchange): void => {
  let hosts = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) if (HOST.test(rawHeaders[i]!)) hosts += 1;
  if (hosts > 1) throw new OciError("NAME_INVALID", "a request with more than one Host");
};
const HOST = /^host$/i;

const viaOf = ({ req }: Exchange): string => String(req.headers["via"] ?? "");

/** By address as by name: a person types either. Behind published ports the address is none of ours; who comes through a proxy may mean another's. */
const isOwn = ({ isOwnName }: DispatchParts, { host, note, req }: Exchange): boolean => {
  if (isIP(host) === 0) return isOwnName(host);
  return note.door !== "proxy" || host === plainAddress(req.socket.localAddress ?? "");
};

const redirectToHttps = ({ res, req, host, note }: Exchange): undefined => {
  note.verdict = "REDIRECT";
  res.writeHead(308, { location: `https://${host}${req.url ?? "/"}`, "content-length": 0 }).end();
};

const serve = (door: SiteDoor, exchange: Exchange): Promise<void> => {
  const request = parsed(exchange);
  if (request.kind === "ping") return door.ping(exchange);
  if (!isRead(request)) return door.passThrough(exchange, request);
  return read(door.registry, exchange, request);
};

/** On Layover's own name. No credential is a hosted site's but one that it asks for itself, and none goes on to an upstream. */
const mirror = (parts: DispatchParts, exchange: Exchange): Promise<void> | undefined => {
  const { note, res, door: listener } = exchange;
  note.site = "-";
  note.door = "mirror";
  const { site, ...asOfSite } = mirrored(parts.sites, exchange.path, exchange.query) ?? {};
  if (site === undefined) return welcome(res);
  note.site = site.host;
  const door = parts.doorOf(site, exchange.res);
  const asked = { ...exchange, ...asOfSite };
  const request = parsed(asked);
  if (site.users !== undefined && listener === "http")
    throw new OciError("DENIED", `${site.host} asks for passwords, which are not for plain HTTP`);
  if (isRead(request)) return read(door.mirror, asked, request);
  if (site.kind === "local") return request.kind === "ping" ? door.ping(asked) : door.passThrough(asked, request);
  if (request.kind === "ping") return welcome(res);
  if (request.kind === "other") throw new OciError("NAME_UNKNOWN", `there is nothing at ${exchange.path.slice(0, 300)} here`);
  throw new OciError("UNSUPPORTED", `Layover is a mirror of ${site.host} here: it is written to under its own name`);
};

/** Clients that are asked for a login here would give up, or take what they have for another registry to it. */
const welcome = (res: ServerResponse): undefined => {
  const body = "{}";
  res.writeHead(200, {
    "docker-distribution-api-version": "registry/2.0",
    "content-type": "application/json",
    "content-length": body.length,
  });
  res.end(body);
};

const parsed = ({ method, path, query, note }: Exchange): OciRequest => {
  const request = parseRequest(method, path, query);
  if ("repo" in request) note.repo = request.repo;
  if ("digest" in request && request.digest !== undefined) note.reference = request.digest.slice(0, 200);
  if ("reference" in request && request.reference !== undefined) note.reference = request.reference;
  return request;
};

type ReadRequest = Extract<OciRequest, { kind: "blob" | "manifest" | "tags" | "referrers" }>;

const isRead = (request: OciRequest): request is ReadRequest =>
  request.kind === "blob" || request.kind === "manifest" || request.kind === "tags" || request.kind === "referrers";

const read = (registry: Registry, exchange: Exchange, request: ReadRequest): Promise<void> => {
  const { req, res, ctx, outward } = exchange;
  const isHead = req.method === "HEAD";
  const list = (to: ServerResponse, listing: Listing) => (isHead ? sendListingStat : sendListing)(to, listing, outward);
  const answered = <T extends Provenanced>(answer: Promise<T>, send: (res: ServerResponse, answer: T) => Promise<void> | void) =>
    answer.then((value) => send(res, noted(exchange, value)));
  switch (request.kind) {
    case "blob": {
      if (isHead) return answered(registry.statBlob(request, ctx), sendBlobStat);
      const range = parseRange(req.headers.range);
      return answered(registry.getBlob(range === undefined ? request : { ...request, range }, ctx), sendBlob);
    }
    case "manifest":
      if (isHead) return answered(registry.statManifest(request, ctx), sendManifestStat);
      return answered(registry.getManifest(request, ctx), sendManifest);
    case "tags":
      return answered(registry.listTags(request, ctx), list);
    case "referrers":
      return answered(registry.listReferrers(request, ctx), list);
  }
};

interface Provenanced {
  readonly provenance: Provenance;
}

const noted = <T extends Provenanced>({ note }: Exchange, answer: T): T => {
  note.verdict = answer.provenance.source.toUpperCase();
  return answer;
};
