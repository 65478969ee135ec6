// Backup names at another registry, which is asked for no list of them: a sync puts each on record here, as a tag that it moved, and takes away
// what it has a record of and finds unchanged. Nothing of what they stand for is kept here.
import { mayBeBackupOf } from "../mirrors/backup.ts";
import type { Digest } from "../oci/digest.ts";
import { isOciError } from "../oci/error.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { FactStore, TagKey } from "../store/facts.ts";
import type { TagName } from "./outcome.ts";
import { nameOf, type Run } from "./run.ts";

interface Recorded {
  readonly key: TagKey;
  readonly digest: Digest;
  /** When it got that name. */
  readonly at: number;
}

const PAGE = 1_000;
/** Names of so many characters may have been cut: whose they are cannot be told. */
const MAX_TAG = 128;

/** Before it is there: a name that is not on record would stand for ever. */
export const recordBackup = async ({ facts, clock }: Run["parts"], key: TagKey, digest: Digest): Promise<void> => {
  const { generation = 0 } = (await facts.tag(key)) ?? {};
  await facts.moveTag(key, { digest, at: clock(), reason: "backup" }, generation);
};

/** `tags`: all that names in the repository may be backups of. Throws what the registry says. */
export const letGoPushed = async (run: Run, repo: Repository, tags: ReadonlySet<string>): Promise<TagName[]> => {
  const { entry, parts } = run;
  const { backup: template, keep, target } = entry;
  if (template === undefined || target === undefined) return [];
  const recorded = await recordedIn(parts.facts, target.site, repo);
  const byTag = Map.groupBy(recorded, ({ key }) => ownerOf(template, tags, key.tag));
  const isExpired = ({ at }: Recorded, nth: number) =>
    nth >= keep.count || (keep.for !== undefined && parts.clock() - at > keep.for);
  const expired: TagName[] = [];
  for (const [tag, names] of byTag) {
    if (tag === undefined) continue;
    for (const one of names.toSorted((a, b) => b.at - a.at).filter(isExpired))
      if (await takeAway(run, one)) expired.push(nameOf(one.key));
  }
  return expired;
};

const recordedIn = async (facts: FactStore, site: string, repo: Repository): Promise<Recorded[]> => {
  const found: Recorded[] = [];
  for (let after: Tag | undefined; ; ) {
    const page = await facts.inventory.tags(site, repo, { after, limit: PAGE });
    for (const { tag, digest, hold } of page) {
      const key = { site, repo, tag };
      const [move] = hold === undefined ? await facts.tagHistory(key, 1) : [];
      if (move?.reason === "backup") found.push({ key, digest, at: move.at });
    }
    after = page.at(-1)?.tag;
    if (page.length < PAGE) return found;
  }
};

/** The longest tag in it that it can be a backup of: `v1-alpine-7` is one of `v1-alpine`, not the seventh of `v1`. */
const ownerOf = (template: string, tags: ReadonlySet<string>, name: Tag): string | undefined => {
  if (name.length >= MAX_TAG) return undefined;
  for (let length = name.length; length > 0; length -= 1)
    for (let from = 0; from + length <= name.length; from += 1) {
      const tag = name.slice(from, from + length);
      if (tags.has(tag) && tag !== name && mayBeBackupOf(template, tag)(name)) return tag;
    }
  return undefined;
};

/** False: it is somebody else's by now, or gone, or the registry takes no name away. */
const takeAway = async (run: Run, { key, digest }: Recorded): Promise<boolean> => {
  const { target, parts } = run;
  const ctx = run.context();
  const isOurs = (await target.tag(key.repo, key.tag, ctx))?.digest === digest;
  if (isOurs && !(await removed(run, key))) return false;
  const { generation = 0 } = (await parts.facts.tag(key)) ?? {};
  await parts.facts.moveTag(key, { digest: undefined, at: parts.clock(), reason: "expire" }, generation);
  return isOurs;
};

/** Many registries delete nothing by its tag, and an image may have others: such names stay, and their syncs are good all the same. */
const removed = async ({ target, parts, entry, context }: Run, key: TagKey): Promise<boolean> => {
  try {
    await target.removeBackup(key.repo, key.tag, context());
    return true;
  } catch (error) {
    if (!isOciError(error) || !TAKES_NONE_AWAY.has(error.status)) throw error;
    parts.log.warn(
      { entry: entry.name, site: key.site, repo: key.repo, tag: key.tag, why: error.message.slice(0, 200) },
      "mirror: a backup name has expired, and its registry does not delete tags: it stays",
    );
    return false;
  }
};

const TAKES_NONE_AWAY: ReadonlySet<number> = new Set([400, 405, 501]);
