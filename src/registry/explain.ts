// Why a reference is served as it is, and what would happen to an anonymous client that asked for it now. Asks nobody, changes nothing.
import type { Clock } from "../lib/clock.ts";
import type { Digest } from "../oci/digest.ts";
import { isDigestReference, type Reference, type Repository } from "../oci/reference.ts";
import type { Rule, Site, TagPolicy } from "../sites.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore, Hold, TagFact } from "../store/facts.ts";
import { type Freshness, freshnessOf } from "./freshness.ts";
import { mirroredFor } from "./mirrored-for.ts";
import { notMirrored } from "./not-mirrored.ts";
import type { Policy, Ruling } from "./policy.ts";
import type { Rights, Standing } from "./rights.ts";
import { aHold, stays } from "./staying.ts";
import type { Health } from "./witness.ts";

export interface ExplainParts {
  readonly site: Site;
  readonly policy: Policy;
  readonly blobs: BlobStore;
  readonly facts: FactStore;
  readonly rights: Rights;
  readonly health: Health;
  readonly clock: Clock;
}

/**
 * `served`: at once, without a question. `stale`: at once, though upstream is asked behind it, or cannot be asked.
 * `asked`: upstream by a HEAD, and served if it says yes. `fetched`: from upstream. `refused`: by us. `unreachable`: there is nobody to ask.
 */
export type Outcome = "served" | "stale" | "asked" | "fetched" | "refused" | "unreachable";

/** As JSON would have it; times in ms, dates in ms since the epoch. */
export interface Explanation {
  readonly site: string;
  readonly repository: string;
  readonly reference: string;
  /** Counted from 1, as people do; `undefined`: none matches, and the site's own values hold. */
  readonly rule?: { readonly position: number; readonly match: string };
  readonly policy: TagPolicy & Pick<Ruling, "pin" | "deny" | "onMissing">;
  /** Of a tag: the name of the entry that moves it. */
  readonly mirroredBy?: string;
  readonly held?: {
    readonly digest: string;
    /** Whether its bytes are here. */
    readonly isHeld: boolean;
    readonly size?: number;
    /** `undefined`: this repository has not been seen to have it as a manifest. */
    readonly mediaType?: string;
    /** Of a tag: when upstream last confirmed it, and how long ago. */
    readonly checkedAt?: number;
    readonly age?: number;
    /** Of a tag: a write has gone by since. */
    readonly doubted?: boolean;
    /** Of a tag that somebody holds. */
    readonly hold?: Hold;
  };
  /** `none`: the site is hosted here. */
  readonly upstream: "up" | "away" | "offline" | "none";
  /** Whether an anonymous client may read the repository, as far as is known. */
  readonly anonymous: Standing;
  readonly now: {
    readonly outcome: Outcome;
    /** ms for which it will be so, where time alone ends it. */
    readonly for?: number;
    readonly why: string;
  };
}

export const explain = async (parts: ExplainParts, repo: Repository, reference: Reference): Promise<Explanation> => {
  const { site, policy, blobs, facts, rights, health, clock } = parts;
  const ruling = policy.of(repo, reference);
  const fact = isDigestReference(reference) ? undefined : await facts.tag({ site: site.host, repo, tag: reference });
  const digest = isDigestReference(reference) ? reference : fact?.digest;
  const bytes = digest === undefined ? undefined : await blobs.stat(digest);
  const link = digest === undefined ? undefined : await facts.link({ site: site.host, repo, digest });
  const anonymous = await rights.standing(repo, undefined);
  const upstream = site.offline ? "offline" : health.up ? "up" : "away";
  const freshness = fact === undefined ? undefined : freshnessOf(fact, ruling, clock());
  const isReady = bytes !== undefined && link?.mediaType !== undefined;
  const refusal = policy.refusal(repo, reference) ?? (await unmirrored(parts, { repo, reference, fact, ruling, isReady }));
  return {
    site: site.host,
    repository: repo,
    reference,
    ...ruleOf(site.rules, ruling),
    policy: valuesOf(ruling),
    ...(ruling.mirrored !== undefined && { mirroredBy: ruling.mirrored.name }),
    ...(digest !== undefined && {
      held: {
        digest,
        isHeld: bytes !== undefined,
        ...(bytes !== undefined && { size: bytes.size }),
        ...(link?.mediaType !== undefined && { mediaType: link.mediaType }),
        ...ageOf(fact, freshness),
      },
    }),
    upstream,
    anonymous,
    now:
      refusal === undefined
        ? outcomeOf({ digest, ruling, hold: fact?.hold, isReady, freshness, isUp: upstream === "up", standing: anonymous })
        : { outcome: "refused", why: refusal.message },
  };
};

