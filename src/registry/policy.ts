// What is so for a reference of one site: the first rule that matches it, over what the site has for all, and what is mirrored. Rules are
// compiled once; the list of what is mirrored may change, and what was remembered by it is forgotten then.
import { LRUCache } from "lru-cache";
import { globMatcher, globOf } from "../lib/glob.ts";
import { upTo } from "../lib/lru.ts";
import { type MirrorEntry, type Mirrored, NOTHING_MIRRORED } from "../mirrors.ts";
import { OciError } from "../oci/error.ts";
import { isDigestReference, isRepository, isTag, type Reference, type Repository, type Tag } from "../oci/reference.ts";
import type { Rule, Site, Sites, TagPolicy } from "../sites.ts";

/** Names that are asked for again and again are looked up; hostile ones only push each other out. */
const REMEMBERED = 10_000;

export interface Ruling extends TagPolicy {
  readonly pin: boolean;
  readonly deny: boolean;
  /** Of a tag: the entry whose syncs move it, and nothing else does once it is held (staying.ts). */
  readonly mirrored: MirrorEntry | undefined;
  readonly onMissing: Site["onMissing"];
  /** Upstream is never asked: what is held is served however old it is. */
  readonly isOffline: boolean;
  /** Which of the site's rules decided, from 0; `undefined`: none matched. */
  readonly rule: number | undefined;
}

export interface Policy {
  of(repo: Repository, reference: Reference): Ruling;
  /** What is so for everything of the repository that has no tag. */
  ofDigests(repo: Repository): Ruling;
  /** What is to be said to whoever asks for it, read or write; `undefined`: nothing stands against it. */
  refusal(repo: Repository, reference?: Reference): OciError | undefined;
}

interface Compiled {
  readonly repository: (repo: string) => boolean;
  /** `undefined`: about every reference to the repository. */
  readonly tag: ((tag: string) => boolean) | undefined;
  readonly ruling: Ruling;
}

type PolicySite = Pick<Site, "host" | "kind" | "policy" | "rules" | "allow" | "offline" | "onMissing">;

export const policyOf = (site: PolicySite, mirrored: Mirrored = NOTHING_MIRRORED): Policy => {
  const { host, onMissing } = site;
  const otherwise: Ruling = {
    ...{ ...site.policy, pin: false, deny: false, mirrored: undefined, onMissing },
    ...{ isOffline: site.offline, rule: undefined },
  };
  const rules = site.rules.map((rule, i) => compile(rule, i, otherwise));
  const allows = site.allow.length === 0 ? () => true : globMatcher(site.allow);
  const denies = rules.some(({ ruling }) => ruling.deny);
  const known = new LRUCache<string, Ruling>(upTo(REMEMBERED));
  let version = mirrored.version;

  /** Of another registry that a sync pushes to others write too: what its tags are it says itself. */
  const movesHere = (entry: MirrorEntry | undefined) =>
    entry?.target === undefined || site.kind === "local" ? entry : undefined;

  /** A name with a colon is a tag's, one without a repository's, which is asked for its digests. */
  const remembered = (name: string, find: () => Ruling): Ruling => {
    if (version !== mirrored.version) {
      known.clear();
      version = mirrored.version;
    }
    const before = known.get(name);
    if (before !== undefined) return before;
    const ruling = find();
    known.set(name, ruling);
    return ruling;
  };

  const forTag = (repo: Repository, tag: Tag): Ruling =>
    remembered(`${repo}:${tag}`, () => {
      const ruling = rules.find((rule) => rule.repository(repo) && (rule.tag?.(tag) ?? true))?.ruling ?? otherwise;
      return asMirrored(ruling, movesHere(mirrored.covers(host, repo, tag)));
    });

  /**
   * A digest has no tag: only rules about the whole repository are about it, but that what an earlier one lets through by its tag is pulled
   * by its digests.
   */
  const forDigest = (repo: Repository): Ruling =>
    remembered(repo, () => {
      const about = rules.filter((rule) => rule.repository(repo));
      const ruling = about.find((rule) => rule.tag === undefined)?.ruling ?? otherwise;
      const opening = about.find((rule) => rule.tag === undefined || rule.ruling.onMissing === "cache");
      return { ...ruling, onMissing: opening?.ruling.onMissing ?? onMissing };
    });

  /** Whatever an earlier rule lets through by its tag is pulled by its digests: those stay open with it. */
  const deniesWhole = (repo: Repository): boolean => {
    const first = rules.find((rule) => rule.repository(repo) && (rule.tag === undefined || !rule.ruling.deny));
    return first?.ruling.deny ?? false;
  };

  return {
    of(repo, reference) {
      if (rules.length === 0 && mirrored.version === NOTHING_MIRRORED.version) return otherwise;
      return isDigestReference(reference) ? forDigest(repo) : forTag(repo, reference);
    },
    ofDigests: (repo) => (rules.length === 0 ? otherwise : forDigest(repo)),
    refusal(repo, reference) {
      if (!allows(repo)) return new OciError("DENIED", `this site is not configured to serve ${repo}`);
      if (!denies) return undefined;
      const isTag = reference !== undefined && !isDigestReference(reference);
      if (!(isTag ? forTag(repo, reference).deny : deniesWhole(repo))) return undefined;
      return new OciError("DENIED", `a rule of this site denies ${isTag ? `${repo}:${reference}` : repo}`);
    },
  };
};

/** A write, as far as rules are about it. */
export interface Written {
  readonly repo: Repository;
  readonly reference?: Reference | undefined;
  /** What it is to be called as well. */
  readonly tags?: readonly string[] | undefined;
  /** Whence a blob is mounted. */
  readonly from?: string | undefined;
}

/** What is to be said to whoever writes it: neither another name for it nor another source of it leads round what is denied. */
export const writeRefusal = (policy: Policy, { repo, reference, tags = [], from = "" }: Written): OciError | undefined => {
  const refusals = [reference, ...tags.filter((tag) => isTag(tag))].map((name) => policy.refusal(repo, name));
  return refusals.find((refusal) => refusal !== undefined) ?? (isRepository(from) ? policy.refusal(from) : undefined);
};

/** Whether a rule pins a reference to a repository of a site: what it stands for is then never to go for want of room. */
export const pinnedBy = (sites: Pick<Sites, "byHost">) => {
  const policies = new Map<string, Policy>();
  return (host: string, repo: Repository, reference: Reference): boolean => {
    const site = sites.byHost(host);
    if (site === undefined) return false;
    const policy = policies.get(host) ?? policyOf(site);
    policies.set(host, policy);
    return policy.of(repo, reference).pin;
  };
};

/** What is mirrored is not gone because upstream has it no more. */
const asMirrored = (ruling: Ruling, mirrored: MirrorEntry | undefined): Ruling =>
  mirrored === undefined ? ruling : { ...ruling, mirrored, onGone: "keep" };

const compile = ({ match, ...given }: Rule, rule: number, otherwise: Ruling): Compiled => {
  const colon = match.indexOf(":");
  return {
    repository: globOf(colon === -1 ? match : match.slice(0, colon)),
    tag: colon === -1 ? undefined : globOf(match.slice(colon + 1)),
    // what never moves is never gone either
    ruling: { ...otherwise, ...given, ...(given.pin === true && { onGone: "keep" }), rule },
  };
};
