// What one site's reads go through, from the outside in: policy, an ill store, HEAD before a push, refusals, cache, witness, upstream.
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { OciError } from "../oci/error.ts";
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
import { mirroredLists, withBackups } from "./mirrored-lists.ts";
import { negotiate } from "./negotiate.ts";
import { onlyMirrored, withheld } from "./only-mirrored.ts";
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
  /** What a sync reads is what the mirror is to hold: nothing is refused for not being there yet. */
  readonly isForSync?: boolean | undefined;
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
  const isRefusing = parts.isForSync !== true && refusesAny(site);
  const mirrored = { ...parts, upstream };
  // what is asked is one thing, what may be fetched another
  const source = isRefusing ? onlyMirrored(upstream, mirrored) : upstream;
  const asked = { ...parts, upstream, source, isRefusing };
  const tags = new Tags({
    ...asked,
    isHeld: async (digest) => (await blobs.stat(digest)) !== undefined,
    keep: (manifest) => keepManifest(parts, manifest),
  });
  const fetch = manifestFetch({ ...asked, tags });
  const listed = withBackups(listingCache(asked), parts);
  const lists = isRefusing ? mirroredLists(listed, mirrored) : listed;
  const cache: Registry = { ...blobCache(asked), ...manifestCache({ ...asked, tags, fetch }), ...lists };
  const challenges = async () => ((await facts.ping(site.host))?.status ?? 200) === 401;
  const even = alike(cache, {
    ...parts,
    questions,
    tags,
    upstream: uncached(isRefusing ? withheld(upstream, mirrored) : upstream),
  });
  const careful = negotiate(beforePush(even, { ...asked, tags, challenges }), { upstream: source, tags });
  const instead = isRefusing ? unlessRefusing(uncached(upstream), policy) : uncached(upstream);
  const whole = askLogin(degrade(careful, instead, parts.log), parts);
  const open = site.allow.length + site.rules.length === 0 ? whole : permitted(whole, policy);
  return { ...open, refresh: (repo, tag, ctx) => refresh({ policy, tags, blobs, fetch }, repo, tag, ctx) };
};

const refusesAny = ({ onMissing, rules }: Site): boolean =>
  onMissing === "refuse" || rules.some((rule) => rule.onMissing === "refuse");

/** Where only what is mirrored is to be had nothing else is, while the store cannot give it. */
const unlessRefusing = (upstream: Registry, policy: Policy): Registry =>
  intercept(upstream, (_operation, query, ctx, next) => {
    const { onMissing } =
      "reference" in query ? policy.of(query.repo, query.reference as Reference) : policy.ofDigests(query.repo);
    if (onMissing === "cache") return next(query, ctx);
    return Promise.reject(new OciError("UNAVAILABLE", "the store fails, and nothing but what it holds is given here"));
  });

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
