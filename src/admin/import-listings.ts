// Tag lists and referrers of an upstream's site are upstream's own documents (registry/listing-cache.ts). Of what is imported where no upstream can be
// asked there is none: the ones that are kept are written on. As soon as upstream answers, its own take their place.
import type { Clock } from "../lib/clock.ts";
import type { Digest } from "../oci/digest.ts";
import { INDEX_TYPE } from "../oci/image-layout.ts";
import { parseObject } from "../oci/json.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { FactStore } from "../store/facts.ts";

interface Parts {
  readonly facts: FactStore;
  readonly clock: Clock;
}

interface Place {
  readonly site: string;
  readonly repo: Repository;
}

export const listTag = (parts: Parts, place: Place, tag: Tag): Promise<void> =>
  change(parts, place, "tags", "application/json", ({ tags }) => ({
    name: place.repo,
    tags: [...new Set([...listOf(tags).filter((name) => typeof name === "string"), tag as string])].sort(),
  }));

export const listReferrer = (parts: Parts, place: Place, subject: Digest, descriptor: { digest: Digest }): Promise<void> =>
  change(parts, place, `referrers ${subject}`, INDEX_TYPE, ({ manifests }) => ({
    schemaVersion: 2,
    mediaType: INDEX_TYPE,
    manifests: [...listOf(manifests).filter((one) => (one as { digest?: unknown }).digest !== descriptor.digest), descriptor],
  }));

const change = async (
  { facts, clock }: Parts,
  place: Place,
  key: string,
  mediaType: string,
  next: (now: Record<string, unknown>) => object,
): Promise<void> => {
  const now = await facts.listing({ ...place, key });
  const bytes = Buffer.from(JSON.stringify(next(parseObject(now?.bytes ?? Buffer.alloc(0)) ?? {})));
  await facts.putListing({ ...place, key }, { mediaType, bytes, filtersApplied: undefined, checkedAt: clock() });
};

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
