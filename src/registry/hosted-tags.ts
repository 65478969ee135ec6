// The tags of a hosted site: moved and taken away against the generation that was read, with their history. A pinned one stays.
import { setImmediate as turn } from "node:timers/promises";
import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import { tagsFor } from "../store/hosting.ts";
import type { HostedParts } from "./hosted.ts";

/** So often somebody else can be faster; the turns of a repository leave nobody to be. */
const TRIES = 5;

type TagParts = Pick<HostedParts, "site" | "facts" | "policy" | "clock">;

/** To a digest, or away. Throws DENIED where a rule pins it. */
export const moveTag = async (parts: TagParts, repo: Repository, tag: Tag, digest: Digest | undefined): Promise<void> => {
  const { site, facts, clock } = parts;
  const key = { site: site.host, repo, tag };
  for (let tries = 0; tries < TRIES; tries += 1) {
    const fact = await facts.tag(key);
    if (fact?.digest !== digest) refusePinned(parts, repo, tag, fact?.digest);
    const move = { digest, at: clock(), reason: digest === undefined ? "delete" : "push" } as const;
    if (await facts.moveTag(key, move, fact?.generation ?? 0)) return;
  }
  throw new OciError("UNAVAILABLE", `${repo}:${tag} is being moved by others`);
};

/** Throws DENIED where a rule pins the tag, and it stands for something. */
export const refusePinned = ({ policy }: Pick<TagParts, "policy">, repo: Repository, tag: Tag, now: Digest | undefined): void => {
  if (now !== undefined && policy.of(repo, tag).pin)
    throw new OciError("DENIED", `${repo}:${tag} is pinned by a rule of this site: it stays what it is`);
};

/** Takes away all tags of the repository that stand for the digest. Throws DENIED before any, where one is pinned. */
export const untag = async (parts: TagParts, repo: Repository, digest: Digest): Promise<void> => {
  const key = { site: parts.site.host, repo, digest };
  const { hosting } = parts.facts;
  for await (const tag of tagsFor(hosting, key)) refusePinned(parts, repo, tag, digest);
  for await (const tag of tagsFor(hosting, key)) {
    await moveTag(parts, repo, tag, undefined);
    // its going is on the disk before this goes on: all who wait for an answer have their turn between two of them
    await turn();
  }
};
