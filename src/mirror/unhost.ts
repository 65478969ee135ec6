// What a sync has brought to a hosted site, and nobody needs any more, goes again: manifests that no tag, no kept image and no other manifest
// of the repository names. Blobs that are then named by none are collected in their time (store/collect.ts), as after a user's own deletes.
import type { Digest } from "../oci/digest.ts";
import { partsOf } from "../oci/parts.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";
import { type LocalParts, linkOf } from "../registry/local.ts";
import { keptTagsIn } from "../store/mirroring.ts";

/** Held manifests that name it, of whichever repository. One that has more is not looked into further, and stays. */
const MOST_NAMING = 1_000;
/** Of one image, by tags. */
const MOST_SIGNATURES = 100;

/** Of these, and of what they name, what nothing else there does. */
export const letGoOf = async (parts: LocalParts, repo: Repository, digests: readonly Digest[], at: number): Promise<void> => {
  const kept = await keptIn(parts, repo);
  const queue = [...digests];
  for (let digest = queue.shift(); digest !== undefined; digest = queue.shift()) {
    if ((await linkOf(parts, repo, digest))?.mediaType === undefined) continue;
    if (kept.has(digest) || (await isNamed(parts, repo, digest))) continue;
    const bytes = await parts.blobs.readAll(digest, MAX_MANIFEST);
    await parts.facts.hosting.unhost({ site: parts.site.host, repo, digest });
    if (bytes !== undefined) queue.push(...partsOf(bytes));
    queue.push(...(await signaturesLetGo(parts, repo, digest, at)));
  }
};

/** Tags that are named for it, and that a sync has put there: what is said of nothing goes with it. What they stood for. */
const signaturesLetGo = async ({ facts, site }: LocalParts, repo: Repository, digest: Digest, at: number): Promise<Digest[]> => {
  const name = digest.replace(":", "-");
  const near = await facts.inventory.tags(site.host, repo, { after: name as Tag, limit: MOST_SIGNATURES });
  const stoodFor: Digest[] = [];
  for (const row of near.filter(({ tag }) => tag.startsWith(`${name}.`))) {
    const key = { site: site.host, repo, tag: row.tag };
    const [move] = await facts.tagHistory(key, 1);
    const isOurs = row.hold === undefined && move?.reason === "sync";
    if (isOurs && (await facts.moveTag(key, { digest: undefined, at, reason: "expire" }, row.generation)))
      stoodFor.push(row.digest);
  }
  return stoodFor;
};

/** By a tag, or by another manifest of the repository. */
const isNamed = async (parts: LocalParts, repo: Repository, digest: Digest): Promise<boolean> => {
  const { facts, site } = parts;
  if ((await facts.hosting.tagsOf({ site: site.host, repo, digest }, { limit: 1 })).length > 0) return true;
  const naming = await facts.holdings.neededBy(digest, MOST_NAMING);
  if (naming.length === MOST_NAMING) return true;
  for (const manifest of naming) if ((await linkOf(parts, repo, manifest)) !== undefined) return true;
  return false;
};

/** What is kept there for any tag. */
const keptIn = async ({ facts, site }: LocalParts, repo: Repository): Promise<ReadonlySet<Digest>> => {
  const { mirroring } = facts;
  const kept = new Set<Digest>();
  for await (const key of keptTagsIn(mirroring, site.host, repo))
    for (const root of await mirroring.kept(key)) for (const digest of root.digests) kept.add(digest);
  return kept;
};
