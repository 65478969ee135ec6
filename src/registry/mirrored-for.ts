// What mirrored image a digest is part of, in one repository: the way up from it, by held manifests that name it, to what a tag that stays stands
// for, or to what is kept for one. What was left out of a sparse index is told apart: it is named there all the same.
import { anatomyOf } from "../oci/anatomy.ts";
import { wantedOf } from "../oci/choice.ts";
import type { Digest } from "../oci/digest.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { Policy } from "./policy.ts";
import { type StayingParts, stayingAs } from "./staying.ts";

export interface MirroredParts extends StayingParts {
  readonly policy: Pick<Policy, "of">;
  readonly blobs: Pick<BlobStore, "readAll">;
}

/** Named by the index of a mirrored tag, and none of the platforms that its entry asks for. */
export interface LeftOut {
  readonly tag: Tag;
  readonly entry: string;
  readonly platform: string | undefined;
  readonly platforms: readonly string[];
}

/** An index, its manifests, their layers. */
const MAX_DEPTH = 2;
/** A blob that more manifests need is looked for in these. */
const MAX_LOOKED_AT = 200;

/** From the digest up. */
type Way = readonly Digest[];

/** `mirrored`: part of what the repository is to hold. `undefined`: nothing mirrored names it. */
export const mirroredFor = async (
  parts: MirroredParts,
  repo: Repository,
  digest: Digest,
): Promise<"mirrored" | LeftOut | undefined> => {
  const looked = new Set<Digest>();
  let leftOut: LeftOut | undefined;
  let level: readonly Way[] = [[digest]];
  for (let depth = 0; depth <= MAX_DEPTH && level.length > 0; depth += 1) {
    const above: Way[] = [];
    for (const way of level) {
      const top = way.at(-1)!;
      if (looked.size === MAX_LOOKED_AT || looked.has(top)) continue;
      looked.add(top);
      const tag = await tagOver(parts, repo, top);
      const without = tag === undefined ? undefined : await leftOutOn(parts, repo, tag, way);
      if (tag !== undefined && without === undefined) return "mirrored";
      leftOut ??= without;
      for (const next of await parts.facts.holdings.neededBy(top, MAX_LOOKED_AT)) above.push([...way, next]);
    }
    level = above;
  }
  return leftOut;
};

const tagOver = async (parts: MirroredParts, repo: Repository, digest: Digest): Promise<Tag | undefined> => {
  const staying = await stayingAs(parts, repo, digest);
  if (staying !== undefined) return staying.tag;
  const [kept] = await parts.facts.mirroring.keptFor({ site: parts.site.host, repo, digest });
  return kept?.tag;
};

const leftOutOn = async (parts: MirroredParts, repo: Repository, tag: Tag, way: Way): Promise<LeftOut | undefined> => {
  const entry = parts.policy.of(repo, tag).mirrored;
  if (entry?.platforms === undefined) return undefined;
  for (const [i, child] of way.slice(0, -1).entries()) {
    const bytes = await parts.blobs.readAll(way[i + 1]!, MAX_MANIFEST);
    const children = anatomyOf(bytes ?? Buffer.alloc(0)).parts.filter(({ role }) => role === "manifest");
    const named = children.filter(({ digest }) => digest === child);
    const isWanted = wantedOf(children, entry.platforms).some(({ digest }) => digest === child);
    if (named.length === 0 || isWanted) continue;
    return { tag, entry: entry.name, platform: named[0]!.platform, platforms: entry.platforms };
  }
  return undefined;
};
