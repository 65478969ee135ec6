// The part of the fact stores that the managed mirror goes by: what it keeps, since when it has seen upstream say what, and how its syncs went.
import type { Digest } from "../oci/digest.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { FactStore, LinkKey, TagKey } from "./facts.ts";
import type { Page } from "./inventory.ts";

/** One of the images that a tag stood for, which does not make way. */
export interface KeptRoot {
  readonly root: Digest;
  /** Since when; as of the first of its digests. */
  readonly at: number;
  /** The root, and what is kept with it that it does not name: signatures and other referrers. */
  readonly digests: readonly Digest[];
}

/** How a sync of one entry went. */
export interface RunFact {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly isGood: boolean;
  /** JSON, for people. */
  readonly report: string;
}

export interface Runs {
  readonly last: RunFact | undefined;
  readonly lastGood: RunFact | undefined;
}

export interface Mirroring {
  /** From now on the digests do not make way, for what the tag stood for as `root`; in addition to those that do not already. Durable. */
  keep(key: TagKey, root: Digest, digests: readonly Digest[], at: number): Promise<void>;
  /** Newest first. */
  kept(key: TagKey): Promise<KeptRoot[]>;
  /** For what it is kept in its repository, by tag and root. */
  keptFor(key: LinkKey): Promise<{ readonly tag: Tag; readonly root: Digest }[]>;
  /** They may make way again, as far as this root is concerned. Durable. True: anything was kept for it. */
  letGo(key: TagKey, root: Digest): Promise<boolean>;
  /** Tags for which anything is kept, by site, repository and name. */
  keptTags(page: Page<TagKey>): Promise<TagKey[]>;

  /** Upstream says now that the tag is this digest. Since when it has said so without having been heard to say another. */
  sighted(key: TagKey, digest: Digest, at: number): Promise<number>;

  /** The last, and the last good one, of an entry by its name. */
  runs(entry: string): Promise<Runs>;
  putRun(entry: string, run: RunFact): Promise<void>;
  /** Forgets those of all other entries. */
  keepRuns(entries: readonly string[]): Promise<void>;
}

const PAGE = 1_000;

/** Tags of one repository for which anything is kept, by name. */
export async function* keptTagsIn(mirroring: Mirroring, site: string, repo: Repository): AsyncGenerator<TagKey> {
  for (let after: TagKey | undefined = { site, repo, tag: "" as Tag }; after !== undefined; ) {
    const page: TagKey[] = await mirroring.keptTags({ after, limit: PAGE });
    const own = page.filter((key) => key.site === site && key.repo === repo);
    yield* own;
    after = own.length === PAGE ? own.at(-1) : undefined;
  }
}

/** An index, its manifests, their layers. */
const MAX_DEPTH = 2;
/** A blob that more manifests need is looked for in these. */
const MAX_LOOKED_AT = 200;

/** For what the digest is kept in its repository, itself or as a part of what is. */
export async function* keptOver(
  { holdings, mirroring }: Pick<FactStore, "holdings" | "mirroring">,
  { site, repo, digest }: LinkKey,
): AsyncGenerator<{ readonly tag: Tag; readonly root: Digest }> {
  const looked = new Set<Digest>([digest]);
  let level: readonly Digest[] = [digest];
  for (let depth = 0; depth <= MAX_DEPTH && level.length > 0; depth += 1) {
    const above: Digest[] = [];
    for (const each of level) {
      yield* await mirroring.keptFor({ site, repo, digest: each });
      above.push(...(await holdings.neededBy(each, MAX_LOOKED_AT)));
    }
    level = above.filter((one) => looked.size < MAX_LOOKED_AT && !looked.has(one) && looked.add(one));
  }
}
