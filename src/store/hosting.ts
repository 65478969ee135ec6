// The part of the fact stores that nobody else could tell again: what repositories of hosted sites hold. It is on the disk before
// anybody is told of it, and what it names is in nobody's way for want of room or for its age: only its owner deletes it.
import type { Digest } from "../oci/digest.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { LinkKey } from "./facts.ts";
import { everyRow, type Page } from "./inventory.ts";

/** What a hosted manifest refers to by its `subject`, and how it is listed there. */
export interface Referrer {
  readonly subject: Digest;
  readonly artifactType: string;
  /** JSON (distribution-spec, "Listing Referrers"). */
  readonly descriptor: string;
}

export interface NewHosted {
  /** `undefined`: a blob. */
  readonly mediaType: string | undefined;
  readonly at: number;
  /** What the repository must have, and be able to give, for this to be hosted at all. */
  readonly needs?: readonly Digest[];
  readonly referrer?: Referrer | undefined;
}

export interface ReferrersKey {
  readonly site: string;
  readonly repo: Repository;
  readonly subject: Digest;
  /** Only these. */
  readonly artifactType?: string | undefined;
}

export interface ReferrerRow {
  readonly digest: Digest;
  readonly descriptor: string;
}

export interface Hosting {
  /**
   * Durable when it returns. What is missing of `needs`, and of its own bytes: they may have had to make way since they came. With
   * anything missing nothing was done, otherwise nothing of it goes from now on. What is a manifest once stays one.
   */
  host(key: LinkKey, hosted: NewHosted): Promise<Digest[]>;
  /** Durable when it returns: the link goes, and what it said of a subject. True: it was hosted. */
  unhost(key: LinkKey): Promise<boolean>;
  /** Repositories with a hosted manifest, by name. */
  repositories(site: string, page: Page<Repository>): Promise<Repository[]>;
  /** Whether any repository is the host of it. */
  isHosted(digest: Digest): Promise<boolean>;
  /** Whether the repository holds anything. */
  exists(site: string, repo: Repository): Promise<boolean>;
  /** Tags that stand for a hosted manifest, by name. */
  tags(site: string, repo: Repository, page: Page<Tag>): Promise<Tag[]>;
  /** Tags of a repository that stand for the digest, by name. */
  tagsOf(key: LinkKey, page: Page<Tag>): Promise<Tag[]>;
  /** Repositories of the site that hold the digest, by name. */
  holders(site: string, digest: Digest, page: Page<Repository>): Promise<Repository[]>;
  /** By digest. */
  referrers(key: ReferrersKey, page: Page<Digest>): Promise<ReferrerRow[]>;
  /**
   * Blobs that came before `before`, were not used since, and that no hosted manifest of their repository names: `limit` of them are
   * looked at, and `next` is where to go on.
   */
  unnamed(before: number, page: Page<LinkKey>): Promise<{ readonly unnamed: LinkKey[]; readonly next: LinkKey | undefined }>;
  /** Unhosts it if it still is unnamed, and every manifest of its repository is held as one, so that what they name is known. True: it was. */
  unhostUnnamed(key: LinkKey, before: number): Promise<boolean>;
}

export const tagsFor = (hosting: Pick<Hosting, "tagsOf">, key: LinkKey): AsyncGenerator<Tag> =>
  everyRow((page: Page<Tag>) => hosting.tagsOf(key, page));
