// What whoever looks after a site can do with what is held of it, apart from clients: explain it, fetch ahead, ask again.
import { ownContext } from "../oci/own-context.ts";
import type { Reference, Repository, Tag } from "../oci/reference.ts";
import type { Credential } from "../oci/registry.ts";
import type { BlobStore } from "../store/blobs.ts";
import { type ExplainParts, type Explanation, explain } from "./explain.ts";
import type { Refreshed } from "./refresh.ts";
import type { SiteRegistry } from "./site.ts";
import { type Warmed, type WarmOptions, warm } from "./warm.ts";

export interface AsWhom {
  /** An `Authorization` value to ask upstream with; without it as anybody, or as Layover where access is shared. */
  readonly credential?: Credential;
}

export interface Care {
  /** Asks nobody, and changes nothing. */
  explain(repo: Repository, reference: Reference): Promise<Explanation>;
  /** Failures are in the report; throws the signal's reason alone. */
  warm(repo: Repository, reference: Reference, options: WarmOptions & AsWhom): Promise<Warmed>;
  /** Throws OciError. */
  refresh(repo: Repository, tag: Tag, options: { readonly signal: AbortSignal } & AsWhom): Promise<Refreshed>;
}

export interface CareParts extends ExplainParts {
  readonly blobs: BlobStore;
  /** The site's cache, over an upstream that is asked as this credential, tokens fetched where that takes them. */
  readonly registryFor: (credential: Credential | undefined) => SiteRegistry;
}

export const care = (parts: CareParts): Care => ({
  explain: (repo, reference) => explain(parts, repo, reference),
  warm: (repo, reference, { credential, ...options }) =>
    warm(
      { registry: parts.registryFor(credential), blobs: parts.blobs, ctx: ownContext("warm", options.signal, { credential }) },
      repo,
      reference,
      options,
    ),
  refresh: (repo, tag, { credential, signal }) =>
    parts.registryFor(credential).refresh(repo, tag, ownContext("refresh", signal, { credential })),
});
