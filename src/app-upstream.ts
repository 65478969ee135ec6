// What stands between a site and its upstreams put together: their breakers, budgets and slots, and the ways in which they are asked.
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/log.ts";
import { ownContext } from "./oci/own-context.ts";
import type { Pusher } from "./oci/pusher.ts";
import type { Context, Credential, Registry } from "./oci/registry.ts";
import type { OriginStanding } from "./oci/standing.ts";
import { noSource, offline, offlineHealth, offlineRegistry } from "./registry/offline.ts";
import type { Health } from "./registry/witness.ts";
import type { OwnCredentials, Site } from "./sites.ts";
import { asAnybody, asClient, asLayover, withoutChallenge } from "./upstream/asker.ts";
import { Breaker } from "./upstream/breaker.ts";
import { type Catalogue, catalogueOf } from "./upstream/catalogue.ts";
import { upstreamRegistry } from "./upstream/client.ts";
import { credentialsOf, fixed } from "./upstream/credentials.ts";
import { readDocument } from "./upstream/document.ts";
import { UpstreamHealth } from "./upstream/health.ts";
import { Limits } from "./upstream/limits.ts";
import { ownRealms } from "./upstream/own-realms.ts";
import { Passing } from "./upstream/passing.ts";
import { lookAt, type PingAnswer, pingUpstream } from "./upstream/ping.ts";
import { pusherTo } from "./upstream/push.ts";
import { realmProbe } from "./upstream/realm.ts";
import { realmWatch } from "./upstream/realm-watch.ts";
import { Tokens } from "./upstream/token.ts";
import { Transport } from "./upstream/transport.ts";
import type { AskingParts, Upstream } from "./upstream/turn.ts";
import type { Way } from "./upstream/way.ts";

export interface UpstreamParts {
  readonly way: Way;
  /** Whose a question is. */
  readonly subjectOf: (credential: Credential | undefined) => string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly via: string;
  readonly version: string;
}

export interface OpenUpstream {
  /** As the site is read: by the client's own credential, or by ours. */
  readonly registry: Registry;
  /** As anybody, fetching anonymous tokens; what little is left of a budget is left to clients. */
  readonly anonymous: Registry;
  /** By a login that somebody has given us for it, tokens fetched where that takes them. */
  readonly withLogin: (login: OwnCredentials, credential: Credential) => Registry;
  /** As a sync asks: by the site's own credentials where it has some, else as anybody. */
  readonly forSync: {
    readonly isOwn: boolean;
    readonly registry: Registry;
    readonly listRepositories: Catalogue;
    /** What it writes with; `undefined`: nobody is to be asked. */
    readonly pushing: { readonly registry: Registry; readonly pusher: Pusher } | undefined;
  };
  readonly ping: (ctx: Context) => Promise<PingAnswer>;
  /** A text at any URL, by the same ways and under the same roots. */
  readonly document: (url: URL, signal: AbortSignal) => Promise<string>;
  readonly realmAnswers: (challenges: readonly string[]) => Promise<boolean>;
  readonly realmIsGone: (challenges: readonly string[]) => Promise<boolean>;
  readonly health: Health;
  /** For what is passed through to the first of them. */
  readonly passing: Pick<Passing, "enter" | "answered" | "unreachable">;
  readonly standing: () => readonly OriginStanding[];
  close(): Promise<void>;
}

/** What a look for an upstream that is away may take. Milliseconds. */
const LOOK_WITHIN = 4_000;

export const openUpstream = (site: Site, parts: UpstreamParts): OpenUpstream => {
  const { way, subjectOf, clock, log, via, version } = parts;
  const { concurrency } = site;
  const transport = new Transport({ ...way, via, userAgent: `layover/${version}`, concurrency });
  const upstreams = site.upstreams.map((url) => upstreamAt(site, url, transport, parts));
  const health = new UpstreamHealth(upstreams, transport);
  const passing = new Passing(upstreams[0]!.breaker);
  const tokens = new Tokens(transport, clock);
  const realms = ownRealms(site, log);
  const asking = { upstreams, transport, clock };
  const asAny = { ...asking, asker: asAnybody(tokens), payer: () => "anybody" };
  const isShared = site.access === "shared";
  const isOwn = isShared || site.credentials !== undefined;
  const own = () => withoutChallenge(asLayover(realms, tokens, credentialsOf(site.credentials ?? {}, log)));
  const asOurselves = isOwn ? { ...asking, asker: own(), payer: () => "ourselves" } : asAny;
  const byClient = { ...asking, asker: asClient, payer: ({ credential }: Context) => subjectOf(credential) };
  const asSite = isShared ? asOurselves : byClient;
  return {
    registry: upstreamRegistry(asSite),
    anonymous: upstreamRegistry(asAny),
    forSync: {
      isOwn,
      registry: upstreamRegistry(asOurselves),
      listRepositories: catalogueOf(asOurselves),
      pushing: pushingTo({ ...asOurselves, actions: "pull,push", payer: () => "pushes" }),
    },
    withLogin: (login, credential) =>
      upstreamRegistry({
        ...asking,
        asker: asLayover(realms, tokens, fixed(login)),
        payer: () => subjectOf(credential),
      }),
    ping: (ctx) => pingUpstream(asSite, ctx),
    document: (url, signal) => readDocument(transport, url, signal),
    realmAnswers: realmProbe(transport, site.upstreams[0]!, () => performance.now()),
    realmIsGone: realmWatch(transport, site.upstreams[0]!, () => performance.now()),
    health,
    passing,
    standing: () => health.standing.map((one, nth) => (nth === 0 ? { ...one, passing: passing.underWay } : one)),
    async close() {
      health.close();
      await transport.close();
    },
  };
};

/** In place of one that is never to be asked: no look-up, no connection, no look for it. */
export const noUpstream = (host: string): OpenUpstream => {
  const registry = offlineRegistry(host);
  return {
    registry,
    anonymous: registry,
    withLogin: () => registry,
    forSync: { isOwn: false, pushing: undefined, ...noSource(host) },
    ping: () => Promise.reject(offline(host, "UPSTREAM_UNREACHABLE")),
    document: () => Promise.reject(offline(host, "UPSTREAM_UNREACHABLE")),
    realmAnswers: () => Promise.resolve(false),
    realmIsGone: () => Promise.resolve(false),
    health: offlineHealth,
    passing: {
      enter: () => Promise.reject(offline(host, "UPSTREAM_UNREACHABLE")),
      answered: () => undefined,
      unreachable: () => undefined,
    },
    standing: () => [],
    close: () => Promise.resolve(),
  };
};

/** Both at the first alone: what is read of a target is of where it is written. */
const pushingTo = (asking: AskingParts) => ({
  registry: upstreamRegistry({ ...asking, upstreams: asking.upstreams.slice(0, 1) }),
  pusher: pusherTo(asking),
});

const upstreamAt = (site: Site, url: URL, transport: Transport, { clock, log }: UpstreamParts): Upstream => {
  const name = url.origin;
  const now = () => performance.now();
  const look = () => lookAt(url, transport, clock, ownContext("look", AbortSignal.timeout(LOOK_WITHIN)));
  const breaker = new Breaker({ site: site.host, name, look, log, now, clock });
  transport.lines.watch(url.origin, breaker);
  return { url, breaker, limits: new Limits({ name, now }) };
};
