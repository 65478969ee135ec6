// What the mirror keeps is not forgotten by the way: it leaves the list first. What no entry covers any more is let go with what is forgotten.
import type { Mirrored } from "../mirrors.ts";
import type { Digest } from "../oci/digest.ts";
import { isDigestReference, type Tag } from "../oci/reference.ts";
import type { FactStore } from "../store/facts.ts";
import { keptOver, keptTagsIn } from "../store/mirroring.ts";
import { AdminError } from "./error.ts";
import type { Forgotten } from "./held-tags.ts";
import { written } from "./references.ts";

interface Kept {
  readonly tag: Tag;
  readonly root: Digest;
}

/** Throws HELD where any of it is mirrored. */
export const letGoKept = async (facts: FactStore, mirrored: Mirrored, forgotten: Forgotten): Promise<void> => {
  const { site, repo, reference } = forgotten;
  const kept: Kept[] = [];
  for await (const one of keptOf(facts, forgotten)) {
    const entry = mirrored.covers(site, repo, one.tag);
    if (entry !== undefined)
      throw new AdminError(
        "HELD",
        `nothing of ${written(site, repo, reference)} is forgotten: ${entry.name} mirrors ${written(site, repo, one.tag)}, which is, or may go back to, what this is of; take it off the mirror's list first`,
      );
    kept.push(one);
  }
  for (const { tag, root } of kept) await facts.mirroring.letGo({ site, repo, tag }, root);
};

async function* keptOf(facts: FactStore, { site, repo, reference }: Forgotten): AsyncGenerator<Kept> {
  const { mirroring } = facts;
  if (reference === undefined) {
    for await (const { tag } of keptTagsIn(mirroring, site, repo)) yield* await keptAs(facts, { site, repo, tag });
  } else if (isDigestReference(reference)) yield* keptOver(facts, { site, repo, digest: reference });
  else yield* await keptAs(facts, { site, repo, tag: reference });
}

const keptAs = async ({ mirroring }: FactStore, key: { site: string; repo: Forgotten["repo"]; tag: Tag }): Promise<Kept[]> =>
  (await mirroring.kept(key)).map(({ root }) => ({ tag: key.tag, root }));
