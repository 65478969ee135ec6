// How much of what was replaced is kept: by count, newest first, and by age. Pure, and what is done by it.

import type { Clock } from "../lib/clock.ts";
import { mayBeBackupOf } from "../mirrors/backup.ts";
import type { Covers } from "../mirrors/covers.ts";
import type { MirrorEntry } from "../mirrors.ts";
import type { Digest } from "../oci/digest.ts";
import { ownContext } from "../oci/own-context.ts";
import type { Tag } from "../oci/reference.ts";
import type { FactStore, TagKey, TagMove } from "../store/facts.ts";
import { everyRow } from "../store/inventory.ts";
import type { KeptRoot } from "../store/mirroring.ts";
import type { TagName } from "./outcome.ts";
import { nameOf, type Run } from "./run.ts";
import type { Target } from "./target.ts";

/** Moves that are looked back on. */
const HISTORY = 2_000;
const PAGE = 1_000;

export interface Keeping {
  readonly kept: readonly Pick<KeptRoot, "root" | "at">[];
  /** Newest first, as far back as it was read. */
  readonly history: readonly TagMove[];
  /** Whether there are moves that were not read. */
  readonly isCut: boolean;
  /** What the tag is, and what a sync is to make of it. */
  readonly current: Digest | undefined;
  readonly wanted: Digest | undefined;
  readonly keep: MirrorEntry["keep"];
  readonly at: number;
}

/** What need not be kept any more: replaced for long enough, or never come so far as to be the tag. */
export const toLetGo = ({ kept, history, isCut, current, wanted, keep, at }: Keeping): Digest[] => {
  const others = kept.filter(({ root }) => root !== current && root !== wanted);
  const found = others.map(({ root, at: keptSince }) => {
    const move = history.findIndex(({ digest }) => digest === root);
    return { root, move: move === -1 ? history.length : move, replacedAt: history[move - 1]?.at ?? keptSince };
  });
  const never = found.filter(({ move }) => move === history.length && !isCut);
  // by the order of the moves: clocks may have been turned between them
  const replaced = found.filter((one) => !never.includes(one)).toSorted((a, b) => a.move - b.move);
  const isExpired = (replacedAt: number) => keep.for !== undefined && at - replacedAt > keep.for;
  const expired = replaced.filter(({ replacedAt }, i) => i >= keep.count || isExpired(replacedAt));
  return [...never, ...expired].map(({ root }) => root);
};

/** Backup names that are taken away. */
export const letGoOld = async (run: Run, key: TagKey, wanted: Digest | undefined): Promise<TagName[]> => {
  const { facts, clock } = run.parts;
  const { digest: current } = (await facts.tag(key)) ?? {};
  const kept = await facts.mirroring.kept(key);
  if (kept.every(({ root }) => root === current || root === wanted)) return [];
  const history = await facts.tagHistory(key, HISTORY);
  const isCut = history.length === HISTORY;
  const expired = await removeOutlived(run, key, kept);
  for (const root of toLetGo({ kept, history, isCut, current, wanted, keep: run.entry.keep, at: clock() })) {
    // names first: of what is kept no longer none would be looked for
    expired.push(...(await removeBackups(run, key, root)));
    await facts.mirroring.letGo(key, root);
    await run.target.letGo?.(key.repo, kept.find((one) => one.root === root)?.digests ?? [root], run.context());
  }
  return expired;
};

interface Backup {
  readonly key: TagKey;
  readonly digest: Digest;
  readonly since: number;
}

/** A tag that goes back and forth gets a name each time: older ones of what has a newer one go by count and age as well. */
const removeOutlived = async (run: Run, key: TagKey, kept: readonly KeptRoot[]): Promise<TagName[]> => {
  const { keep, backup } = run.entry;
  if (backup === undefined) return [];
  const all: Backup[] = [];
  for (const { root } of kept) all.push(...(await namesOf(run, key, root)));
  const newest = new Set<Digest>();
  const at = run.parts.clock();
  const outlived = all
    .toSorted((a, b) => b.since - a.since)
    .filter(({ digest, since }, i) => {
      const isNewest = !newest.has(digest);
      newest.add(digest);
      return !isNewest && (i >= keep.count || (keep.for !== undefined && at - since > keep.for));
    });
  return remove(run, outlived);
};

const removeBackups = async (run: Run, key: TagKey, root: Digest): Promise<TagName[]> =>
  remove(run, await namesOf(run, key, root));

const remove = async ({ target, context }: Run, names: readonly Backup[]): Promise<TagName[]> => {
  for (const { key } of names) await target.removeBackup(key.repo, key.tag, context());
  return names.map(({ key }) => nameOf(key));
};

const namesOf = async ({ entry, parts }: Run, key: TagKey, root: Digest): Promise<Backup[]> => {
  const isIts = mayBeBackupOf(entry.backup, key.tag);
  const found: Backup[] = [];
  for (const other of await tagsHere(parts.facts, key, root)) {
    if (!isIts(other.tag)) continue;
    const { hold } = (await parts.facts.tag(other)) ?? {};
    if (hold?.kind === "backup") found.push({ key: other, digest: root, since: hold.since });
  }
  return found;
};

/** `names`: of backups that went. */
export interface LetGone {
  readonly tags: number;
  readonly names: number;
}

/**
 * For tags that no entry writes any more nothing is kept, and their backup names go: of a hosted site what only they needed as well. The tags
 * themselves stay what they are.
 */
export const letGoUncovered = async (parts: RetentionParts, writer: Covers): Promise<LetGone> => {
  const { facts, targetOf, clock } = parts;
  let [tags, names] = [0, 0];
  for await (const key of uncovered(facts, writer)) {
    for (const { root, digests } of await facts.mirroring.kept(key)) {
      for (const name of await backupsOf(facts, writer, key, root)) if (await facts.expireTag(name, clock())) names += 1;
      await facts.mirroring.letGo(key, root);
      await targetOf(key.site)?.letGo?.(key.repo, digests, ownContext("mirror", new AbortController().signal));
    }
    tags += 1;
  }
  return { tags, names };
};

/** As many as there are. */
export const countUncovered = async (facts: FactStore, writer: Covers): Promise<number> => {
  let count = 0;
  for await (const _ of uncovered(facts, writer)) count += 1;
  return count;
};

export interface RetentionParts {
  readonly facts: FactStore;
  /** `undefined`: it is no site any more. */
  readonly targetOf: (site: string) => Pick<Target, "letGo"> | undefined;
  readonly clock: Clock;
}

async function* uncovered({ mirroring }: FactStore, writer: Covers): AsyncGenerator<TagKey> {
  for await (const key of everyRow<TagKey>((page) => mirroring.keptTags(page)))
    if (writer(key.site, key.repo, key.tag) === undefined) yield key;
}

/** None where another tag that is covered has stood for the same: they may be its. */
const backupsOf = async (facts: FactStore, writer: Covers, key: TagKey, root: Digest): Promise<TagKey[]> => {
  const { site, repo } = key;
  const others = await facts.mirroring.keptFor({ site, repo, digest: root });
  if (others.some(({ tag }) => writer(site, repo, tag) !== undefined)) return [];
  return tagsHere(facts, key, root);
};

/** The others of its repository that stand for it. */
const tagsHere = async ({ inventory }: FactStore, { site, repo, tag }: TagKey, root: Digest): Promise<TagKey[]> => {
  const page = await inventory.tagsOf(root, { after: { site, repo, tag: "" as Tag }, limit: PAGE });
  return page.filter((other) => other.site === site && other.repo === repo && other.tag !== tag);
};
