// What hosted repositories hold, in memory: plainly looked through, as few facts are meant to be here.
import type { Digest } from "../oci/digest.ts";
import type { Repository } from "../oci/reference.ts";
import type { Link, LinkKey } from "./facts.ts";
import type { Holdings } from "./holdings.ts";
import type { Hosting, Referrer } from "./hosting.ts";
import type { Known } from "./memory-holdings.ts";

interface Links {
  get(key: LinkKey): Link | undefined;
  set(key: LinkKey, link: Link): void;
  delete(key: LinkKey): boolean;
}

export const memoryHosting = (known: Known, holdings: Holdings, links: Links): Hosting => {
  const referrers = new Map<string, LinkKey & Referrer>();
  const hosted = () => known.links().filter(([, { hostedAt }]) => hostedAt !== undefined);
  const within = (site: string, repo: Repository) => hosted().filter(([key]) => key.site === site && key.repo === repo);
  const isHeld = async (digest: Digest) => (await holdings.holding(digest)) !== undefined;

  const unhost = (key: LinkKey): boolean => {
    if (links.get(key)?.hostedAt === undefined) return false;
    referrers.delete(place(key));
    return links.delete(key);
  };

  const isUnnamed = async ({ site, repo, digest }: LinkKey, link: Link, before: number): Promise<boolean> => {
    if (link.mediaType !== undefined || link.hostedAt! >= before) return false;
    if (((await holdings.holding(digest))?.usedAt ?? 0) >= before) return false;
    const naming = new Set(await holdings.neededBy(digest, Number.MAX_SAFE_INTEGER));
    return !within(site, repo).some(([key]) => naming.has(key.digest));
  };

  return {
    host: async (key, { mediaType, at, needs = [], referrer }) => {
      const missing: Digest[] = [];
      for (const digest of needs) {
        const there = links.get({ ...key, digest })?.hostedAt !== undefined && (await isHeld(digest));
        if (!there) missing.push(digest);
      }
      if (!(await isHeld(key.digest))) missing.push(key.digest);
      if (missing.length > 0) return missing;
      links.set(key, { mediaType: mediaType ?? links.get(key)?.mediaType, hostedAt: at });
      if (referrer !== undefined) referrers.set(place(key), { ...key, ...referrer });
      return [];
    },
    unhost: async (key) => unhost(key),
    repositories: async (site, { after = "", limit }) => {
      const manifests = hosted().filter(([key, { mediaType }]) => key.site === site && mediaType !== undefined);
      return pageOf([...new Set(manifests.map(([{ repo }]) => repo))], after, limit);
    },
    isHosted: async (digest) => hosted().some(([key]) => key.digest === digest),
    exists: async (site, repo) => within(site, repo).length > 0,
    tags: async (site, repo, { after = "", limit }) => {
      const digests = new Set(within(site, repo).map(([{ digest }]) => digest));
      const tags = known.tags().filter(([key, fact]) => key.site === site && key.repo === repo && digests.has(fact.digest!));
      return pageOf(
        tags.map(([{ tag }]) => tag),
        after,
        limit,
      );
    },
    tagsOf: async ({ site, repo, digest }, { after = "", limit }) => {
      const tags = known.tags().filter(([key, fact]) => key.site === site && key.repo === repo && fact.digest === digest);
      return pageOf(
        tags.map(([{ tag }]) => tag),
        after,
        limit,
      );
    },
    holders: async (site, digest, { after = "", limit }) => {
      const holding = hosted().filter(([key]) => key.site === site && key.digest === digest);
      return pageOf(
        holding.map(([{ repo }]) => repo),
        after,
        limit,
      );
    },
    referrers: async ({ site, repo, subject, artifactType }, { after = "", limit }) =>
      [...referrers.values()]
        .filter((row) => row.site === site && row.repo === repo && row.subject === subject && row.digest > after)
        .filter((row) => artifactType === undefined || row.artifactType === artifactType)
        .sort((a, b) => (a.digest < b.digest ? -1 : 1))
        .slice(0, limit)
        .map(({ digest, descriptor }) => ({ digest, descriptor })),
    unnamed: async (before, { after, limit }) => {
      const looked = hosted()
        .filter(([key]) => after === undefined || place(key) > place(after))
        .sort(([a], [b]) => (place(a) < place(b) ? -1 : 1))
        .slice(0, limit);
      const unnamed: LinkKey[] = [];
      for (const [key, link] of looked) if (await isUnnamed(key, link, before)) unnamed.push(key);
      return { unnamed, next: looked.length < limit ? undefined : looked.at(-1)![0] };
    },
    unhostUnnamed: async (key, before) => {
      const link = links.get(key);
      if (link?.hostedAt === undefined || !(await isUnnamed(key, link, before))) return false;
      for (const [other, { mediaType }] of within(key.site, key.repo))
        if (mediaType !== undefined && (await holdings.holding(other.digest))?.isManifest !== true) return false;
      return unhost(key);
    },
  };
};

const pageOf = <Name extends string>(names: readonly Name[], after: string, limit: number): Name[] =>
  names
    .filter((name) => name > after)
    .sort()
    .slice(0, limit);

const place = ({ site, repo, digest }: LinkKey): string => `${site} ${repo} ${digest}`;
