// What is behind each site's name put together: its upstream, its cache, its ping, its pass-through.

import type { ServerResponse } from "node:http";
import { DoorsBelow } from "./app-below.ts";
import { openLocal } from "./app-local.ts";
import { namesOf } from "./app-names.ts";
import { openReading } from "./app-reading.ts";
import { sourceBelow, targetBelow } from "./app-source.ts";
import { siteChallenges, siteSubjects } from "./app-subjects.ts";
import { noUpstream, openUpstream } from "./app-upstream.ts";
import type { Config } from "./config/config.ts";
import { refuseDisguise } from "./http/disguise.ts";
import type { SiteDoor } from "./http/dispatch.ts";
import { passThrough } from "./http/passthrough.ts";
import { pingDoor } from "./http/ping.ts";
import { type RealmTap, realmTap } from "./http/realm-tap.ts";
import { writeThrough } from "./http/write-through.ts";
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/log.ts";
import { doorAddresses, ownAddresses } from "./lib/own-addresses.ts";
import type { MirrorSource } from "./mirror/engine.ts";
import { pushTarget } from "./mirror/push-target.ts";
import type { Target } from "./mirror/target.ts";
import type { Mirrored } from "./mirrors.ts";
import { OciError } from "./oci/error.ts";
import type { Credential } from "./oci/registry.ts";
import type { OciRequest } from "./oci/request.ts";
import type { OriginStanding } from "./oci/standing.ts";
import { type Care, care } from "./registry/care.ts";
import { type Challenges, challengesOf } from "./registry/challenges.ts";
import { type Exchanges, exchanges } from "./registry/exchanged.ts";
import type { Flights } from "./registry/flights.ts";
import type { Grants } from "./registry/grants.ts";
import { type PushesUnderWay, pushesUnderWay, watchPush } from "./registry/keep-push.ts";
import { offline } from "./registry/offline.ts";
import { type Policy, policyOf, writeRefusal } from "./registry/policy.ts";
import { hostTable, type Site } from "./sites.ts";
import type { BlobStore } from "./store/blobs.ts";
import { type FactStore, PUBLIC } from "./store/facts.ts";
import { agentTo } from "./upstream/agents.ts";
import { bearerOf } from "./upstream/challenge.ts";
import { UpstreamResolver } from "./upstream/resolver.ts";
import { wayOut } from "./upstream/way.ts";

export interface SharedParts {
  readonly blobs: BlobStore;
  /** The same, to be looked at: it does not count as a use. */
  readonly disk: BlobStore;
  readonly facts: FactStore;
  readonly grants: Grants;
  readonly flights: Flights;
  /** The secret under which credentials are hashed. */
  readonly subjectKey: Uint8Array;
  /** `undefined`: nothing is. */
  readonly mirrored?: Mirrored | undefined;
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
  readonly source: MirrorSource;
  /** `undefined`: a sync writes nothing here. */
  readonly target: Target | undefined;
}

export interface SiteDoors {
  /** That of a host that a wildcard stands for is closed again when nobody uses it; `response`: for what it is used. */
  of(site: Site, response?: ServerResponse): OpenSite;
  /** What a sync reads; of a host that a wildcard stands for through the door that is open at the time. */
  sourceOf(site: Site): MirrorSource;
  /** What a sync writes to. Throws UNSUPPORTED. */
  targetOf(site: Site): Target;
  /** Those that have been asked for. */
  opened(): OpenSite[];
  close(): Promise<void>;
}

/** What one site hears and another may make use of: a realm is often under another name than its registry. */
interface Common extends SharedParts {
  readonly data: string;
  readonly challenges: Challenges;
  readonly exchanges: Exchanges;
  readonly realmTap: RealmTap;
  readonly isHijacked: (host: string) => boolean;
  readonly pushes: PushesUnderWay;
}

interface Opened {
  readonly door: OpenSite;
  close(): Promise<void>;
}

