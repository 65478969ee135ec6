// What of a repository belongs to given digests without being named by them: manifests with a `subject`, and cosign's tags.
import type { Digest } from "../oci/digest.ts";
import { digestNamedBy } from "../oci/digest-tag.ts";
import { parseObject } from "../oci/json.ts";
import type { Tag } from "../oci/reference.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";
import { everyRow } from "../store/inventory.ts";
import type { Image } from "./references.ts";

export interface Referring {
  readonly digest: Digest;
  readonly mediaType: string;
  /** Where it is found by a tag (cosign, and distribution-spec's fallback for registries without a referrers API). */
  readonly tag?: Tag;
}

interface Parts {
  readonly blobs: BlobStore;
  readonly facts: FactStore;
}

/** What is held in the repository for these digests, and for what belongs to them in turn. */
export const referrersWithin = async (
  parts: Parts,
  place: Pick<Image, "site" | "repo">,
  digests: ReadonlySet<Digest>,
): Promise<Referring[]> => {
  const bySubject = await subjectsIn(parts, place);
  const found = new Map<Digest, Referring>();
  const todo = [...digests];
  for (let subject = todo.pop(); subject !== undefined; subject = todo.pop())
    for (const one of bySubject.get(subject) ?? []) {
      if (found.has(one.digest) || digests.has(one.digest)) continue;
      found.set(one.digest, one);
      todo.push(one.digest);
    }
  const tagged = await signaturesIn(parts, place, new Set([...digests, ...found.keys()]));
  return [...found.values(), ...tagged];
};

/** Every held manifest of the repository that has a subject, by that. */
const subjectsIn = async ({ blobs, facts }: Parts, { site, repo }: Pick<Image, "site" | "repo">) => {
  const bySubject = new Map<string, Referring[]>();
  for await (const row of everyRow((page: { after?: { digest: Digest } | undefined; limit: number }) =>
    facts.inventory.links(site.host, repo, { after: page.after?.digest, limit: page.limit }),
  )) {
    const { digest, mediaType, size } = row;
    if (mediaType === undefined || size === undefined) continue;
    const bytes = await blobs.readAll(digest, MAX_MANIFEST);
    const subject = (parseObject(bytes ?? Buffer.alloc(0))?.["subject"] as { digest?: unknown } | null | undefined)?.digest;
    if (typeof subject === "string") bySubject.set(subject, [...(bySubject.get(subject) ?? []), { digest, mediaType }]);
  }
  return bySubject;
};

const signaturesIn = async ({ facts }: Parts, { site, repo }: Pick<Image, "site" | "repo">, digests: ReadonlySet<Digest>) => {
  const found: Referring[] = [];
  for await (const row of everyRow((page: { after?: { tag: Tag } | undefined; limit: number }) =>
    facts.inventory.tags(site.host, repo, { after: page.after?.tag, limit: page.limit }),
  )) {
    const named = digestNamedBy(row.tag);
    if (named !== undefined && digests.has(named) && row.isHeld) found.push({ digest: row.digest, mediaType: "", tag: row.tag });
  }
  return found;
};
