// Tag lists and referrers: always upstream's own word while it can be had; the last one that was held for an outage.
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Context, Listing, ReferrersQuery, Registry, TagQuery } from "../oci/registry.ts";
import type { ListingFact, ListingKey } from "../store/facts.ts";
import type { ConfirmParts } from "./confirm.ts";
import { told } from "./told.ts";
import { AWAY, unlessAway } from "./unless-away.ts";

/** A longer document is passed on and not kept. Bytes. */
const MAX_KEPT = 1024 * 1024;

export interface ListingCacheParts extends ConfirmParts {
  readonly clock: Clock;
  readonly log: Logger;
}

type Listed = TagQuery | ReferrersQuery;

/**
 * Which document a question is kept as. Only whole ones, about what the repository is known to hold: a client that makes up
 * pages, filters and digests must not be able to fill the store.
 */
const keyOf = async ({ facts, site }: ListingCacheParts, query: Listed): Promise<ListingKey | undefined> => {
  const { repo } = query;
  if (!("digest" in query))
    return query.n === undefined && query.last === undefined && query.page === undefined
      ? { site: site.host, repo, key: "tags" }
      : undefined;
  if (query.artifactType !== undefined || query.page !== undefined) return undefined;
  const isHeld = told(await facts.link({ site: site.host, repo, digest: query.digest })) !== undefined;
  return isHeld ? { site: site.host, repo, key: `referrers ${query.digest}` } : undefined;
};

export const listingCache = (parts: ListingCacheParts): Pick<Registry, "listTags" | "listReferrers"> => {
  const { upstream } = parts;
  return {
    listTags: (query, ctx) => list(parts, query, ctx, (c) => upstream.listTags(query, c)),
    listReferrers: (query, ctx) => list(parts, query, ctx, (c) => upstream.listReferrers(query, c)),
  };
};

const list = async (
  parts: ListingCacheParts,
  query: Listed,
  ctx: Context,
  ask: (ctx: Context) => Promise<Listing>,
): Promise<Listing> => {
  const { facts, clock } = parts;
  const key = await keyOf(parts, query);
  const fact = key === undefined ? undefined : await facts.listing(key);
  const standing = fact === undefined ? "none" : await parts.rights.standing(query.repo, ctx.credential);
  const fallback = standing === "none" || fact === undefined ? undefined : staleListing(fact, clock());
  const listing = await (fallback === undefined ? ask(ctx) : unlessAway(parts, { ...query, standing }, ctx, ask));
  if (listing === AWAY) return fallback!;
  if (key !== undefined) await keep(parts, key, listing);
  return { ...listing, provenance: { source: "miss" } };
};

const keep = async (
  { facts, clock, log }: ListingCacheParts,
  key: ListingKey,
  { mediaType, bytes, metadata }: Listing,
): Promise<void> => {
  // one page of several is of no use to an outage that does not hold the others
  if (metadata.next !== undefined || bytes.length > MAX_KEPT) return;
  await facts
    .putListing(key, { mediaType, bytes, filtersApplied: metadata.filtersApplied, checkedAt: clock() })
    .catch((error: unknown) => log.error({ err: String(error) }, "a listing could not be kept"));
};

const staleListing = (fact: ListingFact, now: number): Listing => ({
  mediaType: fact.mediaType,
  bytes: fact.bytes,
  provenance: { source: "stale", age: Math.max(0, Math.floor((now - fact.checkedAt) / 1000)) },
  metadata: fact.filtersApplied === undefined ? {} : { filtersApplied: fact.filtersApplied },
});
