// What is said of an image beside it: signatures, attestations, SBOMs. By the referrers API (distribution-spec, "Listing Referrers"), and by
// tags that are named for a digest, as cosign and registries without that API have them. Each digest is asked about once a sync.
import { eachOf } from "../lib/at-once.ts";
import { isDigestTag } from "../mirrors/select.ts";
import type { MirrorEntry } from "../mirrors.ts";
import { anatomyOf } from "../oci/anatomy.ts";
import type { Digest } from "../oci/digest.ts";
import { isOciError, OciError } from "../oci/error.ts";
import { isTag, type Repository, type Tag } from "../oci/reference.ts";
import type { Context } from "../oci/registry.ts";
import type { MirrorSource } from "./engine.ts";

export interface Signature {
  readonly digest: Digest;
  /** Where it is by a tag. */
  readonly tag?: Tag;
}

const AT_ONCE = 4;
/** Signatures of signatures of signatures. */
const MAX_DEPTH = 3;
/** Of one image, with all that is said of what is said of it. */
const MAX_SIGNATURES = 2_000;
const MAX_PAGES = 100;
/** A repository that has never heard of the API is asked no further. */
const DEAF_AFTER = 3;

/** `sha256-….sig` and the like, by the digest that they are named for. */
export const digestTagsIn = (names: Iterable<string>): ReadonlyMap<string, readonly Tag[]> => {
  const tags = [...names].filter((name): name is Tag => isTag(name) && isDigestTag(name));
  return Map.groupBy(tags, (tag) => tag.split(".", 1)[0]!);
};

export class Signatures {
  readonly #source: Pick<MirrorSource, "cache" | "upstream">;
  readonly #entry: Pick<MirrorEntry, "referrers" | "digestTags">;
  readonly #known = new Map<string, Promise<readonly Signature[]>>();
  /** How often a repository has said that it knows no such thing; less than ever once it has known one. */
  readonly #unheard = new Map<Repository, number>();

  constructor(source: Pick<MirrorSource, "cache" | "upstream">, entry: Pick<MirrorEntry, "referrers" | "digestTags">) {
    this.#source = source;
    this.#entry = entry;
  }

  /**
   * Of all these digests, and of what is found itself: `visit` is given each, and says of which manifests it is made. Throws what that
   * throws, and upstream's outages.
   */
  async each(
    { repo, digestTags }: { readonly repo: Repository; readonly digestTags: ReadonlyMap<string, readonly Tag[]> },
    digests: readonly Digest[],
    ctx: Context,
    visit: (signature: Signature) => Promise<readonly Digest[]>,
  ): Promise<void> {
    const seen = new Set<Digest>(digests);
    let found = 0;
    let level: readonly Digest[] = [...seen];
    for (let depth = 0; level.length > 0 && depth < MAX_DEPTH; depth += 1) {
      const next: Digest[] = [];
      await eachOf(level, AT_ONCE, async (digest) => {
        for (const signature of await this.#of(repo, digest, digestTags, ctx)) {
          found += 1;
          if (found > MAX_SIGNATURES) throw new OciError("TOO_LARGE", `more than ${MAX_SIGNATURES} signatures of one image`);
          next.push(...(await visit(signature)).filter((part) => !seen.has(part) && seen.add(part)));
        }
      });
      level = next;
    }
  }

  #of(repo: Repository, digest: Digest, tags: ReadonlyMap<string, readonly Tag[]>, ctx: Context): Promise<readonly Signature[]> {
    const name = `${repo}@${digest}`;
    const known = this.#known.get(name) ?? this.#ask(repo, digest, tags.get(digest.replace(":", "-")) ?? [], ctx);
    this.#known.set(name, known);
    // another tag of the same image asks again
    known.catch(() => this.#known.delete(name));
    return known;
  }

  async #ask(repo: Repository, digest: Digest, tags: readonly Tag[], ctx: Context): Promise<Signature[]> {
    const referrers = this.#entry.referrers ? await this.#referrers(repo, digest, ctx) : [];
    const found: Signature[] = referrers.map((referrer) => ({ digest: referrer }));
    for (const tag of this.#entry.digestTags ? tags : []) {
      const stat = await this.#source.upstream.statManifest({ repo, reference: tag }, ctx).catch(unlessUnknown);
      if (stat !== undefined) found.push({ digest: stat.descriptor.digest, tag });
    }
    return found;
  }

  async #referrers(repo: Repository, digest: Digest, ctx: Context): Promise<readonly Digest[]> {
    if ((this.#unheard.get(repo) ?? 0) >= DEAF_AFTER) return [];
    const found = new Set<Digest>();
    const pages = new Set<string>();
    for (let page: string | undefined; ; ) {
      const query = { repo, digest, ...(page === undefined ? {} : { page }) };
      const listing = await this.#source.cache.listReferrers(query, ctx).catch(unlessUnheard);
      if (listing === undefined) {
        this.#unheard.set(repo, (this.#unheard.get(repo) ?? 0) + 1);
        return [...found];
      }
      this.#unheard.set(repo, Number.NEGATIVE_INFINITY);
      for (const part of anatomyOf(listing.bytes).parts) if (part.role === "manifest") found.add(part.digest);
      const { next } = listing.metadata;
      if (next === undefined) return [...found];
      page = next.slice(next.indexOf("?") + 1);
      if (pages.has(page) || pages.size >= MAX_PAGES || found.size > MAX_SIGNATURES)
        throw new OciError("UPSTREAM_INVALID", `its list of what refers to ${digest} does not end`);
      pages.add(page);
    }
  }
}

const unlessUnknown = (error: unknown): undefined => {
  if (!isOciError(error) || !error.isUnknown) throw error;
};

/** 404, refusals, and whatever an older registry makes of the path: it has no such API. Outages are outages. */
const unlessUnheard = (error: unknown): undefined => {
  const isAnswer = isOciError(error) && (!error.isOutage || error.code === "UPSTREAM_INVALID");
  if (!isAnswer) throw error;
};
