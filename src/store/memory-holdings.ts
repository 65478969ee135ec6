// What is held, in memory: plainly looked through, as few facts are meant to be here.
import type { Digest } from "../oci/digest.ts";
import type { Link, LinkKey, TagFact, TagKey } from "./facts.ts";
import { wholeMs } from "./facts.ts";
import { AHEAD, type Holding, type Holdings, type NewHolding, type UseCursor } from "./holdings.ts";
import type { Inventory } from "./inventory.ts";

interface Kept extends Holding {
  readonly parts: readonly Digest[];
}

/** What the other facts are, for who looks through them. */
export interface Known {
  readonly tags: () => (readonly [TagKey, TagFact])[];
  readonly links: () => (readonly [LinkKey, Link])[];
  readonly isKept: (digest: Digest) => boolean;
}

export const memoryHoldings = (known: Known): { holdings: Holdings; inventory: Inventory } => {
  const kept = new Map<Digest, Kept>();
  const put = ({ digest, size, at, parts }: NewHolding): void => {
    const before = kept.get(digest) ?? { digest, size, addedAt: wholeMs(at), usedAt: wholeMs(at), isManifest: false, parts: [] };
    kept.set(digest, {
      ...before,
      isManifest: before.isManifest || parts !== undefined,
      parts: [...new Set([...before.parts, ...(parts ?? [])])],
    });
  };
  const neededBy = (digest: Digest) =>
    sorted([...kept.values()].filter(({ parts }) => parts.includes(digest)).map((manifest) => manifest.digest));
  const mayGo = (digest: Digest) =>
    neededBy(digest).length === 0 &&
    !known.isKept(digest) &&
    !known.tags().some(([, fact]) => fact.digest === digest && fact.hold !== undefined) &&
    !known.links().some(([key, { hostedAt }]) => key.digest === digest && hostedAt !== undefined);
  const byUse = (after: UseCursor | undefined) =>
    [...kept.values()]
      .map(holdingOf)
      .filter((holding) => after === undefined || order(holding, after) > 0)
      .sort(order);
  const holdings: Holdings = {
    holding: async (digest) => optionally(holdingOf, kept.get(digest)),
    hold: async (holding) => put(holding),
    release: async (digest) => kept.delete(digest),
    releaseIdle: async (digest) => mayGo(digest) && kept.delete(digest),
    used: async (uses) => {
      for (const [digest, at] of uses) {
        const before = kept.get(digest);
        if (before === undefined) continue;
        const usedAt = before.usedAt > wholeMs(at) + AHEAD ? wholeMs(at) : Math.max(before.usedAt, wholeMs(at));
        kept.set(digest, { ...before, usedAt });
      }
    },
    totals: async () => ({ count: kept.size, bytes: [...kept.values()].reduce((sum, { size }) => sum + size, 0) }),
    idle: async (after, limit) =>
      byUse(after)
        .filter(({ digest }) => mayGo(digest))
        .slice(0, limit),
    heldParts: async (manifest) => sorted((kept.get(manifest)?.parts ?? []).filter((part) => kept.has(part))),
    neededBy: async (digest, limit) => neededBy(digest).slice(0, limit),
  };
  return { holdings, inventory: memoryInventory(known, kept) };
};

const memoryInventory = ({ tags, links }: Known, kept: ReadonlyMap<Digest, Holding>): Inventory => {
  const isHosted = (key: LinkKey) =>
    links().some(([other, { hostedAt }]) => place(other) === place(key) && hostedAt !== undefined);
  const named = () => tags().filter(([, { digest }]) => digest !== undefined);
  const within = (site: string, repo: string) => (key: { site: string; repo: string }) => key.site === site && key.repo === repo;
  return {
    sites: async () => sorted([...new Set([...named(), ...links()].map(([{ site }]) => site))]),
    repositories: async (site, { after = "", limit }) => {
      const repos = [...named(), ...links()].filter(([key]) => key.site === site).map(([{ repo }]) => repo);
      return sorted([...new Set(repos)])
        .filter((repo) => repo > after)
        .slice(0, limit)
        .map((repo) => {
          const linked = links().filter(([key]) => within(site, repo)(key));
          const held = linked.flatMap(([{ digest }]) => kept.get(digest) ?? []);
          return {
            repo,
            tags: named().filter(([key]) => within(site, repo)(key)).length,
            links: linked.length,
            held: held.length,
            bytes: held.reduce((sum, { size }) => sum + size, 0),
          };
        });
    },
    tags: async (site, repo, { after = "", limit }) =>
      named()
        .filter(([key]) => within(site, repo)(key) && key.tag > after)
        .map(([{ tag }, fact]) => ({ tag, ...fact, digest: fact.digest!, isHeld: kept.has(fact.digest!) }))
        .sort((a, b) => compare(a.tag, b.tag))
        .slice(0, limit),
    links: async (site, repo, { after = "", limit }) =>
      links()
        .filter(([key]) => within(site, repo)(key) && key.digest > after)
        .map(([{ digest }, { mediaType }]) => ({ digest, mediaType, size: kept.get(digest)?.size }))
        .sort((a, b) => compare(a.digest, b.digest))
        .slice(0, limit),
    linkers: async (digest, { after, limit }) =>
      links()
        .filter(([key]) => key.digest === digest && (after === undefined || place(key) > place({ ...after, digest })))
        .map(([{ site, repo }, { mediaType }]) => ({ site, repo, mediaType }))
        .sort((a, b) => compare(a.site, b.site) || compare(a.repo, b.repo))
        .slice(0, limit),
    heldTags: async () => {
      const counts = { pin: 0, rollback: 0, backup: 0 };
      for (const [, { hold }] of named()) if (hold !== undefined) counts[hold.kind] += 1;
      return counts;
    },
    tagsOf: async (digest, { after, limit }) =>
      named()
        .filter(([key, fact]) => fact.digest === digest && (after === undefined || byTag(key, after) > 0))
        .map(([key]) => key)
        .sort(byTag)
        .slice(0, limit),
    byDigest: async ({ after = "", limit }, last) =>
      [...kept.values()]
        .map(holdingOf)
        .filter(({ digest }) => digest > after && (last === undefined || digest <= last))
        .sort((a, b) => compare(a.digest, b.digest))
        .slice(0, limit),
    looseLinks: async ({ after, limit }) => {
      const looked = links()
        .map(([key]) => key)
        .filter((key) => after === undefined || place(key) > place(after))
        .sort((a, b) => compare(place(a), place(b)))
        .slice(0, limit);
      return {
        loose: looked.filter((key) => !kept.has(key.digest) && !isHosted(key)),
        next: looked.length < limit ? undefined : looked.at(-1),
      };
    },
  };
};

const holdingOf = ({ digest, size, addedAt, usedAt, isManifest }: Kept | Holding): Holding => ({
  digest,
  size,
  addedAt,
  usedAt,
  isManifest,
});

const optionally = <From, To>(map: (from: From) => To, value: From | undefined): To | undefined =>
  value === undefined ? undefined : map(value);

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

const byTag = (a: TagKey, b: TagKey): number => compare(a.site, b.site) || compare(a.repo, b.repo) || compare(a.tag, b.tag);
const sorted = <Name extends string>(names: readonly Name[]): Name[] => [...names].sort(compare);
const order = (a: UseCursor, b: UseCursor): number => a.usedAt - b.usedAt || compare(a.digest, b.digest);
/** A blank comes before everything that a name may hold. */
const place = ({ site, repo, digest }: LinkKey): string => `${site} ${repo} ${digest}`;
