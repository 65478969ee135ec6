// Who may read what of one site, from what upstream has said: the question "is there a right?" without asking upstream.
import type { Clock } from "../lib/clock.ts";
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
  /** Upstream said yes to this credential. */
  granted(repo: Repository, credential: Credential | undefined): void;
  /** Upstream said yes to an anonymous client: the repository is public for a while. */
  published(repo: Repository): void;
  /** Upstream said 401 or 403 to a client that is as anonymous as can be, tokens included: it is public no more. */
  hidden(repo: Repository): Promise<void>;
  /** Whether it is known to be public, without a question. */
  isPublic(repo: Repository): Promise<boolean>;
  /** Upstream said 401 or 403 to this credential. */
  refused(repo: Repository, credential: Credential | undefined): Promise<void>;
  /** Whether the credential has been good for anything on this site within `staleAccess`. */
  known(credential: Credential): Promise<boolean>;
}

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
  const put = (repo: Repository, subject: string, lifetime: number, end = Number.POSITIVE_INFINITY) => {
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
    granted(repo, credential) {
      if (credential === undefined) put(repo, PUBLIC, site.publicFor);
      else put(repo, subjectOf(credential, key), site.grantFor, expiryOf(credential));
    },
    published: (repo) => put(repo, PUBLIC, site.publicFor),
    hidden: (repo) => grants.end(keyFor(repo, PUBLIC)),
    isPublic: async (repo) => (await standingOf(repo, PUBLIC)) === "live",
    async refused(repo, credential) {
      // without a credential a 401 is the challenge that every token registry begins with: it says nothing of the repository
      if (credential !== undefined) await grants.end(keyFor(repo, subjectOf(credential, key)));
    },
    known: (credential) => grants.any(site.host, subjectOf(credential, key), clock() - site.staleAccess),
  };
};

/** `access: shared`: whoever reaches us may read what our own credentials may. */
export const sharedRights: Rights = {
  standing: () => Promise.resolve("live"),
  confirmedAt: () => Promise.resolve(undefined),
  granted: () => undefined,
  published: () => undefined,
  hidden: () => Promise.resolve(),
  isPublic: () => Promise.resolve(true),
  refused: () => Promise.resolve(),
  known: () => Promise.resolve(true),
};
