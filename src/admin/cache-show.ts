// One image as it lies here: what it is, which of its parts are held, who may have it, where its tag has been.

import { anatomyOf, type NamedPart } from "../oci/anatomy.ts";
import type { Digest } from "../oci/digest.ts";
import { isDigestReference, type Reference, type Tag } from "../oci/reference.ts";
import { MAX_MANIFEST } from "../oci/registry.ts";
import { createdOf } from "../registry/created.ts";
import type { Sites } from "../sites.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore, Hold, TagKey, TagMove } from "../store/facts.ts";
import type { PartEntry, Shown } from "./answers.ts";
import { holdOf, isoOf } from "./cache-list.ts";
import { AdminError } from "./error.ts";
import { parseImage, referenceOf, written } from "./references.ts";

const MAX_LINKS = 100;
const MAX_MOVES = 50;
/** Digests that are looked at in one answer, more or less. */
const MAX_READ = 5_000;

interface Parts {
  readonly sites: Sites;
  readonly blobs: BlobStore;
  readonly facts: FactStore;
}

/** Throws NOT_HELD when nothing is known of it, UNKNOWN_SITE, INVALID. */
export const showImage = async (parts: Parts, text: string): Promise<Shown> => {
  const { blobs, facts } = parts;
  const image = parseImage(text, parts.sites);
  const { site, repo } = image;
  const reference = referenceOf(image);
  const key = { site: site.host, repo };
  const name = written(site.host, repo, reference);
  const { tag, digest, checkedAt, hold } = await meaningOf(facts, key, reference, name);
  const link = await facts.link({ ...key, digest });
  const held = await blobs.stat(digest);
  if (tag === undefined && link === undefined && held === undefined)
    throw new AdminError("NOT_HELD", `nothing is known of ${name}`);
  const holding = await facts.holdings.holding(digest);
  const isManifest = holding?.isManifest === true || link?.mediaType !== undefined;
  const bytes = isManifest && held !== undefined ? await blobs.readAll(digest, MAX_MANIFEST) : undefined;
  const anatomy = bytes === undefined ? undefined : anatomyOf(bytes);
  const entries = await entriesOf(blobs, anatomy?.parts ?? [], new Set([digest]));
  const mediaType = link?.mediaType ?? anatomy?.mediaType;
  const linkers = await facts.inventory.linkers(digest, { limit: MAX_LINKS });
  const tags = await facts.inventory.tagsOf(digest, { limit: MAX_LINKS });
  const moves = tag === undefined ? [] : await facts.tagHistory({ ...key, tag }, MAX_MOVES);
  return {
    reference: name,
    site: site.host,
    repository: repo,
    ...(tag !== undefined && { tag }),
    digest,
    ...(mediaType !== undefined && { mediaType }),
    held: held !== undefined,
    ...(held !== undefined && { size: held.size }),
    ...(holding !== undefined && { addedAt: isoOf(holding.addedAt), usedAt: isoOf(holding.usedAt) }),
    ...(checkedAt !== undefined && { checkedAt: isoOf(checkedAt) }),
    ...holdOf({ hold }),
    parts: entries,
    bytes: weigh(held?.size ?? 0, entries),
    links: linkers.map((linker) => ({ site: linker.site, repository: linker.repo })),
    tags: tags.map((one) => written(one.site, one.repo, one.tag)),
    history: await Promise.all(moves.map((move) => moveOf(blobs, move))),
  };
};

/** Upstream's date is what was known as it moved, else what is held says. */
const moveOf = async (blobs: BlobStore, { digest, at, reason, created: known }: TagMove): Promise<Shown["history"][number]> => {
  const created = known ?? (digest === undefined ? undefined : await createdOf(blobs, digest));
  return {
    ...(digest !== undefined && { digest }),
    ...{ at: isoOf(at), reason },
    ...(created !== undefined && { created: isoOf(created) }),
  };
};

interface Meaning {
  readonly tag: Tag | undefined;
  readonly digest: Digest;
  readonly checkedAt: number | undefined;
  readonly hold: Hold | undefined;
}

const meaningOf = async (
  facts: FactStore,
  { site, repo }: Pick<TagKey, "site" | "repo">,
  reference: Reference,
  name: string,
): Promise<Meaning> => {
  if (isDigestReference(reference)) return { tag: undefined, digest: reference, checkedAt: undefined, hold: undefined };
  const fact = await facts.tag({ site, repo, tag: reference });
  if (fact?.digest === undefined) throw new AdminError("NOT_HELD", `no digest is known for ${name}`);
  return { tag: reference, digest: fact.digest, checkedAt: fact.checkedAt, hold: fact.hold };
};

/** A child that is named twice is looked into once: what is named is the work of whoever made the image. */
const entriesOf = async (blobs: BlobStore, parts: readonly NamedPart[], seen: Set<Digest>): Promise<PartEntry[]> => {
  const entries: PartEntry[] = [];
  for (const part of parts) {
    const held = (await blobs.stat(part.digest)) !== undefined;
    const isRead = held && part.role === "manifest" && !seen.has(part.digest) && seen.size < MAX_READ;
    seen.add(part.digest);
    const bytes = isRead ? await blobs.readAll(part.digest, MAX_MANIFEST) : undefined;
    entries.push({ ...part, held, ...(bytes !== undefined && { parts: await entriesOf(blobs, anatomyOf(bytes).parts, seen) }) });
  }
  return entries;
};

/** Each digest once, however often it is named. */
const weigh = (own: number, entries: readonly PartEntry[]): Shown["bytes"] => {
  const seen = new Set<string>();
  const sum = { held: own, named: own };
  const add = (list: readonly PartEntry[]) => {
    for (const { digest, size = 0, held, parts = [] } of list) {
      if (!seen.has(digest)) {
        seen.add(digest);
        sum.named += size;
        if (held) sum.held += size;
      }
      add(parts);
    }
  };
  add(entries);
  return sum;
};
