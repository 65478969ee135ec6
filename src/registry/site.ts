// What one site's reads go through, from the outside in: policy, an ill store, HEAD before a push, refusals, cache, witness, upstream.
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Reference, Repository, Tag } from "../oci/reference.ts";
import type { Context, Registry } from "../oci/registry.ts";
import type { Site } from "../sites.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";
import { alike, Questions } from "./alike.ts";
import { askLogin } from "./ask-login.ts";
import { beforePush } from "./before-push.ts";
import { blobCache } from "./blob-cache.ts";
import { degrade } from "./degrade.ts";
import type { Flights } from "./flights.ts";
import { intercept } from "./intercept.ts";
import { keepManifest } from "./keep-manifest.ts";
import { listingCache } from "./listing-cache.ts";
import { manifestCache } from "./manifest-cache.ts";
import { manifestFetch } from "./manifest-fetch.ts";
import { negotiate } from "./negotiate.ts";
import type { Policy } from "./policy.ts";
import type { Publicity } from "./publicity.ts";
import { type Refreshed, refresh } from "./refresh.ts";
import type { Rights } from "./rights.ts";
import { Tags } from "./tags.ts";
import { verified } from "./verified.ts";
import { type Health, witness } from "./witness.ts";

export interface SiteParts {
  readonly site: Site;
  readonly policy: Policy;
  readonly upstream: Registry;
  readonly blobs: BlobStore;
  readonly facts: FactStore;
  readonly flights: Flights;
  readonly rights: Rights;
  readonly publicity: Pick<Publicity, "find">;
  readonly health: Health;
  /** Whether the realm of one of these challenges can be reached: any HTTP answer counts. */
  readonly realmAnswers: (challenges: readonly string[]) => Promise<boolean>;
  /** Whether it can be told here whom a token is for. */
  readonly tellsTokens: () => Promise<boolean>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The site as clients read it, and what else can be asked of its cache. */
export interface SiteRegistry extends Registry {
  /** Throws OciError. */
  refresh(repo: Repository, tag: Tag, ctx: Context): Promise<Refreshed>;
}

export const siteRegistry = (parts: SiteParts): SiteRegistry => {
  const { site, policy, blobs, facts, publicity } = parts;
  const questions = new Questions();
  const upstream = questions.noted(
    witness(parts.upstream, { ...parts, granted: (operation, query) => publicity.find(operation, query) }),
  );
  const asked = { ...parts, upstream };
  const tags = new Tags({
    ...asked,
    isHeld: async (digest) => (await blobs.stat(digest)) !== undefined,
    keep: (manifest) => keepManifest(parts, manifest),
  });
  const fetch = manifestFetch({ ...asked, tags });
  const cache: Registry = { ...blobCache(asked), ...manifestCache({ ...asked, tags, fetch }), ...listingCache(asked) };
  const challenges = async () => ((await facts.ping(site.host))?.status ?? 200) === 401;
  const even = alike(cache, { ...parts, questions, tags, upstream: uncached(upstream) });
  const careful = negotiate(beforePush(even, { ...asked, tags, challenges }), { upstream, tags });
  const whole = askLogin(degrade(careful, uncached(upstream), parts.log), parts);
  const open = site.allow.length + site.rules.length === 0 ? whole : permitted(whole, policy);
  return { ...open, refresh: (repo, tag, ctx) => refresh({ policy, tags, blobs, fetch }, repo, tag, ctx) };
};

/** Upstream's answers as they are, checked where they are whole, and marked as not kept. */
const uncached = (upstream: Registry): Registry =>
  intercept(
    { ...upstream, getBlob: async (query, ctx) => verified(await upstream.getBlob(query, ctx)) },
    async (_operation, query, ctx, next) => ({ ...(await next(query, ctx)), provenance: { source: "uncached" } }),
  );

/** Only what the site's configuration lets anybody ask for. */
export const permitted = (inner: Registry, policy: Policy): Registry =>
  intercept(inner, (_operation, query, ctx, next) => {
    const reference = "reference" in query ? (query.reference as Reference) : undefined;
    const refusal = policy.refusal(query.repo, reference);
    return refusal === undefined ? next(query, ctx) : Promise.reject(refusal);
  });
