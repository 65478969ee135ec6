// Who may read what of one site, from what upstream has said: the question "is there a right?" without asking upstream.
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { upTo } from "../lib/lru.ts";
import type { Repository } from "../oci/reference.ts";
import type { Credential } from "../oci/registry.ts";
import type { Site } from "../sites.ts";
import { type GrantFact, PUBLIC } from "../store/facts.ts";
import type { Grants } from "./grants.ts";
import { expiryOf } from "./subject.ts";
import type { Proof, Standby, Subjects } from "./subjects.ts";

/** `live`: no question is due. `stale`: good enough while upstream cannot be asked. */
export type Standing = "live" | "stale" | "none";

export interface Rights {
  /** Of what everybody may read and is in memory at once: most hits are of that kind. */
  standing(repo: Repository, credential: Credential | undefined): Standing | Promise<Standing>;
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
  /** Whether anything of this site has been found to be, within `staleAccess`. */
  anyPublic(): Promise<boolean>;
  /** Upstream said 401 or 403 to this credential. */
  refused(repo: Repository, credential: Credential | undefined): Promise<void>;
  /** Whether the credential has been good for anything on this site within `staleAccess`. */
  known(credential: Credential): Promise<boolean>;
}

/** Of the latest noes so many are remembered: far more than there are questions under way. */
const MAX_REFUSED = 10_000;

/** `access: client`: the credential that the client sends decides. */
export const clientRights = (site: Site, grants: Grants, subjects: Subjects, clock: Clock): Rights => {
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
  const standingOf = (repo: Repository, subject: string) => {
    const grant = grants.get(keyFor(repo, subject));
    return grant instanceof Promise ? grant.then(judge) : judge(grant);
  };
  // moments are counted in noes: between two of them nothing happens that a yes could come too late for
  let noes = 0;
  const refusedAt = new LRUCache<string, number>(upTo(MAX_REFUSED));
  // apart from those, which anybody can make many of: only a proof that upstream has overruled is noted here, with the time
  const overruledAt = new LRUCache<string, number>(upTo(MAX_REFUSED));
  const nameOf = (repo: Repository, subject: string) => `${repo}\n${subject}`;
  const takeAway = (repo: Repository, subject: string) => {
    noes += 1;
    refusedAt.set(nameOf(repo, subject), noes);
    return grants.end(keyFor(repo, subject));
  };
  const put = (repo: Repository, subject: string, asked: number, lifetime: number, end = Number.POSITIVE_INFINITY) => {
    if ((refusedAt.get(nameOf(repo, subject)) ?? 0) > asked) return;
    overruledAt.delete(nameOf(repo, subject));
    const now = clock();
    grants.put({ ...keyFor(repo, subject), grantedAt: now, expiresAt: Math.min(now + lifetime, end) });
  };
  const isOverruled = (repo: Repository, subject: string, within: number): boolean => {
    const at = overruledAt.get(nameOf(repo, subject));
    return at !== undefined && Math.abs(clock() - at) < within;
  };
  /** A proof counts from when it was seen: it is none from the future, and in an outage it outlives its token like a grant. */
  const judgeProof = ({ since, until }: Proof): Standing => {
    const now = clock();
    if (now < since - 1_000) return "none";
    if (now < until) return "live";
    return now - since < site.staleAccess ? "stale" : "none";
  };
  const byProof = async (repo: Repository, { own, subject }: Standby, proof: Proof): Promise<Standing> => {
    const most = judgeProof(proof);
    const isRight = proof.by === "keys" && most === "live";
    // upstream's no is worth more than any proof, until it says yes; of a token that is right only for a while, as of all that it lets in
    const within = isRight ? site.grantFor : Number.POSITIVE_INFINITY;
    if (isOverruled(repo, own, within)) return "none";
    if (proof.by === "keys" && !isOverruled(repo, subject, within)) return most;
    return weaker(most, await standingOf(repo, subject));
  };
  const ownStanding = async (repo: Repository, who: Standby): Promise<Standing> => {
    const proven = who.proof === undefined ? "none" : await byProof(repo, who, who.proof);
    return proven === "live" ? proven : stronger(proven, await standingOf(repo, who.own));
  };
  const orOwn = async (publicly: Standing | Promise<Standing>, repo: Repository, credential: Credential | undefined) => {
    const everybody = await publicly;
    if (everybody === "live" || credential === undefined) return everybody;
    const own = await ownStanding(repo, await subjects.meet(credential, repo));
    return own === "none" ? everybody : own;
  };
  return {
    standing(repo, credential) {
      const everybody = standingOf(repo, PUBLIC);
      return everybody === "live" ? everybody : orOwn(everybody, repo, credential);
    },
    async confirmedAt(repo, credential) {
      const { own, subject, proof } = credential === undefined ? NOBODY : subjects.of(credential, repo);
      const facts = await Promise.all([PUBLIC, own, subject].map(async (one) => grants.get(keyFor(repo, one))));
      const times = facts.flatMap((fact) => (fact === undefined ? [] : [fact.grantedAt]));
      if (proof?.by === "keys") times.push(proof.since);
      return times.length === 0 ? undefined : Math.max(...times);
    },
    asking: () => noes,
    granted(repo, credential, asked) {
      if (credential === undefined) return put(repo, PUBLIC, asked, site.publicFor);
      const { own, subject, proof } = subjects.of(credential, repo);
      // of others' tokens it does not end with this one: theirs have ends of their own
      if (proof !== undefined) put(repo, subject, asked, site.grantFor);
      put(repo, own, asked, site.grantFor, expiryOf(credential));
    },
    published: (repo, asked) => put(repo, PUBLIC, asked, site.publicFor),
    hidden: (repo) => takeAway(repo, PUBLIC),
    isPublic: async (repo) => (await standingOf(repo, PUBLIC)) === "live",
    anyPublic: () => grants.any(site.host, PUBLIC, clock() - site.staleAccess),
    async refused(repo, credential) {
      // without a credential a 401 is the challenge that every token registry begins with: it says nothing of the repository
      if (credential === undefined) return;
      const { own, subject, proof } = subjects.of(credential, repo);
      if (proof === undefined) return takeAway(repo, own);
      // a token that is past its end says nothing of whom it was for
      const overruled = clock() < proof.until ? [own, subject] : [own];
      for (const one of overruled) overruledAt.set(nameOf(repo, one), clock());
      await Promise.all(overruled.map((one) => takeAway(repo, one)));
    },
    async known(credential) {
      const { own, subject, proof } = await subjects.meet(credential);
      if (proof?.by === "keys" && judgeProof(proof) === "live") return true;
      const since = clock() - site.staleAccess;
      return (await grants.any(site.host, own, since)) || (subject !== own && (await grants.any(site.host, subject, since)));
    },
  };
};

const NOBODY: Standby = { own: PUBLIC, subject: PUBLIC, proof: undefined };

const ORDER: readonly Standing[] = ["none", "stale", "live"];
const weaker = (a: Standing, b: Standing): Standing => (ORDER.indexOf(a) < ORDER.indexOf(b) ? a : b);
const stronger = (a: Standing, b: Standing): Standing => (weaker(a, b) === a ? b : a);

/** `access: shared`: whoever reaches us may read what our own credentials may. */
export const sharedRights: Rights = {
  standing: () => "live",
  confirmedAt: () => Promise.resolve(undefined),
  asking: () => 0,
  granted: () => undefined,
  published: () => undefined,
  hidden: () => Promise.resolve(),
  isPublic: () => Promise.resolve(true),
  anyPublic: () => Promise.resolve(true),
  refused: () => Promise.resolve(),
  known: () => Promise.resolve(true),
};
