// What is behind each site's name put together: its upstream, its cache, its ping, its pass-through.

import { openLocal } from "./app-local.ts";
import { noUpstream, openUpstream } from "./app-upstream.ts";
import type { Config } from "./config/config.ts";
import { refuseDisguise } from "./http/disguise.ts";
import type { SiteDoor } from "./http/dispatch.ts";
import { observe } from "./http/observe.ts";
import { passThrough } from "./http/passthrough.ts";
import { pingDoor } from "./http/ping.ts";
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/log.ts";
import { ownAddresses } from "./lib/own-addresses.ts";
import { OciError } from "./oci/error.ts";
import type { Credential, Registry } from "./oci/registry.ts";
import type { OciRequest } from "./oci/request.ts";
import type { OriginStanding } from "./oci/standing.ts";
import { type Care, care } from "./registry/care.ts";
import type { Flights } from "./registry/flights.ts";
import type { Grants } from "./registry/grants.ts";
import { offline } from "./registry/offline.ts";
import { openly } from "./registry/openly.ts";
import { type Policy, policyOf } from "./registry/policy.ts";
import { publicity } from "./registry/publicity.ts";
import { clientRights, sharedRights } from "./registry/rights.ts";
import { type SiteRegistry, siteRegistry } from "./registry/site.ts";
import type { Site } from "./sites.ts";
import type { BlobStore } from "./store/blobs.ts";
import type { FactStore } from "./store/facts.ts";
import { loginOf } from "./upstream/asker.ts";
import { UpstreamResolver } from "./upstream/resolver.ts";
import { trusting } from "./upstream/roots.ts";

export interface SharedParts {
  readonly blobs: BlobStore;
  /** The same, to be looked at: it does not count as a use. */
  readonly disk: BlobStore;
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

export interface OpenSite extends SiteDoor {
  /** How its upstreams, its budgets with them and the queues before them stand, for people; empty where none is asked. */
  readonly standing: () => readonly OriginStanding[];
  readonly care: Care;
}

export interface SiteDoors {
  of(site: Site): OpenSite;
  /** Those that have been asked for. */
  opened(): OpenSite[];
  close(): Promise<void>;
}

interface Opened {
  readonly door: OpenSite;
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
      const known = opened.get(site) ?? open(site, resolver, shared);
      opened.set(site, known);
      return known.door;
    },
    opened: () => [...opened.values()].map(({ door }) => door),
    close: async () => void (await Promise.all([...opened.values()].map((one) => one.close()))),
  };
};

const open = (site: Site, resolver: UpstreamResolver, shared: SharedParts): Opened =>
  site.kind === "local" ? openLocal(site, shared) : openSite(site, resolver, shared);

const openSite = (site: Site, resolver: UpstreamResolver, shared: SharedParts): Opened => {
  const { facts, clock, log, via } = shared;
  const secureContext = trusting(site.trust);
  const upstream = site.offline ? noUpstream(site.host) : openUpstream(site, { ...shared, resolver, secureContext });
  const own = site.access === "shared";
  const policy = policyOf(site);
  const { health } = upstream;
  const rights = own ? sharedRights : clientRights(site, shared.grants, shared.subjectKey, clock);
  const finder = publicity(upstream.anonymous, rights, site.publicFor, log);
  const cacheOver = (asked: Registry, by = rights) =>
    siteRegistry({ ...shared, site, policy, upstream: asked, rights: by, publicity: finder, health });
  const registry = cacheOver(own ? upstream.registry : openly(upstream.registry, upstream.anonymous, rights));
  // with a token of anybody's, unlike a client's first question without one: what is refused to it is public no more
  const asAnybody = cacheOver(upstream.anonymous, { ...rights, refused: (repo) => rights.hidden(repo) });
  const registryFor = (credential: Credential | undefined): SiteRegistry => {
    if (own) return registry;
    if (credential === undefined) return asAnybody;
    const login = loginOf(credential);
    // any other credential is upstream's to judge as it stands
    return login === undefined ? registry : cacheOver(upstream.withLogin(login, credential));
  };
  const first = site.upstreams[0]!;
  const port = Number(first.port) || (first.protocol === "https:" ? 443 : 80);
  const lookup = resolver.lookupFor(port);
  const through = passThrough({ site, upstream: first, lookup, secureContext, via });

  const ping = pingDoor({
    site,
    ask: upstream.ping,
    realmAnswers: upstream.realmAnswers,
    facts,
    rights,
    health,
    clock,
  });
  const door: OpenSite = {
    site,
    registry,
    standing: upstream.standing,
    care: care({ ...shared, blobs: shared.disk, site, policy, rights, health, registryFor }),
    ping: own ? async ({ res }) => void res.writeHead(200, { "content-type": "application/json" }).end("{}") : ping,
    async passThrough(exchange, request) {
      refuseDisguise(request, exchange.path);
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
      finder.close();
      through.close();
      await upstream.close();
    },
  };
};

const refuseByPolicy = (site: Site, policy: Policy, method: string, request: OciRequest): void => {
  const refusal = request.kind === "write" ? policy.refusal(request.repo, request.reference) : undefined;
  if (refusal !== undefined) throw refusal;
  const isWrite = method !== "GET" && method !== "HEAD" && method !== "OPTIONS";
  if (site.offline) throw offline(site.host, "UPSTREAM_UNREACHABLE");
  if (site.readOnly && isWrite) throw new OciError("UNSUPPORTED", `${site.host} is read-only here`);
};
