// What is fetched from upstream where only what is mirrored is to be had (`onMissing: refuse`): parts of mirrored images that were lost, and
// nothing else. Who has no right hears upstream's own no, as for what is held; a question is not a fetch, and goes upstream as ever.
import { isOciError, OciError } from "../oci/error.ts";
import { isDigestReference, type Reference, type Repository } from "../oci/reference.ts";
import type { BlobQuery, Context, ManifestQuery, Registry } from "../oci/registry.ts";
import type { Site } from "../sites.ts";
import { type MirroredParts, mirroredFor } from "./mirrored-for.ts";
import { type NotMirrored, notMirrored } from "./not-mirrored.ts";
import type { Rights } from "./rights.ts";

export interface OnlyMirroredParts extends MirroredParts {
  readonly site: Site;
  readonly rights: Pick<Rights, "standing">;
}

/** In upstream's place for whatever fetches. */
export const onlyMirrored = (upstream: Registry, parts: OnlyMirroredParts): Registry => {
  const manifest = async (query: ManifestQuery, ctx: Context) => {
    const refusal = await refusalOf(parts, query.repo, query.reference);
    if (refusal !== undefined) await refuse(parts, refusal, query.repo, ctx, (c) => upstream.statManifest(query, c));
  };
  const blob = async ({ repo, digest }: BlobQuery, ctx: Context) => {
    const refusal = await refusalOf(parts, repo, digest);
    if (refusal !== undefined) await refuse(parts, refusal, repo, ctx, (c) => upstream.statBlob({ repo, digest }, c));
  };
  return {
    ...upstream,
    getManifest: (query, ctx) => manifest(query, ctx).then(() => upstream.getManifest(query, ctx)),
    statManifest: (query, ctx) => manifest(query, ctx).then(() => upstream.statManifest(query, ctx)),
    getBlob: (query, ctx) => blob(query, ctx).then(() => upstream.getBlob(query, ctx)),
    statBlob: (query, ctx) => blob(query, ctx).then(() => upstream.statBlob(query, ctx)),
  };
};

/** Upstream is asked the very same, for the sake of its no; its yes is kept from whoever gets one. */
export const withheld = (upstream: Registry, parts: OnlyMirroredParts): Registry => ({
  ...upstream,
  async getManifest(query, ctx) {
    const answer = await upstream.getManifest(query, ctx);
    const refusal = await refusalOf(parts, query.repo, query.reference);
    if (refusal !== undefined) throw refusal;
    return answer;
  },
  async getBlob(query, ctx) {
    const answer = await upstream.getBlob(query, ctx);
    const refusal = await refusalOf(parts, query.repo, query.digest).catch((error: unknown) => error as Error);
    if (refusal === undefined) return answer;
    answer.body.destroy();
    throw refusal;
  },
});

/** Throws UNAVAILABLE where the store cannot say what is mirrored. */
const refusalOf = async (parts: OnlyMirroredParts, repo: Repository, reference: Reference): Promise<NotMirrored | undefined> => {
  const { site, policy } = parts;
  if (policy.of(repo, reference).onMissing !== "refuse") return undefined;
  // what a tag that stays stands for is asked for by its digest
  if (!isDigestReference(reference)) return notMirrored(site, repo, reference);
  const found = await mirroredFor(parts, repo, reference).catch((error: unknown) => {
    throw isOciError(error) ? error : new OciError("UNAVAILABLE", "it cannot be told what is mirrored", { cause: error });
  });
  return found === "mirrored" ? undefined : notMirrored(site, repo, reference, found);
};

/** Throws it to who may read the repository, else what upstream says to who may not. */
const refuse = async (
  { rights }: OnlyMirroredParts,
  refusal: NotMirrored,
  repo: Repository,
  ctx: Context,
  ask: (ctx: Context) => Promise<unknown>,
): Promise<never> => {
  const standing = await rights.standing(repo, ctx.credential);
  if (standing === "live") throw refusal;
  await ask(ctx).catch((error: unknown) => {
    if (standing === "none" || !isOciError(error) || !error.isOutage) throw error;
  });
  throw refusal;
};