export const openSites = (config: Config, shared: SharedParts): SiteDoors => {
  const isOurs = ownAddresses(doorAddresses(config.listen));
  const upstreamNames = namesOf(config, shared.log);
  const resolver = new UpstreamResolver({ names: upstreamNames, isOurs });
  const heard = { challenges: challengesOf(shared.facts, bearerOf), exchanges: exchanges() };
  const pushes = pushesUnderWay();
  const names = hostTable(config, (site) => site);
  const isHijacked = (host: string) => names.find(host) !== undefined;
  const tap = realmTap({
    ...heard,
    sites: () => [...config.sites, ...below.opened().map(({ site }) => site)],
    secret: shared.subjectKey,
    clock: shared.clock,
  });
  const common = { ...shared, ...heard, pushes, isHijacked, data: config.data, realmTap: tap };
  const below = new DoorsBelow<OpenSite>((site) => open(site, resolver, common), shared.log);
  // most installations use a few of the sites: the others cost nothing until they are asked for
  const opened = new Map<Site, Opened>();
  const named = (site: Site): OpenSite => {
    const known = opened.get(site) ?? open(site, resolver, common);
    opened.set(site, known);
    return known.door;
  };
  return {
    of: (site, response) => (site.wildcard === undefined ? named(site) : below.of(site, response)),
    targetOf(site) {
      if (site.offline) throw offline(site.host, "UNSUPPORTED");
      return site.wildcard === undefined ? named(site).target! : targetBelow(() => below.enter(site));
    },
    sourceOf: (site) => (site.wildcard === undefined ? named(site).source : sourceBelow(() => below.enter(site))),
    opened: () => [...[...opened.values()].map(({ door }) => door), ...below.opened()],
    async close() {
      await Promise.all([below.close(), ...[...opened.values()].map((one) => one.close())]);
      await pushes.close();
      upstreamNames.close();
    },
  };
};

const open = (site: Site, resolver: UpstreamResolver, shared: Common): Opened =>
  site.kind === "local" ? openLocal(site, shared) : openSite(site, resolver, shared);

const openSite = (site: Site, resolver: UpstreamResolver, shared: Common): Opened => {
  const { facts, clock, via } = shared;
  const way = wayOut(site, resolver);
  const subjectOf = (credential: Credential | undefined) => (credential === undefined ? PUBLIC : subjects.of(credential).subject);
  const upstream = site.offline ? noUpstream(site.host) : openUpstream(site, { ...shared, way, subjectOf });
  const challenges = siteChallenges(site, upstream, shared);
  const subjects = siteSubjects(site, upstream, { ...shared, challenges });
  const { pushing } = upstream.forSync;
  const policy = policyOf(site, shared.mirrored);
  const { health, realmAnswers } = upstream;
  const reading = openReading(site, upstream, { ...shared, policy, subjects, challenges });
  const { rights, registry, registryFor } = reading;
  const first = site.upstreams[0]!;
  const through = passThrough({ site, upstream: first, agent: agentTo(first, way), passing: upstream.passing, via });
  const keeping = { ...shared, ...shared.pushes, site };
  const writes = writeThrough(
    { ...shared, ...shared.pushes, site, policy, watch: (push, request) => watchPush(keeping, push, request) },
    through.forward,
  );

  const ping = pingDoor({
    site,
    ask: async (ctx) => {
      const answer = await upstream.ping(ctx);
      if (answer.status === 401) shared.challenges.heard(site.host, answer.challenges);
      return answer;
    },
    realmAnswers,
    realmIsGone: upstream.realmIsGone,
    facts,
    rights,
    health,
    clock,
  });
  const door: OpenSite = {
    site,
    registry,
    mirror: reading.mirror,
    source: reading.source,
    target: pushing && pushTarget({ site: site.host, ...pushing }),
    standing: upstream.standing,
    care: care({ ...shared, blobs: shared.disk, site, policy, rights, health, registryFor }),
    ping:
      site.access === "shared"
        ? async ({ res }) => void res.writeHead(200, { "content-type": "application/json" }).end("{}")
        : ping,
    async passThrough(exchange, request) {
      refuseDisguise(request, exchange.path);
      const tap = request.kind === "other" ? await shared.realmTap(exchange) : undefined;
      refuseByPolicy(site, policy, exchange.method, request, tap !== undefined);
      resolver.refuseOurs(first);
      await writes.pass(exchange, request, tap);
    },
  };
  return {
    door,
    async close() {
      reading.close();
      through.close();
      await writes.close();
      await upstream.close();
    },
  };
};

/** Who asks for a token by POST writes nothing. */
const refuseByPolicy = (site: Site, policy: Policy, method: string, request: OciRequest, isForToken: boolean): void => {
  const refusal = request.kind === "write" ? writeRefusal(policy, request) : undefined;
  if (refusal !== undefined) throw refusal;
  const isWrite = method !== "GET" && method !== "HEAD" && method !== "OPTIONS";
  if (site.offline) throw offline(site.host, "UPSTREAM_UNREACHABLE");
  if (site.readOnly && isWrite && !isForToken) throw new OciError("UNSUPPORTED", `${site.host} is read-only here`);
};
