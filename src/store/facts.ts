// The seam of the fact stores: what is known about sites, as atomic intentions, never transactions.
// One conformance suite (test/suites/facts.ts) runs over every implementation. Times are milliseconds since the epoch.
import type { Digest } from "../oci/digest.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { Holdings } from "./holdings.ts";
import type { Hosting } from "./hosting.ts";
import type { Inventory } from "./inventory.ts";
import type { Mirroring } from "./mirroring.ts";

export interface TagKey {
  readonly site: string;
  readonly repo: Repository;
  readonly tag: Tag;
}

/** Why a tag moved. `backup`: it is a name that a sync gave to what it replaced. `expire`: such a name was kept for long enough. */
export type MoveReason = "pull" | "push" | "delete" | "sync" | "rollback" | "pin" | "backup" | "expire" | "import";

/** Somebody's word that a tag stays what it is, whatever upstream, a push or a sync says of it. What it stands for does not make way. */
export interface Hold {
  readonly kind: "pin" | "rollback" | "backup";
  readonly since: number;
}

export interface TagFact {
  /** `undefined`: nothing is held for it, but its generation has been raised by a write. */
  readonly digest: Digest | undefined;
  /** When upstream last confirmed it. */
  readonly checkedAt: number;
  /** Raised by every write that goes by; a move is made only against the generation that was read before upstream was asked. */
  readonly generation: number;
  /** A write has gone by since `checkedAt`: upstream is to be asked however young the fact is. A move or a touch ends it. */
  readonly doubted: boolean;
  readonly hold?: Hold;
}

export interface TagMove {
  readonly digest: Digest | undefined;
  readonly at: number;
  readonly reason: MoveReason;
  /** What upstream says of when it was made, where that was known as it moved. */
  readonly created?: number;
}

/** Where a tag is to stay. */
export interface NewHold {
  readonly digest: Digest;
  readonly at: number;
  readonly kind: Hold["kind"];
  readonly created?: number;
  /** Only where the tag stands for nothing. */
  readonly onlyFree?: true;
}

export interface LinkKey {
  readonly site: string;
  readonly repo: Repository;
  readonly digest: Digest;
}

/** That a repository holds a digest. `mediaType` is known where upstream answered for it as a manifest. */
export interface Link {
  readonly mediaType: string | undefined;
  /** Of a hosted site: when it came. No upstream could tell of it again. */
  readonly hostedAt?: number;
}

export interface GrantKey {
  readonly site: string;
  readonly repo: Repository;
  /** A keyed hash of a credential, or PUBLIC. */
  readonly subject: string;
}

/** The subject of everybody: what a repository gives to an anonymous client. */
export const PUBLIC = "";

export interface GrantFact extends GrantKey {
  /** When upstream last said yes. */
  readonly grantedAt: number;
  /** Live until then without another question. It may come of a token's own claims: `wholeMs` of it is kept. */
  readonly expiresAt: number;
}

export interface ListingKey {
  readonly site: string;
  readonly repo: Repository;
  /** Which document: kind and its query. */
  readonly key: string;
}

export interface ListingFact {
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly filtersApplied: string | undefined;
  readonly checkedAt: number;
}

/** Tokens may tell their end in fractions, and in any number at all (RFC 7519 §2, NumericDate); a store keeps what is a time. */
export const wholeMs = (time: number): number => Math.min(Math.max(Math.floor(time), 0), Number.MAX_SAFE_INTEGER);

/** What a site last answered to `GET /v2/` without credentials; kept so that an outage can repeat it. */
export interface PingFact {
  /** 200 for an open registry, 401 for one with a challenge. */
  readonly status: number;
  readonly challenges: readonly string[];
  readonly at: number;
}

/** Hosts that a wildcard stands for are sites, and whoever asks makes them up. */
export const MAX_PINGS = 4_096;

export interface FactStore {
  readonly holdings: Holdings;
  readonly inventory: Inventory;
  readonly hosting: Hosting;
  readonly mirroring: Mirroring;

  tag(key: TagKey): Promise<TagFact | undefined>;
  /**
   * Moves the tag and writes history (durably, before it returns) if its generation still is `generation` (0 for an unknown tag) and nobody
   * holds it. False: it is not, or somebody does.
   */
  moveTag(key: TagKey, move: TagMove, generation: number): Promise<boolean>;
  /** Upstream confirmed `digest` at `at`; does nothing when the tag has another digest or generation by now. */
  touchTag(key: TagKey, digest: Digest, at: number, generation: number): Promise<void>;
  /**
   * A write to the tag begins or ends: questions asked before can no longer move or touch it, and it is doubted.
   * Digest and `checkedAt` stay, so that a push that fails takes nothing from an outage. Returns the new generation.
   */
  raiseTag(key: TagKey): Promise<number>;
  /**
   * Moves the tag there whatever it was, and holds it: nothing but this and `releaseTag` changes that from now on. A move is written to its
   * history with the kind as reason, and raises its generation. Durable when it returns. False: it was to be free, and is not.
   */
  holdTag(key: TagKey, hold: NewHold): Promise<boolean>;
  /** Nobody holds it any more, and it is doubted: whoever may move it does so with the next answer. What it was held by. Durable. */
  releaseTag(key: TagKey): Promise<Hold | undefined>;
  /** The name of a backup stands for nothing from now on, and nobody holds it. Durable. False: it is none. */
  expireTag(key: TagKey, at: number): Promise<boolean>;
  /** Newest first. */
  tagHistory(key: TagKey, limit: number): Promise<TagMove[]>;

  link(key: LinkKey): Promise<Link | undefined>;
  /** Adds or updates; a known mediaType is not taken away by an unknown one. */
  addLink(key: LinkKey, link: Pick<Link, "mediaType">): Promise<void>;
  /** What is hosted stays (hosting.ts). */
  removeLink(key: LinkKey): Promise<void>;

  grant(key: GrantKey): Promise<GrantFact | undefined>;
  /** In one batch; may be lost by a crash, as upstream can tell again. */
  putGrants(grants: readonly GrantFact[]): Promise<void>;
  removeGrant(key: GrantKey): Promise<void>;
  /** Whether the subject has any grant on the site that was confirmed at `since` or later. */
  anyGrant(site: string, subject: string, since: number): Promise<boolean>;
  /**
   * Forgets grants last confirmed before `before`, but those of everybody: one a repository, and offline they count however old.
   * How many; with `isDry` it only counts them.
   */
  sweepGrants(before: number, isDry?: boolean): Promise<number>;

  listing(key: ListingKey): Promise<ListingFact | undefined>;
  putListing(key: ListingKey, listing: ListingFact): Promise<void>;
  /** Forgets listings last checked before `before`; how many. With `isDry` it only counts them. */
  sweepListings(before: number, isDry?: boolean): Promise<number>;
  /** Forgets all listings of a repository. */
  removeListings(site: string, repo: Repository): Promise<void>;

  ping(site: string): Promise<PingFact | undefined>;
  /** Of MAX_PINGS sites at the most: the one that was asked longest ago makes room. */
  putPing(site: string, ping: PingFact): Promise<void>;

  close(): Promise<void>;
}
