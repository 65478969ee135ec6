// Which entry is about a tag: what decides who may move it. Asked with every request for a tag, so grouped by site and looked up by name.
import type { MirrorEntry, MirrorPlace } from "../mirrors.ts";
import { isDigestTag, selectsRepo, selectsTag } from "./select.ts";

/** Of a site's own name, a repository and a tag. */
export type Covers = (site: string, repo: string, tag: string) => MirrorEntry | undefined;

interface Compiled {
  readonly entry: MirrorEntry;
  readonly order: number;
  readonly site: string;
  readonly isAbout: (repo: string) => boolean;
  readonly takes: (tag: string) => boolean;
}

/** No name is longer (distribution-spec); what is, is nobody's. */
const MAX_REPO = 255;
const MAX_TAG = 128;

/**
 * The first entry that mirrors this tag under its own name: by its repository and its selection without `newest`. With `digestTags` also tags
 * that belong to its images.
 */
export const covers = (entries: readonly MirrorEntry[]): Covers => writes(entries.filter(({ target }) => target === undefined));

/** The first entry whose copies go to this tag, wherever they come from. */
export const writes = (entries: readonly MirrorEntry[]): Covers => {
  const tables = new Map([...Map.groupBy(entries.map(compile), ({ site }) => site)].map(([site, all]) => [site, tableOf(all)]));
  return (site, repo, tag) => {
    if (repo.length > MAX_REPO || tag.length > MAX_TAG) return undefined;
    return tables.get(site)?.(repo, tag);
  };
};

const tableOf = (all: readonly Compiled[]): ((repo: string, tag: string) => MirrorEntry | undefined) => {
  const patterns = all.filter(({ entry }) => entry.isPattern);
  const named = Map.groupBy(
    all.filter(({ entry }) => !entry.isPattern),
    ({ entry }) => (entry.target ?? entry.source).repo,
  );
  return (repo, tag) => {
    const one = named.get(repo)?.find(({ takes }) => takes(tag));
    const other = patterns.find(({ isAbout, takes }) => isAbout(repo) && takes(tag));
    if (one === undefined || other === undefined) return (one ?? other)?.entry;
    return (one.order < other.order ? one : other).entry;
  };
};

const compile = (entry: MirrorEntry, order: number): Compiled => {
  const { target, targetTag, tags, digestTags } = entry;
  const selects = targetTag === undefined ? selectsTag(tags) : (tag: string) => tag === targetTag;
  const takes = digestTags ? (tag: string) => selects(tag) || isDigestTag(tag) : selects;
  return { entry, order, site: (target ?? entry.source).site, isAbout: isCopiedTo(entry), takes };
};

const isCopiedTo = (entry: MirrorEntry): ((repo: string) => boolean) => {
  const selects = selectsRepo(entry);
  const { target } = entry;
  if (target === undefined) return selects;
  if (!entry.isPattern) return (repo) => repo === target.repo;
  const before = target.repo === "" ? "" : `${target.repo}/`;
  return (repo) => repo.startsWith(before) && selects(repo.slice(before.length));
};

/** Where an entry puts its copy of a tag. */
export const copyOf = (entry: MirrorEntry, repo: string, tag: string): MirrorPlace & { readonly tag: string } => {
  const { source, isPattern, target, targetTag } = entry;
  if (target === undefined) return { site: source.site, repo, tag };
  const under = target.repo === "" ? repo : `${target.repo}/${repo}`;
  return { site: target.site, repo: isPattern ? under : target.repo, tag: targetTag ?? tag };
};
