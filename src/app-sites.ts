// What is behind each site's name put together: its upstream, its cache, its ping, its pass-through.

import { LRUCache } from "lru-cache";
import type { Config } from "./config/config.ts";
import type { SiteDoor } from "./http/dispatch.ts";
import { observe } from "./http/observe.ts";
import { passThrough } from "./http/passthrough.ts";
import { pingDoor } from "./http/ping.ts";
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/log.ts";
import { ownAddresses } from "./lib/own-addresses.ts";
import { OciError } from "./oci/error.ts";
import type { Context } from "./oci/registry.ts";
import type { OciRequest } from "./oci/request.ts";
import type { Flights } from "./registry/flights.ts";
import type { Grants } from "./registry/grants.ts";
import { offlineHealth, offlineRegistry } from "./registry/offline.ts";
import { type Policy, policyOf } from "./registry/policy.ts";
import { publicity } from "./registry/publicity.ts";
import { clientRights, sharedRights } from "./registry/rights.ts";
import { siteRegistry } from "./registry/site.ts";
import type { Site } from "./sites.ts";
import type { BlobStore } from "./store/blobs.ts";
import type { FactStore } from "./store/facts.ts";
import { asAnybody, asClient, asLayover } from "./upstream/asker.ts";
import { bearerOf } from "./upstream/challenge.ts";
import { pingUpstream, upstreamRegistry } from "./upstream/client.ts";
import { UpstreamHealth } from "./upstream/health.ts";
import { UpstreamResolver } from "./upstream/resolver.ts";
import { trusting } from "./upstream/roots.ts";
import { isRealmSecure, Tokens } from "./upstream/token.ts";
import { Transport } from "./upstream/transport.ts";

export interface SharedParts {
  readonly blobs: BlobStore;
  readonly facts: FactStore;
  readonly grants: Grants;
  readonly flights: Flights;
  /** The secret under which credentials are hashed. */
  readonly subjectKey: Uint8Array;
  readonly clock: Clock;
  readonly log: Logger;
  /** Our `Via` value. */
  readonly via: string;
  readonly version: string;
}

export interface SiteDoors {
  of(site: Site): SiteDoor;
  close(): Promise<void>;
}

interface Opened {
  readonly door: SiteDoor;
  close(): Promise<void>;
}

export const openSites = (config: Config, shared: SharedParts): SiteDoors => {
  const { listen } = config;
  const isOurs = ownAddresses([
    ...listen.https,
    ...listen.http,
    ...listen.proxy,
    ...(listen.admin === undefined ? [] : [listen.admin]),
  ]);
  const resolver = new UpstreamResolver({ servers: config.resolvers, isOurs });
  // most installations use a few of the sites: the others cost nothing until they are asked for
  const opened = new Map<Site, Opened>();
  return {
    of(site) {
      const known = opened.get(site) ?? openSite(site, resolver, shared);
      opened.set(site, known);
      return known.door;
    },
    close: async () => void (await Promise.all([...opened.values()].map((one) => one.close()))),
  };
};

const openSite = (site: Site, resolver: UpstreamResolver, shared: SharedParts): Opened => {
  const { facts, clock, log, via, version } = shared;
  const secureContext = trusting(site.trust);
  const transport = new Transport({ resolver, secureContext, via, userAgent: `layover/${version}` });
  const tokens = new Tokens(transport, clock);
  const own = site.access === "shared" ? (site.credentials ?? {}) : undefined;
  const asker = own === undefined ? asClient : asLayover(site, tokens, own);
  const { upstreams } = site;
  const policy = policyOf(site);
  const upstream = site.offline ? offlineRegistry(site.host) : upstreamRegistry({ upstreams, transport, asker, clock });
  const breaker = new UpstreamHealth(site.host, () => pingUpstream({ upstreams, transport, asker, clock }, background()), log);
  const health = site.offline ? offlineHealth : breaker;
  const rights = own === undefined ? clientRights(site, shared.grants, shared.subjectKey, clock) : sharedRights;
  const finder = publicity(
    upstreamRegistry({ upstreams, transport, asker: asAnybody(tokens), clock }),
    rights,
    site.publicFor,
    log,
  );
  const registry = siteRegistry({ ...shared, site, policy, upstream, rights, publicity: finder, health });
  const first = upstreams[0]!;
  const port = Number(first.port) || (first.protocol === "https:" ? 443 : 80);
  const lookup = resolver.lookupFor(port);
  const through = passThrough({ site, upstream: first, lookup, secureContext, via });

  const ping = pingDoor({
    site,
    ask: (ctx) => pingUpstream({ upstreams, transport, asker, clock }, ctx),
    realmAnswers: realmProbe(transport, first),
    facts,
    rights,
    health,
    clock,
  });
  const door: SiteDoor = {
    site,
    registry,
    ping: own === undefined ? ping : async ({ res }) => void res.writeHead(200, { "content-type": "application/json" }).end("{}"),
    async passThrough(exchange, request) {
      refuseByPolicy(site, policy, exchange.method, request);
      // a socket looks no address up: one that stands in the URL is held against our own here
      await resolver.resolve(first.hostname, port);
      await observe({ site, policy, facts, clock, log }, exchange.method, exchange.path, request, () =>
        through.forward(exchange),
      );
    },
  };
  return {
    door,
    async close() {
      breaker.close();
      finder.close();
      through.close();
      await transport.close();
    },
  };
};

const refuseByPolicy = (site: Site, policy: Policy, method: string, request: OciRequest): void => {
  const refusal = request.kind === "write" ? policy.refusal(request.repo, request.reference) : undefined;
  if (refusal !== undefined) throw refusal;
  const isWrite = method !== "GET" && method !== "HEAD" && method !== "OPTIONS";
  if (site.offline) throw new OciError("UPSTREAM_UNREACHABLE", `${site.host} is configured to be offline`);
  if (site.readOnly && isWrite) throw new OciError("UNSUPPORTED", `${site.host} is read-only here`);
};

/** A client waits for this one, after it has waited for upstream. Milliseconds. */
const PROBE_WITHIN = 1_000;

const background = (): Context => ({
  credential: undefined,
  accept: [],
  signal: AbortSignal.timeout(PROBE_WITHIN * 4),
  client: "",
  trace: "probe",
  tally: { upstreamBytes: 0, upstreamRequests: 0 },
});

const PROBED_FOR = 10_000;

/**
 * Whether the realm of a challenge gives any answer at all: a client that is sent there then gets somewhere.
 * Remembered for a while, so that in an outage not every client waits to find out the same.
 */
const realmProbe = (transport: Transport, upstream: URL): ((challenges: readonly string[]) => Promise<boolean>) => {
  const probed = new LRUCache<string, Promise<boolean>>({ max: 100, ttl: PROBED_FOR });
  const probe = async (realm: URL): Promise<boolean> => {
    const { tally } = background();
    try {
      const answer = await transport.send({
        method: "GET",
        url: realm,
        headers: {},
        signal: AbortSignal.timeout(PROBE_WITHIN),
        tally,
      });
      await answer.body.dump();
      return answer.status < 500;
    } catch {
      return false;
    }
  };
  return async (challenges) => {
    const realm = bearerOf(challenges)?.realm;
    if (realm === undefined || !isRealmSecure(realm, upstream)) return false;
    const answer = probed.get(realm.href) ?? probe(realm);
    // the time begins with the first question, not with the last look
    if (!probed.has(realm.href)) probed.set(realm.href, answer);
    return answer;
  };
};
