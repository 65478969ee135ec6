// What Layover's own credentials may read of a site whose clients show theirs: for a sync alone. What upstream says to them stays here, in
// memory and for as long as any other grant: it gives no client any right, and makes nothing public.
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { upTo } from "../lib/lru.ts";
import type { Repository } from "../oci/reference.ts";
import type { Site } from "../sites.ts";
import type { Rights } from "./rights.ts";

/** A sync goes through one repository after the other. */
const REMEMBERED = 10_000;

export const ownRights = ({ grantFor }: Pick<Site, "grantFor">, clock: Clock): Rights => {
  const grantedAt = new LRUCache<Repository, number>(upTo(REMEMBERED));
  const refusedAt = new LRUCache<Repository, number>(upTo(REMEMBERED));
  let noes = 0;
  const grant = (repo: Repository, asked: number) => {
    if ((refusedAt.get(repo) ?? 0) <= asked) grantedAt.set(repo, clock());
  };
  return {
    standing(repo) {
      const age = clock() - (grantedAt.get(repo) ?? Number.NEGATIVE_INFINITY);
      // without upstream there is nothing to sync: what was so once is no right
      return age >= 0 && age < grantFor ? "live" : "none";
    },
    confirmedAt: (repo) => Promise.resolve(grantedAt.get(repo)),
    asking: () => noes,
    granted: (repo, _credential, asked) => grant(repo, asked),
    published: () => undefined,
    hidden: () => Promise.resolve(),
    isPublic: () => Promise.resolve(false),
    anyPublic: () => Promise.resolve(false),
    async refused(repo) {
      noes += 1;
      refusedAt.set(repo, noes);
      grantedAt.delete(repo);
    },
    known: () => Promise.resolve(false),
  };
};
