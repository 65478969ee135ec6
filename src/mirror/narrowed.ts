// A part of an entry, as an entry of its own: one repository of what it covers, or one tag of it.
import type { MirrorEntry, MirrorPlace } from "../mirrors.ts";

export interface Part {
  readonly repository: string;
  readonly tag: string | undefined;
}

/** The entry itself where `part` is `undefined`. It is the caller's to see that the entry covers it. */
export const narrowed = (entry: MirrorEntry, part: Part | undefined): MirrorEntry => {
  if (part === undefined) return entry;
  const { repository, tag } = part;
  return {
    ...entry,
    source: { site: entry.source.site, repo: repository },
    isPattern: false,
    repos: { only: [], except: [] },
    target: entry.target && (entry.isPattern ? below(entry.target, repository) : entry.target),
    ...(tag !== undefined && { tags: { only: [tag], except: [], semver: undefined, newest: undefined } }),
  };
};

const below = ({ site, repo }: MirrorPlace, repository: string): MirrorPlace => ({
  site,
  repo: repo === "" ? repository : `${repo}/${repository}`,
});
