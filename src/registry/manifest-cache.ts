// Manifests of one site, by digest and by tag: held bytes through a right and a link, else upstream's, verified and kept on their way.
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Digest } from "../oci/digest.ts";
import { isOciError } from "../oci/error.ts";
import { isDigestReference, type Repository, type Tag } from "../oci/reference.ts";
import {
  type Context,
  MAX_MANIFEST,
  type Manifest,
  type ManifestQuery,
  type ManifestStat,
  type Provenance,
  type Registry,
} from "../oci/registry.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { TagFact } from "../store/facts.ts";
import { type ConfirmParts, confirm, provenanceOf, stillThere } from "./confirm.ts";
import type { ManifestFetch } from "./manifest-fetch.ts";
import { meanwhile, NOT_HELD } from "./meanwhile.ts";
import { stays } from "./staying.ts";
import type { FetchLate, Resolved, Tags } from "./tags.ts";
import { told } from "./told.ts";

export interface ManifestCacheParts extends ConfirmParts {
  readonly blobs: BlobStore;
  readonly tags: Tags;
  /** Upstream, as far as anything is fetched from it. */
  readonly source: Registry;
  /** Whether only what is mirrored may be had, where the policy says so. */
  readonly isRefusing: boolean;
  readonly fetch: ManifestFetch;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface ManifestCache {
  getManifest(query: ManifestQuery, ctx: Context): Promise<Manifest>;
  statManifest(query: ManifestQuery, ctx: Context): Promise<ManifestStat>;
}

export const manifestCache = (parts: ManifestCacheParts): ManifestCache => {
  const { source, tags, fetch, policy } = parts;
  const served = meanwhile(parts);

  const byTag = async (repo: Repository, tag: Tag, ctx: Context): Promise<Manifest | undefined> => {
    const fact = await tags.fact(repo, tag);
    // a tag that nothing is known of is fetched at once: a HEAD before it would be a question more
    if (fact?.digest === undefined) return undefined;
    const ruling = policy.of(repo, tag);
    // what is only cached is none of the mirror's
    if (parts.isRefusing && ruling.onMissing === "refuse" && !stays(fact, ruling)) return undefined;
    const early = served(repo, tag, fact, ctx);
    const resolved = (early && (await early)) ?? (await resolveOrKeep(parts, repo, tag, fact, ctx));
    const manifest = await held(parts, { repo, reference: tag }, resolved.digest, ctx);
    if (manifest === undefined) return undefined;
    return { ...manifest, provenance: tagProvenance(resolved, manifest.provenance) };
  };

  const find = (query: ManifestQuery, ctx: Context): Promise<Manifest | undefined> => {
    const { repo, reference } = query;
    return isDigestReference(reference) ? held(parts, query, reference, ctx) : byTag(repo, reference, ctx);
  };

  return {
    async getManifest(query, ctx) {
      return (await find(query, ctx)) ?? fetch(await tags.settled(query), ctx, () => find(query, ctx));
    },
    async statManifest(query, ctx) {
      const manifest = await find(query, ctx);
      if (manifest !== undefined) return statOf(manifest);
      const { repo, reference } = await tags.settled(query);
      if (isDigestReference(reference)) return source.statManifest({ repo, reference }, ctx);
      const isRefused = parts.isRefusing && policy.of(repo, reference).onMissing === "refuse";
      return isRefused ? source.statManifest({ repo, reference }, ctx) : tags.ask(repo, reference, ctx);
    },
  };
};

const statOf = ({ descriptor, provenance, metadata }: Manifest): ManifestStat => ({ descriptor, provenance, metadata });

const tagProvenance = ({ how, age }: Resolved, byDigest: Provenance): Provenance => {
  if (how === "stale" || byDigest.source === "stale") return { source: "stale", age: Math.floor(age / 1000) };
  return { source: how === "confirmed" ? "revalidated" : "hit", age: Math.floor(age / 1000) };
};

/** Upstream's 404 for a tag that is held goes by `onGone`, once the right to know has been shown. */
const resolveOrKeep = async (
  parts: ManifestCacheParts,
  repo: Repository,
  tag: Tag,
  fact: TagFact,
  ctx: Context,
): Promise<Resolved> => {
  const { tags, facts, site, policy, fetch } = parts;
  try {
    const late: FetchLate = (reference, c) => fetch({ repo, reference }, c, NOT_HELD);
    return await tags.resolve(repo, tag, fact, ctx, late);
  } catch (error) {
    if (!isOciError(error) || !error.isUnknown) throw error;
    const digest = (await tags.fact(repo, tag))?.digest;
    if (digest === undefined || told(await facts.link({ site: site.host, repo, digest })) === undefined) throw error;
    const { onGone } = policy.of(repo, tag);
    await stillThere(parts, { repo, digest, onGone }, ctx, error, () => tags.forget(repo, tag));
    return { digest, how: "stale", age: 0 };
  }
};

/** `undefined`: not held. Throws where this client may not have it. */
const held = async (
  parts: ManifestCacheParts,
  { repo, reference }: ManifestQuery,
  digest: Digest,
  ctx: Context,
): Promise<Manifest | undefined> => {
  const { blobs, facts, site, upstream, policy, tags } = parts;
  const bytes = await blobs.readAll(digest, MAX_MANIFEST);
  if (bytes === undefined) return undefined;
  const key = { site: site.host, repo, digest };
  const link = told(await facts.link(key));
  const confirmation = await confirm(
    parts,
    {
      repo,
      digest,
      linked: link?.mediaType !== undefined,
      onGone: policy.of(repo, reference).onGone,
      // what a client names is what is asked for, as where it is not held
      ask: async (c) => {
        const { reference: named } = await tags.settled({ repo, reference });
        return isDigestReference(named) ? upstream.statManifest({ repo, reference: named }, c) : tags.ask(repo, named, c);
      },
    },
    ctx,
  );
  // a question may have made the link
  const mediaType = (confirmation.how === "asked" ? told(await facts.link(key)) : link)?.mediaType;
  if (mediaType === undefined) return undefined;
  const provenance = provenanceOf(confirmation);
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes, provenance, metadata: {} };
};
