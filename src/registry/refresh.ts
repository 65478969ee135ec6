// Asks upstream now what a tag is, however fresh it is held: HEAD, and the manifest only where it has moved.
import type { Repository, Tag } from "../oci/reference.ts";
import type { Context } from "../oci/registry.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { ManifestFetch } from "./manifest-fetch.ts";
import { askBehind } from "./meanwhile.ts";
import type { Policy } from "./policy.ts";
import { stays } from "./staying.ts";
import type { Tags } from "./tags.ts";

/** As JSON would have it. */
export interface Refreshed {
  readonly reference: string;
  /** What was held, and what is now. `undefined`: nothing. */
  readonly before?: string;
  readonly after?: string;
  /** What upstream says that it is: another than `after` where the tag is pinned or held, or its manifest could not be kept. */
  readonly upstream: string;
  readonly pinned: boolean;
}

export interface RefreshParts {
  readonly policy: Policy;
  readonly tags: Tags;
  readonly blobs: BlobStore;
  readonly fetch: ManifestFetch;
}

/** Throws what upstream's refusal, 404 or outage throws, and DENIED by a rule. */
export const refresh = async (parts: RefreshParts, repo: Repository, tag: Tag, ctx: Context): Promise<Refreshed> => {
  const { policy, tags } = parts;
  const refusal = policy.refusal(repo, tag);
  if (refusal !== undefined) throw refusal;
  const ruling = policy.of(repo, tag);
  const fact = await tags.fact(repo, tag);
  const before = fact?.digest;
  const upstream = stays(fact, ruling)
    ? (await tags.ask(repo, tag, ctx)).descriptor.digest
    : await askBehind(parts, repo, tag, ctx);
  const after = (await tags.fact(repo, tag))?.digest;
  return {
    reference: tag,
    ...(before !== undefined && { before }),
    ...(after !== undefined && { after }),
    upstream,
    pinned: ruling.pin || stays(fact, ruling),
  };
};
