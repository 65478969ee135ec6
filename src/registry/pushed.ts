// What is known of one request of a push, before it is sent and once it is answered, and the link that follows from upstream's yes to it.
import type { Logger } from "../lib/log.ts";
import type { Places } from "../lib/places.ts";
import type { Digest } from "../oci/digest.ts";
import type { Repository } from "../oci/reference.ts";
import type { Site } from "../sites.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";
import type { Waiting } from "./beside.ts";
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
  readonly places: Places;
  readonly waiting: Waiting;
  readonly log: Logger;
}

/** Never rejects: what is not noted is asked for once more. */
export const linkPushed = async (
  { facts, site, log }: Pick<KeepPushParts, "facts" | "site" | "log">,
  repo: Repository,
  digest: Digest,
  mediaType?: string,
): Promise<void> => {
  // readers go by our own right there, which nobody has asked about: the first of them asks
  if (site.access === "shared") return;
  await facts
    .addLink({ site: site.host, repo, digest }, { mediaType })
    .catch((error: unknown) => log.error({ site: site.host, repo, digest, err: String(error) }, "a push could not be linked"));
};