interface Asked {
  readonly repo: Repository;
  readonly reference: Reference;
  readonly fact: TagFact | undefined;
  readonly ruling: Ruling;
  /** Its bytes are here, and this repository is known to have it. */
  readonly isReady: boolean;
}

/** What whoever may read it is told where only what is mirrored is to be had (only-mirrored.ts). */
const unmirrored = async (parts: ExplainParts, { repo, reference, fact, ruling, isReady }: Asked) => {
  if (ruling.onMissing !== "refuse") return undefined;
  if (!isDigestReference(reference)) return stays(fact, ruling) ? undefined : notMirrored(parts.site, repo, reference);
  const found = isReady ? "mirrored" : await mirroredFor(parts, repo, reference);
  return found === "mirrored" ? undefined : notMirrored(parts.site, repo, reference, found);
};

const ruleOf = (rules: readonly Rule[], { rule }: Ruling): Pick<Explanation, "rule"> =>
  rule === undefined ? {} : { rule: { position: rule + 1, match: rules[rule]!.match } };

const valuesOf = (ruling: Ruling): Explanation["policy"] => {
  const { freshFor, staleWhileRevalidate, staleIfError, onGone, pin, deny, onMissing } = ruling;
  return { freshFor, staleWhileRevalidate, staleIfError, onGone, pin, deny, onMissing };
};

const ageOf = (fact: TagFact | undefined, freshness: Freshness | undefined) =>
  fact === undefined || freshness === undefined
    ? {}
    : {
        checkedAt: fact.checkedAt,
        age: freshness.age,
        doubted: fact.doubted,
        ...(fact.hold !== undefined && { hold: fact.hold }),
      };

interface Situation {
  readonly digest: Digest | undefined;
  readonly ruling: Ruling;
  readonly hold: Hold | undefined;
  /** Its bytes are here, and this repository is known to have it. */
  readonly isReady: boolean;
  /** Of a tag. */
  readonly freshness: Freshness | undefined;
  readonly isUp: boolean;
  readonly standing: Standing;
}

/** In the order in which the cache itself decides (manifest-cache.ts, tags.ts, confirm.ts). */
const outcomeOf = (situation: Situation): Explanation["now"] => {
  const { digest, isReady, freshness, isUp, standing } = situation;
  if (digest === undefined || !isReady) {
    const why = digest === undefined ? "nothing is held for it" : "its digest is known, its bytes are not held";
    return isUp ? { outcome: "fetched", why } : { outcome: "unreachable", why: `${why}, and upstream cannot be asked` };
  }
  if (freshness !== undefined && (freshness.state === "stale" || freshness.state === "meanwhile")) {
    const stale = staleOutcome(freshness, situation);
    if (stale !== undefined) return stale;
  }
  if (standing === "live") return { outcome: "served", ...lasting(freshness), why: whyServed(situation) };
  if (isUp) return { outcome: "asked", why: "it is held, but whether anybody may read it has to be asked" };
  if (standing === "stale")
    return { outcome: "stale", why: "upstream cannot be asked; anybody could read it when it last could" };
  return {
    outcome: "unreachable",
    why: "it is held, but it is not known that anybody may read it, and upstream cannot be asked",
  };
};

const staleOutcome = ({ state, left, mayFallBack }: Freshness, { isUp, standing }: Situation): Explanation["now"] | undefined => {
  if (state === "meanwhile" && standing === "live")
    return { outcome: "stale", for: left!, why: "it is within staleWhileRevalidate: upstream is asked behind it" };
  if (isUp) return { outcome: "asked", why: "it is stale: one HEAD asks upstream whether it has moved" };
  if (!mayFallBack) return { outcome: "unreachable", why: "it is older than staleIfError, and upstream cannot be asked" };
  if (standing === "none") return undefined;
  return {
    outcome: "stale",
    ...(left !== undefined && { for: left }),
    why: "upstream cannot be asked; it is within staleIfError",
  };
};

const lasting = (freshness: Freshness | undefined) => (freshness?.left === undefined ? {} : { for: freshness.left });

const whyServed = ({ freshness, hold, ruling }: Situation): string => {
  if (hold !== undefined)
    return `it is held by ${aHold(hold)} since ${new Date(hold.since).toISOString()}, until \`layover tags unpin\`; anybody may read it`;
  if (freshness === undefined) return "a digest never changes, and anybody may read it";
  if (freshness.state !== "pinned") return "it is fresh, and anybody may read it";
  return ruling.pin ? "it is pinned, and anybody may read it" : "it is mirrored: it moves by a sync alone; anybody may read it";
};
