// Who may read what of one site, from what upstream has said: the question "is there a right?" without asking upstream.
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { upTo } from "../lib/lru.ts";
import type { Repository } from "../oci/reference.ts";
import type { Credential } from "../oci/registry.ts";
import type { Site } from "../sites.ts";
import { type GrantFact, PUBLIC } from "../store/facts.ts";
import type { Grants } from "./grants.ts";
import { expiryOf, subjectOf } from "./subject.ts";

/** `live`: no question is due. `stale`: good enough while upstream cannot be asked. */
export type Standing = "live" | "stale" | "none";

export interface Rights {
  standing(repo: Repository, credential: Credential | undefined): Promise<Standing>;
  /** When upstream last said yes, to it or to everybody. ms since the epoch; `undefined`: nobody knows. */
  confirmedAt(repo: Repository, credential: Credential | undefined): Promise<number | undefined>;
  /** The moment, to be taken before a question: where upstream has said no since, a yes to that question comes too late. */
  asking(): number;
  /** Upstream said yes to this credential, to a question that was `asked` then. */
  granted(repo: Repository, credential: Credential | undefined, asked: number): void;
  /** Upstream said yes to an anonymous client: the repository is public for a while. */
  published(repo: Repository, asked: number): void;
  /** Upstream said 401 or 403 to a client that is as anonymous as can be, tokens included: it is public no more. */
  hidden(repo: Repository): Promise<void>;
  /** Whether it is known to be public, without a question. */
  isPublic(repo: Repository): Promise<boolean>;
  /** Upstream said 401 or 403 to this credential. */
  refused(repo: Repository, credential: Credential | undefined): Promise<void>;
  /** Whether the credential has been good for anything on this site within `staleAccess`. */
  known(credential: Credential): Promise<boolean>;
}

/** Of the latest noes so many are remembered: far more than there are questions under way. */
const MAX_REFUSED = 10_000;

/** `access: client`: the credential that the client sends decides. `key` is the secret under which subjects are hashed. */
export const clientRights = (site: Site, grants: Grants, key: Uint8Array, clock: Clock): Rights => {
  const keyFor = (repo: Repository, subject: string) => ({ site: site.host, repo, subject });
  const judge = (grant: GrantFact | undefined): Standing => {
    const now = clock();
    // a grant from the future comes of a clock that was turned back: it proves nothing about how old it is
    const isDated = grant !== undefined && grant.grantedAt <= now + 1_000;
    if (isDated && now < grant.expiresAt) return "live";
    // nobody can tell again what was public, and clocks of machines that are cut off go wrong
    if (site.offline && grant?.subject === PUBLIC) return "stale";
    if (!isDated) return "none";
    return now - grant.grantedAt < site.staleAccess ? "stale" : "none";
  };
  const standingOf = async (repo: Repository, subject: string) => judge(await grants.get(keyFor(repo, subject)));
  // moments are counted in noes: between two of them nothing happens that a yes could come too late for
  let noes = 0;
  const refusedAt = new LRUCache<string, number>(upTo(MAX_REFUSED));
  const takeAway = (repo: Repository, subject: string) => {
    noes += 1;
    refusedAt.set(`${repo}\n${subject}`, noes);
    return grants.end(keyFor(repo, subject));
  };
  const put = (repo: Repository, subject: string, asked: number, lifetime: number, end = Number.POSITIVE_INFINITY) => {
    if ((refusedAt.get(`${repo}\n${subject}`) ?? 0) > asked) return;
    const now = clock();
    grants.put({ ...keyFor(repo, subject), grantedAt: now, expiresAt: Math.min(now + lifetime, end) });
  };
  return {
    async standing(repo, credential) {
      const everybody = await standingOf(repo, PUBLIC);
      if (everybody === "live" || credential === undefined) return everybody;
      const own = await standingOf(repo, subjectOf(credential, key));
      return own === "none" ? everybody : own;
    },
    async confirmedAt(repo, credential) {
      const subjects = credential === undefined ? [PUBLIC] : [PUBLIC, subjectOf(credential, key)];
      const facts = await Promise.all(subjects.map((subject) => grants.get(keyFor(repo, subject))));
      const times = facts.flatMap((fact) => (fact === undefined ? [] : [fact.grantedAt]));
      return times.length === 0 ? undefined : Math.max(...times);
    },
    asking: () => noes,
    granted(repo, credential, asked) {
      if (credential === undefined) put(repo, PUBLIC, asked, site.publicFor);
      else put(repo, subjectOf(credential, key), asked, site.grantFor, expiryOf(credential));
    },
    published: (repo, asked) => put(repo, PUBLIC, asked, site.publicFor),
    hidden: (repo) => takeAway(repo, PUBLIC),
    isPublic: async (repo) => (await standingOf(repo, PUBLIC)) === "live",
    async refused(repo, credential) {
      // without a credential a 401 is the challenge that every token registry begins with: it says nothing of the repository
      if (credential !== undefined) await takeAway(repo, subjectOf(credential, key));
    },
    known: (credential) => grants.any(site.host, subjectOf(credential, key), clock() - site.staleAccess),
  };
};

/** `access: shared`: whoever reaches us may read what our own credentials may. */
export const sharedRights: Rights = {
  standing: () => Promise.resolve("live"),
  confirmedAt: () => Promise.resolve(undefined),
  asking: () => 0,
  granted: () => undefined,
  published: () => undefined,
  hidden: () => Promise.resolve(),
  isPublic: () => Promise.resolve(true),
  refused: () => Promise.resolve(),
  known: () => Promise.resolve(true),
};
