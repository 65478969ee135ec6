// Facts in memory: for tests, and for what is meant to be forgotten.
import {
  type FactStore,
  type GrantFact,
  type GrantKey,
  type Hold,
  type Link,
  type LinkKey,
  type ListingFact,
  type ListingKey,
  MAX_PINGS,
  type PingFact,
  PUBLIC,
  type TagFact,
  type TagKey,
  type TagMove,
  wholeMs,
} from "./facts.ts";
import { memoryHoldings } from "./memory-holdings.ts";
import { memoryHosting } from "./memory-hosting.ts";
import { memoryMirroring } from "./memory-mirroring.ts";

const idOf = (...parts: readonly string[]): string => JSON.stringify(parts);
const tagId = ({ site, repo, tag }: TagKey) => idOf(site, repo, tag);
const linkId = ({ site, repo, digest }: LinkKey) => idOf(site, repo, digest);
const tagOf = (id: string): TagKey => {
  const [site, repo, tag] = JSON.parse(id) as [TagKey["site"], TagKey["repo"], TagKey["tag"]];
  return { site, repo, tag };
};
const linkOf = (id: string): LinkKey => {
  const [site, repo, digest] = JSON.parse(id) as [LinkKey["site"], LinkKey["repo"], LinkKey["digest"]];
  return { site, repo, digest };
};
const grantId = ({ site, repo, subject }: GrantKey) => idOf(site, repo, subject);
const listingId = ({ site, repo, key }: ListingKey) => idOf(site, repo, key);

const UNKNOWN: TagFact = { digest: undefined, checkedAt: 0, generation: 0, doubted: false };

export const memoryFacts = (): FactStore => {
  const links = new Map<string, Link>();
  const listings = new Map<string, ListingFact>();
  const pings = new Map<string, PingFact>();
  const { tags, ...tagging } = memoryTags();
  const { mirroring, isKept } = memoryMirroring();
  const known = {
    isKept,
    tags: () => [...tags].map(([id, fact]) => [tagOf(id), fact] as const),
    links: () => [...links].map(([id, link]) => [linkOf(id), link] as const),
  };
  const held = memoryHoldings(known);
  return {
    ...held,
    mirroring,
    hosting: memoryHosting(known, held.holdings, {
      get: (key) => links.get(linkId(key)),
      set: (key, link) => void links.set(linkId(key), link),
      delete: (key) => links.delete(linkId(key)),
    }),
    ...tagging,
    ...memoryGrants(),
    link: async (key) => links.get(linkId(key)),
    addLink: async (key, { mediaType }) =>
      void links.set(linkId(key), { ...links.get(linkId(key)), mediaType: mediaType ?? links.get(linkId(key))?.mediaType }),
    removeLink: async (key) => {
      if (links.get(linkId(key))?.hostedAt === undefined) links.delete(linkId(key));
    },
    listing: async (key) => listings.get(listingId(key)),
    putListing: async (key, listing) => void listings.set(listingId(key), { ...listing, bytes: Buffer.from(listing.bytes) }),
    sweepListings: async (before, isDry) => sweep(listings, ({ checkedAt }) => checkedAt < before, isDry),
    removeListings: async (site, repo) => {
      for (const id of listings.keys()) if (id.startsWith(idOf(site, repo).slice(0, -1))) listings.delete(id);
    },
    ping: async (site) => pings.get(site),
    async putPing(site, ping) {
      pings.set(site, ping);
      const others = [...pings].filter(([other]) => pings.size > MAX_PINGS && other !== site);
      const [oldest] = others.toSorted(([, one], [, other]) => one.at - other.at);
      if (oldest !== undefined) pings.delete(oldest[0]);
    },
    close: async () => undefined,
  };
};

/** How many went, or would. */
const sweep = <Fact>(facts: Map<string, Fact>, isOver: (fact: Fact) => boolean, isDry = false): number => {
  const over = [...facts].filter(([, fact]) => isOver(fact));
  if (!isDry) for (const [id] of over) facts.delete(id);
  return over.length;
};

type Tagging = Pick<
  FactStore,
  "tag" | "moveTag" | "touchTag" | "raiseTag" | "holdTag" | "releaseTag" | "expireTag" | "tagHistory"
>;

const memoryTags = (): Tagging & { readonly tags: ReadonlyMap<string, TagFact> } => {
  const tags = new Map<string, TagFact>();
  const history = new Map<string, TagMove[]>();
  const note = (key: TagKey, move: TagMove) => void history.set(tagId(key), [move, ...(history.get(tagId(key)) ?? [])]);
  return {
    tags,
    tag: async (key) => tags.get(tagId(key)),
    moveTag: async (key, move, generation) => {
      const now = tags.get(tagId(key)) ?? UNKNOWN;
      if (now.generation !== generation || now.hold !== undefined) return false;
      tags.set(tagId(key), { digest: move.digest, checkedAt: move.at, generation, doubted: false });
      if (now.digest !== move.digest) note(key, move);
      return true;
    },
    touchTag: async (key, digest, at, generation) => {
      const now = tags.get(tagId(key));
      if (now?.digest !== digest || now.generation !== generation) return;
      tags.set(tagId(key), { ...now, checkedAt: at, doubted: false });
    },
    raiseTag: async (key) => {
      const now = tags.get(tagId(key)) ?? UNKNOWN;
      tags.set(tagId(key), { ...now, generation: now.generation + 1, doubted: true });
      return now.generation + 1;
    },
    holdTag: async (key, { digest, at, kind, created, onlyFree }) => {
      const now = tags.get(tagId(key)) ?? UNKNOWN;
      if (onlyFree === true && now.digest !== undefined) return false;
      const hold: Hold = { kind, since: at };
      tags.set(tagId(key), { digest, checkedAt: at, generation: now.generation + 1, doubted: false, hold });
      if (now.digest !== digest) note(key, { digest, at, reason: kind, ...(created !== undefined && { created }) });
      return true;
    },
    releaseTag: async (key) => {
      const { hold, ...now } = tags.get(tagId(key)) ?? UNKNOWN;
      if (hold !== undefined) tags.set(tagId(key), { ...now, doubted: true });
      return hold;
    },
    expireTag: async (key, at) => {
      const { hold, generation } = tags.get(tagId(key)) ?? UNKNOWN;
      if (hold?.kind !== "backup") return false;
      tags.set(tagId(key), { digest: undefined, checkedAt: at, generation: generation + 1, doubted: false });
      note(key, { digest: undefined, at, reason: "expire" });
      return true;
    },
    tagHistory: async (key, limit) => (history.get(tagId(key)) ?? []).slice(0, limit),
  };
};

const memoryGrants = (): Pick<FactStore, "grant" | "putGrants" | "removeGrant" | "anyGrant" | "sweepGrants"> => {
  const grants = new Map<string, GrantFact>();
  return {
    grant: async (key) => grants.get(grantId(key)),
    putGrants: async (more) => {
      for (const grant of more)
        grants.set(grantId(grant), {
          ...grant,
          grantedAt: wholeMs(grant.grantedAt),
          expiresAt: wholeMs(grant.expiresAt),
        });
    },
    removeGrant: async (key) => void grants.delete(grantId(key)),
    anyGrant: async (site, subject, since) =>
      [...grants.values()].some((grant) => grant.site === site && grant.subject === subject && grant.grantedAt >= since),
    sweepGrants: async (before, isDry) =>
      sweep(grants, ({ grantedAt, subject }) => grantedAt < before && subject !== PUBLIC, isDry),
  };
};
