// What the managed mirror goes by, in memory.
import type { Digest } from "../oci/digest.ts";
import type { TagKey } from "./facts.ts";
import type { KeptRoot, Mirroring, RunFact, Runs } from "./mirroring.ts";

interface KeptTag {
  readonly key: TagKey;
  readonly roots: Map<Digest, KeptRoot>;
}

/** A blank comes before everything that a name may hold. */
const place = ({ site, repo, tag }: TagKey): string => `${site} ${repo} ${tag}`;

export const memoryMirroring = (): { mirroring: Mirroring; isKept: (digest: Digest) => boolean } => {
  const kept = new Map<string, KeptTag>();
  const seen = new Map<string, { readonly digest: Digest; readonly since: number }>();
  const runs = new Map<string, Runs>();
  const none: Runs = { last: undefined, lastGood: undefined };
  const mirroring: Mirroring = {
    keep: async (key, root, digests, at) => {
      const { roots } = kept.get(place(key)) ?? { roots: new Map<Digest, KeptRoot>() };
      const before = roots.get(root) ?? { root, at, digests: [] };
      roots.set(root, { root, at: Math.min(before.at, at), digests: [...new Set([...before.digests, ...digests])].sort() });
      kept.set(place(key), { key: { site: key.site, repo: key.repo, tag: key.tag }, roots });
    },
    kept: async (key) => [...(kept.get(place(key))?.roots.values() ?? [])].sort(newestFirst),
    keptFor: async ({ site, repo, digest }) =>
      [...kept.values()]
        .filter(({ key }) => key.site === site && key.repo === repo)
        .flatMap(({ key: { tag }, roots }) =>
          [...roots.values()].flatMap(({ root, digests }) => (digests.includes(digest) ? [{ tag, root }] : [])),
        )
        .sort((a, b) => (`${a.tag} ${a.root}` < `${b.tag} ${b.root}` ? -1 : 1)),
    letGo: async (key, root) => {
      const roots = kept.get(place(key))?.roots;
      const wasKept = roots?.delete(root) ?? false;
      if (roots?.size === 0) kept.delete(place(key));
      return wasKept;
    },
    keptTags: async ({ after, limit }) =>
      [...kept]
        .filter(([name]) => after === undefined || name > place(after))
        .sort(([one], [other]) => (one < other ? -1 : 1))
        .slice(0, limit)
        .map(([, { key }]) => key),
    sighted: async (key, digest, at) => {
      const before = seen.get(place(key));
      if (before?.digest === digest && before.since <= at) return before.since;
      seen.set(place(key), { digest, since: at });
      return at;
    },
    runs: async (entry) => runs.get(entry) ?? none,
    putRun: async (entry, run: RunFact) => {
      runs.set(entry, { last: run, lastGood: run.isGood ? run : runs.get(entry)?.lastGood });
    },
    keepRuns: async (entries) => {
      for (const entry of runs.keys()) if (!entries.includes(entry)) runs.delete(entry);
    },
  };
  const isKept = (digest: Digest) =>
    [...kept.values()].some(({ roots }) => [...roots.values()].some(({ digests }) => digests.includes(digest)));
  return { mirroring, isKept };
};

const newestFirst = (one: KeptRoot, other: KeptRoot): number => other.at - one.at || (one.root < other.root ? -1 : 1);
