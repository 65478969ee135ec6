// Tokens that were seen to be given for a credential, by a token server under a name that we stand in for. In memory alone: a restart
// costs a question. A token stands for its credential only where it was asked for, which is in no repository but those of its own scope.
import { LRUCache } from "lru-cache";
import { upTo } from "../lib/lru.ts";

/** Times in ms since the epoch. */
export interface Exchanged {
  /** The credential's. */
  readonly subject: string;
  /** Names of the repositories that it was asked for to pull from. */
  readonly pulls: ReadonlySet<string>;
  readonly since: number;
  readonly until: number;
}

export interface Exchanges {
  /** `hash` is the token's, as a credential for `site`. */
  note(site: string, hash: string, exchanged: Exchanged): void;
  of(site: string, hash: string): Exchanged | undefined;
}

const MAX_REMEMBERED = 50_000;
const MAX_PULLS = 100;

export const exchanges = (): Exchanges => {
  const known = new LRUCache<string, Exchanged>({ ...upTo(MAX_REMEMBERED), sizeCalculation: ({ pulls }) => 1 + pulls.size });
  const keyOf = (site: string, hash: string) => `${site}\n${hash}`;
  return {
    note(site, hash, exchanged) {
      const earlier = known.get(keyOf(site, hash));
      // some servers give one token for all that a credential asks for (GHCR); for another credential's it counts anew
      const isMore = earlier?.subject === exchanged.subject && earlier.until > exchanged.since;
      const pulls = isMore ? new Set([...exchanged.pulls, ...earlier.pulls]) : exchanged.pulls;
      known.set(keyOf(site, hash), { ...exchanged, pulls: new Set([...pulls].slice(0, MAX_PULLS)) });
    },
    of: (site, hash) => known.get(keyOf(site, hash)),
  };
};
