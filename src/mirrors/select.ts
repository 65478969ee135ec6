// What of a site's names an entry is about: pure, compiled once, and the same for the sync that copies and for who asks whether a tag is covered.

import { globOf } from "../lib/glob.ts";
import type { MirrorEntry, TagSelection } from "../mirrors.ts";
import { digestNamedBy } from "../oci/digest-tag.ts";
import { chosenBy, isLiteral } from "./patterns.ts";
import { inRange, newestFirst } from "./versions.ts";

/** They belong to an image, and come and go with it (`digestTags`). */
export const isDigestTag = (tag: string): boolean => digestNamedBy(tag) !== undefined;

/** All but `newest`, which needs to know the others. */
export const selectsTag = (selection: TagSelection): ((tag: string) => boolean) => {
  const chosen = chosenBy(selection);
  const named = new Set(selection.only);
  // who chooses among suffixes wants those that are asked for
  const within = selection.semver === undefined ? undefined : inRange(selection.semver, selection.only.length > 0);
  return (tag) => (within === undefined || within(tag)) && chosen(tag) && (named.has(tag) || !isDigestTag(tag));
};

/** In the order of `names`, or, of the `newest`, the highest first. Each once. */
export const selectTags = (selection: TagSelection, names: Iterable<string>): string[] => {
  const selected = [...new Set(names)].filter(selectsTag(selection));
  return selection.newest === undefined ? selected : selected.toSorted(newestFirst).slice(0, selection.newest);
};

/** Names of one site's repositories; the pattern and `repos` decide. */
export const selectsRepo = ({ source, isPattern, repos }: MirrorEntry): ((repo: string) => boolean) => {
  if (!isPattern) return (repo) => repo === source.repo;
  const [matches, chosen] = [globOf(source.repo), chosenBy(repos)];
  return (repo) => matches(repo) && chosen(repo);
};

export const selectRepos = (entry: MirrorEntry, names: Iterable<string>): string[] =>
  [...new Set(names)].filter(selectsRepo(entry));

/** The repositories, where they can be told without asking for all that there are. */
export const namedRepos = (entry: MirrorEntry): readonly string[] | undefined => {
  if (!entry.isPattern) return [entry.source.repo];
  const { only } = entry.repos;
  return only.length > 0 && only.every(isLiteral) ? selectRepos(entry, only) : undefined;
};

/** The tags, where they can be told without asking for all that there are; they may not be there, or not be chosen. */
export const namedTags = ({ only }: TagSelection): readonly string[] | undefined =>
  only.length > 0 && only.every(isLiteral) ? only : undefined;
