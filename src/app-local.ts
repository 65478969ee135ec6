// A hosted site put together: its content and its writes over the stores, and around both who may, what may be, and whether at all.
import type { SiteDoor } from "./http/dispatch.ts";
import type { Exchange } from "./http/exchange.ts";
import { hostedDoor } from "./http/hosted.ts";
import { Bcrypt } from "./lib/bcrypt.ts";
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/log.ts";
import { Turns } from "./lib/turns.ts";
import type { MirrorSource } from "./mirror/engine.ts";
import { hostedTarget } from "./mirror/hosted-target.ts";
import type { Target } from "./mirror/target.ts";
import type { Mirrored } from "./mirrors.ts";
import type { Hosted } from "./oci/hosted.ts";
import type { Repository } from "./oci/reference.ts";
import type { Registry } from "./oci/registry.ts";
import { beforeWrites, readOnly, writesPermitted } from "./registry/before-writes.ts";
import type { Care } from "./registry/care.ts";
import type { Flights } from "./registry/flights.ts";
import { hosted } from "./registry/hosted.ts";
import { intercept } from "./registry/intercept.ts";
import { localRegistry } from "./registry/local.ts";
import { localCare } from "./registry/local-care.ts";
import { type Policy, policyOf } from "./registry/policy.ts";
import { permitted } from "./registry/site.ts";
import { subjectOf } from "./registry/subject.ts";
import { LIMITS, STRANGERS, Uploads } from "./registry/uploads.ts";
import { type Admit, admitUsers } from "./registry/users.ts";
import type { Site } from "./sites.ts";
import type { BlobStore } from "./store/blobs.ts";
import type { FactStore } from "./store/facts.ts";

export interface LocalSiteParts {
  readonly blobs: BlobStore;
  /** The same, to be looked at: it does not count as a use. */
  readonly disk: BlobStore;
  readonly facts: FactStore;
  readonly flights: Flights;
  /** The secret under which credentials are hashed. */
  readonly subjectKey: Uint8Array;
  /** `undefined`: nothing is. */
  readonly mirrored?: Mirrored | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface LocalDoor extends SiteDoor {
  readonly standing: () => readonly never[];
  readonly care: Care;
  readonly source: MirrorSource;
  readonly target: Target;
}

export interface LocalSite {
  readonly door: LocalDoor;
  close(): Promise<void>;
}

export const openLocal = (site: Site, parts: LocalSiteParts): LocalSite => {
  const { blobs, disk, facts, flights, subjectKey, clock, log } = parts;
  const policy = policyOf(site, parts.mirrored);
  const bcrypt = new Bcrypt();
  const { host, users: file } = site;
  const uploads = new Uploads(blobs, clock, file === undefined ? STRANGERS : LIMITS);
  const admit: Admit = file === undefined ? () => Promise.resolve() : admitUsers({ host, file, subjectKey, bcrypt, clock, log });
  // without users nobody is told apart: a credential that a client sends all the same means nothing
  const owner =
    file === undefined ? () => "" : ({ credential }: { credential?: string | undefined }) => subjectOf(credential, subjectKey);
  const turns = new Turns<Repository>();
  const writes = hosted({ site, blobs, facts, policy, uploads, subjectOf: owner, clock, turns });
  const local = localRegistry({ site, blobs, facts });
  const registry = reading(local, policy, admit);
  return {
    door: {
      site,
      registry,
      mirror: registry,
      source: { upstream: local, cache: local, listRepositories: (query, ctx) => writes.listRepositories(query, ctx) },
      target: hostedTarget({ site: host, blobs, flights, facts, clock, inTurn: (repo, work) => turns.take(repo, work) }),
      standing: () => [],
      care: localCare({ site, policy, blobs: disk, facts, clock }),
      ping: (exchange) => ping(exchange, admit),
      passThrough: hostedDoor(writing(site, writes, policy, admit)),
    },
    async close() {
      await uploads.close();
      await bcrypt.close();
    },
  };
};

const reading = (inner: Registry, policy: Policy, admit: Admit): Registry =>
  intercept(permitted(inner, policy), async (_operation, query, ctx, next) => {
    await admit(ctx);
    return next(query, ctx);
  });

/** From the outside in: who it is, whether anything is written here, and what the rules deny. */
const writing = (site: Site, inner: Hosted, policy: Policy, admit: Admit): Hosted => {
  const allowed = writesPermitted(inner, policy);
  return beforeWrites(site.readOnly ? readOnly(allowed, site.host) : allowed, (_operation, _about, ctx) => admit(ctx));
};

/** 200 to whoever may use the site, else the challenge that makes a client log in. */
const ping = async ({ ctx, res, note }: Exchange, admit: Admit): Promise<void> => {
  await admit(ctx);
  note.verdict = "HOSTED";
  res.writeHead(200, {
    "docker-distribution-api-version": "registry/2.0",
    "content-type": "application/json",
    "content-length": 2,
  });
  res.end("{}");
};
