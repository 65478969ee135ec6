// What one site's reads go through, from the outside in: policy, an ill store, HEAD before a push, cache, witness, upstream.
import type { Clock } from "../lib/clock.ts";
import { globMatcher } from "../lib/glob.ts";
import type { Logger } from "../lib/log.ts";
import { OciError } from "../oci/error.ts";
import type { Registry } from "../oci/registry.ts";
import type { Site } from "../sites.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";
import { beforePush } from "./before-push.ts";
import { blobCache } from "./blob-cache.ts";
import { degrade } from "./degrade.ts";
import type { Flights } from "./flights.ts";
import { intercept } from "./intercept.ts";
import { listingCache } from "./listing-cache.ts";
import { manifestCache } from "./manifest-cache.ts";
import type { Publicity } from "./publicity.ts";
import type { Rights } from "./rights.ts";
import { Tags } from "./tags.ts";
import { verified } from "./verified.ts";
import { type Health, witness } from "./witness.ts";

export interface SiteParts {
  readonly site: Site;
  readonly upstream: Registry;
  readonly blobs: BlobStore;
  readonly facts: FactStore;
  readonly flights: Flights;
  readonly rights: Rights;
  readonly publicity: Pick<Publicity, "find">;
  readonly health: Health;
  readonly clock: Clock;
  readonly log: Logger;
}

export const siteRegistry = (parts: SiteParts): Registry => {
  const { site, blobs, facts, publicity } = parts;
  const upstream = witness(parts.upstream, { ...parts, granted: (operation, query) => publicity.find(operation, query) });
  const asked = { ...parts, upstream };
  const tags = new Tags({ ...asked, isHeld: async (digest) => (await blobs.stat(digest)) !== undefined });
  const cache: Registry = { ...blobCache(asked), ...manifestCache({ ...asked, tags }), ...listingCache(asked) };
  const challenges = async () => ((await facts.ping(site.host))?.status ?? 200) === 401;
  const careful = beforePush(cache, { ...asked, tags, challenges });
  return allowed(degrade(careful, uncached(upstream), parts.log), site.allow);
};

/** Upstream's answers as they are, checked where they are whole, and marked as not kept. */
const uncached = (upstream: Registry): Registry =>
  intercept(
    { ...upstream, getBlob: async (query, ctx) => verified(await upstream.getBlob(query, ctx)) },
    async (_operation, query, ctx, next) => ({ ...(await next(query, ctx)), provenance: { source: "uncached" } }),
  );

/** Only repositories that match one of the globs; with none, all. */
const allowed = (inner: Registry, globs: readonly string[]): Registry => {
  if (globs.length === 0) return inner;
  const matches = globMatcher(globs);
  return intercept(inner, async (_operation, query, ctx, next) => {
    if (!matches(query.repo)) throw new OciError("DENIED", `this site is not configured to serve ${query.repo}`);
    return next(query, ctx);
  });
};
