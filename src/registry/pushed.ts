// What is known of one request of a push, before it is sent and once it is answered, and the link that follows from upstream's yes to it.
import type { Logger } from "../lib/log.ts";
import type { Places } from "../lib/places.ts";
import type { Digest } from "../oci/digest.ts";
import type { Site } from "../sites.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore, LinkKey } from "../store/facts.ts";
import type { Waiting } from "./beside.ts";
import type { Deletes } from "./deletes.ts";
import type { UploadsSeen } from "./uploads-seen.ts";

/** What a client sends. */
export interface Push {
  readonly method: string;
  /** Path and query, as it came. */
  readonly target: string;
  readonly client: string;
  readonly length: number | undefined;
  readonly contentRange: string | undefined;
  readonly mediaType: string | undefined;
}

/** What upstream says to it. */
export interface Pushed {
  readonly status: number;
  readonly location?: string | undefined;
  /** `Docker-Content-Digest`. */
  readonly digest?: string | undefined;
  readonly range?: string | undefined;
  /** `OCI-Tag`: which of the tags that were wished for by `?tag=` it has moved. */
  readonly tags?: readonly string[];
  /** Whether all that the client had announced went by before. */
  readonly isWhole: boolean;
}

/** Beside one request. */
export interface Watch {
  /** Returns at once. */
  offer?(bytes: Buffer): void;
  /** `undefined`: nobody knows what became of it. Resolves, never rejects, when all that can be kept is; with a manifest's digest, if it is one. */
  over(pushed: Pushed | undefined): Promise<Digest | undefined>;
}

export interface KeepPushParts {
  readonly site: Site;
  readonly blobs: BlobStore;
  readonly facts: FactStore;
  readonly uploads: UploadsSeen;
  readonly deletes: Deletes;
  readonly places: Places;
  readonly waiting: Waiting;
  readonly log: Logger;
}

/** Never rejects: what is not noted is asked for once more. `moment`: when the push that upstream has said yes to began. */
export const linkPushed = async (
  { facts, site, deletes, log }: Pick<KeepPushParts, "facts" | "site" | "deletes" | "log">,
  { repo, digest }: Omit<LinkKey, "site">,
  mediaType: string | undefined,
  moment: number,
): Promise<void> => {
  const isGone = () => deletes.since(moment, site.host, repo, digest);
  // readers of a shared site go by our own right, which nobody has asked about: the first of them asks
  if (site.access === "shared" || isGone()) return;
  const key = { site: site.host, repo, digest };
  try {
    await facts.addLink(key, { mediaType });
    if (isGone()) await facts.removeLink(key);
  } catch (error) {
    log.error({ ...key, err: String(error) }, "a push could not be linked");
  }
};
