// The part of the fact stores that people look through: in pages, each beginning behind the last entry of the one before, so that
// a page costs the same wherever it begins, and nothing is listed twice while things come and go.
import type { Digest } from "../oci/digest.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { Hold, LinkKey, TagFact, TagKey } from "./facts.ts";
import type { Holding } from "./holdings.ts";

export interface RepositoryRow {
  readonly repo: Repository;
  /** Tags that stand for something. */
  readonly tags: number;
  readonly links: number;
  /** Of the links, those whose digest is held, and the bytes of these; what two repositories share counts in both. */
  readonly held: number;
  readonly bytes: number;
}

export interface TagRow extends TagFact {
  readonly tag: Tag;
  readonly digest: Digest;
  readonly isHeld: boolean;
}

export interface LinkRow {
  readonly digest: Digest;
  readonly mediaType: string | undefined;
  /** Bytes; `undefined`: not held. */
  readonly size: number | undefined;
}

export interface Linker {
  readonly site: string;
  readonly repo: Repository;
  readonly mediaType: string | undefined;
}

/** Where a page begins: behind this entry, or at the beginning. */
export interface Page<Entry> {
  readonly after?: Entry | undefined;
  readonly limit: number;
}

const PAGE = 1_000;

/** Row after row, however many there are; one that is taken away meanwhile does not disturb it. */
export async function* everyRow<Row>(pageOf: (page: Page<Row>) => Promise<Row[]>): AsyncGenerator<Row> {
  for (let after: Row | undefined; ; ) {
    const page = await pageOf({ after, limit: PAGE });
    yield* page;
    after = page.at(-1);
    if (page.length < PAGE) return;
  }
}

/** Whether any repository is known to hold it, or any tag stands for it. */
export const isKnown = async (inventory: Inventory, digest: Digest): Promise<boolean> =>
  (await inventory.linkers(digest, { limit: 1 })).length > 0 || (await inventory.tagsOf(digest, { limit: 1 })).length > 0;

export interface Inventory {
  /** Sites of which anything is known, by name. */
  sites(): Promise<string[]>;
  /** By name. A page costs as much as its repositories have links. */
  repositories(site: string, page: Page<Repository>): Promise<RepositoryRow[]>;
  /** Tags that stand for something, by name. */
  tags(site: string, repo: Repository, page: Page<Tag>): Promise<TagRow[]>;
  /** By digest. */
  links(site: string, repo: Repository, page: Page<Digest>): Promise<LinkRow[]>;
  /** The repositories that hold a digest, by site and name. */
  linkers(digest: Digest, page: Page<Pick<Linker, "site" | "repo">>): Promise<Linker[]>;
  /** How many tags somebody holds, by how. */
  heldTags(): Promise<Readonly<Record<Hold["kind"], number>>>;
  /** The tags that stand for a digest, by site, repository and name. */
  tagsOf(digest: Digest, page: Page<TagKey>): Promise<TagKey[]>;
  /** By digest, at most up to and including `last`. */
  byDigest(page: Page<Digest>, last?: Digest): Promise<Holding[]>;
  /** Links to what is not held, the hosted ones apart, by site, repository and digest: `limit` links are looked at, and `next` is where to go on. */
  looseLinks(page: Page<LinkKey>): Promise<{ readonly loose: LinkKey[]; readonly next: LinkKey | undefined }>;
}
