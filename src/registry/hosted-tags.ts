// The tags of a hosted site: moved and taken away against the generation that was read, with their history. One that is pinned, held
// or moved by a sync stays, and so does what its image is made of.
import { setImmediate as turn } from "node:timers/promises";
import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { TagFact } from "../store/facts.ts";
import { tagsFor } from "../store/hosting.ts";
import type { HostedParts } from "./hosted.ts";
import { aHold, stayingFor, stays } from "./staying.ts";

/** So often somebody else can be faster; the turns of a repository leave nobody to be. */
const TRIES = 5;

type TagParts = Pick<HostedParts, "site" | "facts" | "policy" | "clock">;

/** To a digest, or away. `created`: when what it stands for was made, as it says. Throws DENIED where it is to stay. */
export const moveTag = async (
  parts: TagParts,
  repo: Repository,
  tag: Tag,
  digest: Digest | undefined,
  created?: number,
): Promise<void> => {
  const { site, facts, clock } = parts;
  const key = { site: site.host, repo, tag };
  for (let tries = 0; tries < TRIES; tries += 1) {
    const fact = await facts.tag(key);
    if (fact?.digest !== digest) refuseMoving(parts, repo, tag, fact);
    // it is what it is to be, and the store moves nothing that somebody holds
    else if (fact?.hold !== undefined) return;
    const reason = digest === undefined ? "delete" : "push";
    const move = { digest, at: clock(), reason, ...(created !== undefined && { created }) } as const;
    if (await facts.moveTag(key, move, fact?.generation ?? 0)) return;
  }
  throw new OciError("UNAVAILABLE", `${repo}:${tag} is being moved by others`);
};

/** Throws DENIED where the tag stays what it stands for. */
export const refuseMoving = (
  { site, policy }: Pick<TagParts, "site" | "policy">,
  repo: Repository,
  tag: Tag,
  fact: TagFact | undefined,
): void => {
  const ruling = policy.of(repo, tag);
  // also before the first sync has brought it
  if (ruling.mirrored !== undefined && fact?.hold === undefined)
    throw new OciError("DENIED", `${repo}:${tag} is moved by the mirror alone, by its entry "${ruling.mirrored.name}"`);
  if (!stays(fact, ruling)) return;
  throw new OciError("DENIED", `${repo}:${tag} ${whyStays(fact, `${site.host}/${repo}:${tag}`)}`);
};

const whyStays = ({ hold }: TagFact, reference: string): string => {
  if (hold === undefined) return "is pinned by a rule of this site: it stays what it is";
  const since = new Date(hold.since).toISOString();
  return `is held by ${aHold(hold)} since ${since}: it stays what it is until \`layover tags unpin ${reference}\``;
};

/** Throws DENIED where a tag that stays needs the digest. */
export const refuseTaking = async (parts: TagParts, repo: Repository, digest: Digest): Promise<void> => {
  const found = await stayingFor(parts, repo, digest);
  if (found !== undefined) refuseMoving(parts, repo, found.tag, found.fact);
};

/** Takes away all tags of the repository that stand for the digest. Throws DENIED before any, where one that stays needs it. */
export const untag = async (parts: TagParts, repo: Repository, digest: Digest): Promise<void> => {
  const key = { site: parts.site.host, repo, digest };
  const { hosting } = parts.facts;
  await refuseTaking(parts, repo, digest);
  for await (const tag of tagsFor(hosting, key)) {
    await moveTag(parts, repo, tag, undefined);
    // its going is on the disk before this goes on: all who wait for an answer have their turn between two of them
    await turn();
  }
};
