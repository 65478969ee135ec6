// Tag lists and referrers: always upstream's own word while it can be had; the last one that was held for an outage.
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { isOciError } from "../oci/error.ts";
import type { Context, Listing, ReferrersQuery, Registry, TagQuery } from "../oci/registry.ts";
import type { ListingFact } from "../store/facts.ts";
import { type ConfirmParts, patiently } from "./confirm.ts";

/** A longer document is passed on and not kept. Bytes. */
const MAX_KEPT = 1024 * 1024;

export interface ListingCacheParts extends ConfirmParts {
  readonly clock: Clock;
  readonly log: Logger;
}

type Listed = TagQuery | ReferrersQuery;

export const listingCache = (parts: ListingCacheParts): Pick<Registry, "listTags" | "listReferrers"> => {
  const { upstream } = parts;
  return {
    listTags: (query, ctx) =>
      list(parts, query, `tags n=${query.n ?? ""} last=${query.last ?? ""}`, ctx, () => upstream.listTags(query, ctx)),
    listReferrers: (query, ctx) =>
      list(parts, query, `referrers ${query.digest} ${query.artifactType ?? ""} ${query.page ?? ""}`, ctx, () =>
        upstream.listReferrers(query, ctx),
      ),
  };
};

const list = async (
  parts: ListingCacheParts,
  { repo }: Listed,
  key: string,
  ctx: Context,
  ask: () => Promise<Listing>,
): Promise<Listing> => {
  const { facts, site, clock, health, log } = parts;
  const fact = await facts.listing({ site: site.host, repo, key });
  const standing = fact === undefined ? "none" : await parts.rights.standing(repo, ctx.credential);
  const fallback = standing === "none" || fact === undefined ? undefined : staleListing(fact, clock());
  if (fallback !== undefined && !health.up) return fallback;
  try {
    const listing = await (fallback === undefined ? ask() : patiently(ask(), health));
    // one page of several is of no use to an outage that does not hold the others
    const isWhole = listing.metadata.next === undefined && listing.bytes.length <= MAX_KEPT;
    if (isWhole) {
      const { mediaType, bytes, metadata } = listing;
      await facts
        .putListing(
          { site: site.host, repo, key },
          { mediaType, bytes, filtersApplied: metadata.filtersApplied, checkedAt: clock() },
        )
        .catch((error: unknown) => log.error({ err: String(error) }, "a listing could not be kept"));
    }
    return { ...listing, provenance: { source: "miss" } };
  } catch (error) {
    if (fallback === undefined || !isOciError(error) || !error.isOutage) throw error;
    return fallback;
  }
};

const staleListing = (fact: ListingFact, now: number): Listing => ({
  mediaType: fact.mediaType,
  bytes: fact.bytes,
  provenance: { source: "stale", age: Math.max(0, Math.floor((now - fact.checkedAt) / 1000)) },
  metadata: fact.filtersApplied === undefined ? {} : { filtersApplied: fact.filtersApplied },
});
