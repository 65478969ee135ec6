// What no entry of `mirror:` can know alone: names and target tags that two of them would have, and copies that go in a circle.

import { copyOf } from "../mirrors/covers.ts";
import { namedTags, selectsRepo, selectsTag } from "../mirrors/select.ts";
import type { MirrorEntry, TagSelection } from "../mirrors.ts";
import type { EntrySettings } from "./mirror-schema.ts";

export interface Clash {
  readonly index: number;
  readonly key: keyof EntrySettings;
  readonly text: string;
}

interface Numbered {
  readonly entry: MirrorEntry;
  readonly index: number;
}

/** In the place of an entry that is wrong itself stands `undefined`. */
export const clashingEntries = (entries: readonly (MirrorEntry | undefined)[]): Clash[] => {
  const all = entries.flatMap((entry, index): Numbered[] => (entry === undefined ? [] : [{ entry, index }]));
  return [...sameNames(all), ...sameTags(all), ...circles(all)];
};

const sameNames = (all: readonly Numbered[]): Clash[] => {
  const first = new Map<string, Numbered>();
  return all.flatMap(({ entry, index }): Clash[] => {
    const earlier = first.get(entry.name);
    first.set(entry.name, earlier ?? { entry, index });
    const text = `another entry is called ${JSON.stringify(entry.name)} already: give each a \`name\``;
    return earlier === undefined ? [] : [{ index, key: "name", text }];
  });
};

/** Only what can be known: by tags that are named, or where both take everything. */
const sameTags = (all: readonly Numbered[]): Clash[] => {
  const patterns = all.filter(({ entry }) => entry.isPattern).map(writer);
  const plain = all.filter(({ entry }) => !entry.isPattern).map(writer);
  const named = Map.groupBy(plain, ({ entry }) => placeKey(entry));
  return [
    ...[...named.values()].flatMap((same) => same.flatMap((one, i) => firstClash(one, same.slice(0, i)))),
    ...plain.flatMap((one) => firstClash(one, patterns)),
    ...patterns.flatMap((one, i) => firstClash(one, patterns.slice(0, i))),
  ];
};

interface Writer extends Numbered {
  /** Tags at the target that are sure to be written, where the source has them. */
  readonly names: readonly string[];
  readonly isSure: (tag: string) => boolean;
  readonly isAbout: (repo: string) => boolean;
}

const writer = ({ entry, index }: Numbered): Writer => {
  const { tags, targetTag } = entry;
  const isAbout = selectsRepo(entry);
  if (targetTag !== undefined) return { entry, index, isAbout, names: [targetTag], isSure: (tag) => tag === targetTag };
  const selects = tags.newest === undefined ? selectsTag(tags) : () => false;
  return { entry, index, isAbout, names: (namedTags(tags) ?? []).filter(selects), isSure: selects };
};

const firstClash = (one: Writer, others: readonly Writer[]): Clash[] => {
  for (const other of others) {
    if (!isSameRepo(one, other)) continue;
    const { site, repo } = copyOf(one.entry, one.entry.source.repo, "");
    const tag = one.names.find(other.isSure) ?? other.names.find(one.isSure);
    if (tag === undefined && JSON.stringify(one.entry.tags) !== JSON.stringify(other.entry.tags)) continue;
    const what = tag === undefined ? `${site}/${repo}` : `${site}/${repo}:${tag}`;
    const text = `the entry ${JSON.stringify(other.entry.name)} writes ${what} as well: leave it out of one of them`;
    return [{ index: one.index, key: "source", text }];
  }
  return [];
};

/** Whether both are sure to write to one repository; of a pattern only what another entry names is sure to be there. */
const isSameRepo = (one: Writer, other: Writer): boolean => {
  if (!one.entry.isPattern && !other.entry.isPattern) return true; // by the same place
  if (one.entry.isPattern) return patternKey(one.entry) === patternKey(other.entry);
  const { site, repo } = one.entry.source;
  const isFrom = other.entry.source.site === site && other.isAbout(repo);
  return isFrom && placeKey(one.entry) === placeKey(other.entry, repo);
};

const placeKey = (entry: MirrorEntry, repo = entry.source.repo): string => {
  const copy = copyOf(entry, repo, "");
  return `${copy.site}/${copy.repo}`;
};

const patternKey = ({ source, repos, target }: MirrorEntry): string => JSON.stringify([source, repos, target]);

/** What an entry copies to, another copies on, and so forth to where the first one reads. */
const circles = (all: readonly Numbered[]): Clash[] => {
  const copying = all.filter(({ entry }) => entry.target !== undefined);
  const bySource = Map.groupBy(copying, ({ entry }) => entry.source.site);
  const done = new Set<Numbered>();
  const found: Clash[] = [];
  const follow = (one: Numbered, way: readonly Numbered[]): void => {
    const begin = way.indexOf(one);
    if (begin !== -1) found.push(circle(way.slice(begin)));
    if (begin !== -1 || done.has(one)) return;
    for (const next of bySource.get(one.entry.target!.site) ?? [])
      if (mayRead(one.entry, next.entry)) follow(next, [...way, one]);
    done.add(one);
  };
  for (const one of copying) follow(one, []);
  return found;
};

const circle = (way: readonly Numbered[]): Clash => {
  const last = way.reduce((one, other) => (other.index > one.index ? other : one));
  const names = [...way, way[0]!].map(({ entry }) => entry.name).join(" → ");
  const text =
    way.length === 1 ? "lies within its own source: every sync would copy the copies" : `copies go in a circle: ${names}`;
  return { index: last.index, key: "target", text };
};

/** Whether the other reads what the one writes; where both are patterns, whether it might. */
const mayRead = (one: MirrorEntry, other: MirrorEntry): boolean => {
  const written = copyOf(one, one.source.repo, "").repo;
  const overlaps = one.isPattern ? mayOverlap(written, other.source.repo) : selectsRepo(other)(written);
  return overlaps && tagsMayMeet(one, other.tags);
};

/** Up to the first star of each. */
const mayOverlap = (a: string, b: string): boolean => {
  const [one, two] = [a.split("*")[0]!, b.split("*")[0]!];
  return one.startsWith(two) || two.startsWith(one);
};

const tagsMayMeet = ({ tags, targetTag }: MirrorEntry, read: TagSelection): boolean => {
  const names = targetTag === undefined ? namedTags(tags) : [targetTag];
  return names === undefined || names.some(selectsTag(read));
};
