// The answers of operations, as they stand in JSON (`--json`, `/api/v1/`): a contract. Times are ISO 8601, sizes bytes; what is not
// known is left out. Keys are only ever added.

import type { EntryPlan, EntryReport } from "../mirror/outcome.ts";
import type { OriginStanding } from "../oci/standing.ts";
import type { Warmed, WarmFailure } from "../registry/warm.ts";
import type { BypassTimes } from "./bypass.ts";

export interface Status {
  readonly version: string;
  readonly startedAt: string;
  readonly uptimeMs: number;
  /** The folder that it serves. */
  readonly data: string;
  readonly ready: boolean;
  /** Names lead past it on somebody's word. */
  readonly bypass?: BypassTimes;
  /** What is wrong, or worth knowing. */
  readonly notes: readonly string[];
  /** Long work that is being done for somebody. */
  readonly work: readonly WorkEntry[];
  readonly room: RoomEntry;
  /** Downloads under way, and how often what has become of all of them since the start. */
  readonly flights: { readonly underWay: readonly FlightEntry[]; readonly counts: Readonly<Record<string, number>> };
  /** Of the sites that were asked for since the start. */
  readonly sites: readonly SiteStanding[];
}

export interface BypassAnswer extends Partial<BypassTimes> {
  readonly on: boolean;
  /** Names that lead to the registries themselves while it is on. */
  readonly released: readonly string[];
  /** Names that lead here all the same: a tag there must not move by going round us. */
  readonly stays: readonly { readonly name: string; readonly why: "hosted" | "offline" | "pinned" | "refuse" | "failOpen" }[];
}

/** Bytes. */
export interface RoomEntry {
  readonly blobs: number;
  readonly held: number;
  /** Written of what is not complete. */
  readonly growing: number;
  /** None: what leaves a share of the file system free. */
  readonly maxSize?: number;
  readonly maxAgeMs?: number;
  /** Of the file system. */
  readonly free: number;
  readonly total: number;
  /** What may come before something has to go; negative when there is less than should be. */
  readonly left: number;
  /** What is new goes by without being kept: nothing that is held may make way for it. */
  readonly full: boolean;
  /** The last time that something had to go. */
  readonly lastSweep?: SweepEntry;
}

export interface SweepEntry {
  readonly at: string;
  /** Bytes that were missing; none: it was for age. */
  readonly wanted?: number;
  readonly freed: number;
  readonly blobs: number;
  /** Blobs that were in the way and stayed, and why. */
  readonly kept: Readonly<Record<string, number>>;
}

export interface FlightEntry {
  readonly digest: string;
  readonly received: number;
}

export interface SiteStanding {
  readonly site: string;
  readonly offline: boolean;
  readonly upstreams: readonly OriginStanding[];
}

/** How far long work has come. */
export interface Progress {
  readonly done: number;
  /** Unknown while it is still being counted. */
  readonly total?: number;
  readonly unit: "blobs" | "bytes" | "images";
  /** What is being worked on. */
  readonly at?: string;
  /** Where that is several things at once: how many bytes of each are there. */
  readonly parts?: readonly PartProgress[];
  /** Bytes that came from upstream for it. */
  readonly fetched?: number;
}

export interface PartProgress {
  readonly name: string;
  readonly step?: string;
  readonly done: number;
  readonly total?: number;
}

export interface WorkEntry {
  readonly operation: string;
  readonly since: string;
  readonly progress?: Progress;
}

export interface SiteEntry {
  readonly site: string;
  /** False: something is held for it, and it is no site of this Layover any more. */
  readonly configured: boolean;
  /** Whether anything is known of it. */
  readonly known: boolean;
}

export interface RepositoryEntry {
  readonly repository: string;
  readonly tags: number;
  /** Digests that it links, and how many of them are held. */
  readonly links: number;
  readonly held: number;
  /** Of what is held. What two repositories share counts in both. */
  readonly bytes: number;
}

/** What keeps a tag where it is, until `layover tags unpin`. `backup`: the name that a sync gave to what it replaced. */
export interface HoldEntry {
  readonly kind: "pin" | "rollback" | "backup";
  readonly since: string;
}

export interface TagEntry {
  readonly tag: string;
  readonly digest: string;
  /** Whether its manifest is held. */
  readonly held: boolean;
  /** Of what is held of it, its parts included. */
  readonly bytes: number;
  /** When upstream last confirmed it. */
  readonly checkedAt: string;
  readonly usedAt?: string;
  readonly hold?: HoldEntry;
}

/** A page; `next` is the `after` of the one behind it. */
export type Listing =
  | {
      readonly kind: "sites";
      readonly sites: readonly SiteEntry[];
      readonly totals: { readonly blobs: number; readonly bytes: number };
    }
  | {
      readonly kind: "repositories";
      readonly site: string;
      readonly repositories: readonly RepositoryEntry[];
      readonly next?: string;
    }
  | {
      readonly kind: "tags";
      readonly site: string;
      readonly repository: string;
      readonly tags: readonly TagEntry[];
      readonly next?: string;
    };

export interface PartEntry {
  readonly role: "config" | "layer" | "manifest";
  readonly digest: string;
  readonly mediaType?: string;
  /** As the manifest has it. */
  readonly size?: number;
  readonly platform?: string;
  readonly held: boolean;
  /** Of a manifest that is held. */
  readonly parts?: readonly PartEntry[];
}

export interface Shown {
  /** With the site's own name. */
  readonly reference: string;
  readonly site: string;
  readonly repository: string;
  readonly tag?: string;
  readonly digest: string;
  readonly mediaType?: string;
  readonly held: boolean;
  /** Of the blob or manifest itself. */
  readonly size?: number;
  readonly addedAt?: string;
  readonly usedAt?: string;
  /** Of the tag. */
  readonly checkedAt?: string;
  readonly hold?: HoldEntry;
  readonly parts: readonly PartEntry[];
  /** Of it and its parts, each once: what is held, and what the manifests say that there is. */
  readonly bytes: { readonly held: number; readonly named: number };
  /** The repositories to which it may be served; at most 100. */
  readonly links: readonly { readonly site: string; readonly repository: string }[];
  /** The tags that stand for it; at most 100. */
  readonly tags: readonly string[];
  /** Of the tag, newest first; at most 50. A move without a digest took the tag away. `created`: when the image says that it was made. */
  readonly history: readonly {
    readonly digest?: string;
    readonly at: string;
    readonly reason: string;
    readonly created?: string;
  }[];
}

export interface Bytes {
  readonly count: number;
  readonly bytes: number;
}

/** What was forgotten. */
export interface Removed {
  readonly reference: string;
  /** The first thousand of them. */
  readonly tags: readonly string[];
  readonly tagCount: number;
  readonly links: number;
  /** What went from the disk, and how many stayed because something else needs them. */
  readonly blobs: Bytes;
  readonly stayed: number;
}

export interface Verified {
  readonly checked: Bytes;
  /** What was put into quarantine; the first thousand. */
  readonly spoilt: readonly { readonly digest: string; readonly size: number; readonly why: string }[];
  readonly spoiltCount: number;
  /** Facts whose file had gone, and files that no fact knew of: both are put right. */
  readonly dropped: number;
  readonly added: number;
  /** Manifests that were not known to be some. */
  readonly recognised: number;
  /** Paths of what does not belong where it is, and is left there. */
  readonly strange: readonly string[];
}

/** What went, or would. */
export interface Collected {
  readonly dryRun: boolean;
  readonly blobs: Bytes;
  readonly quarantine: Bytes;
  /** Links to what is not held, and documents and rights too old for any outage. */
  readonly links: number;
  readonly listings: number;
  readonly grants: number;
}

export interface Explained {
  /** With the site's own name. */
  readonly reference: string;
  readonly site: string;
  readonly repository: string;
  /** The rule that decides, counted from 1; none: the site's own values hold. */
  readonly rule?: { readonly position: number; readonly match: string };
  /** In milliseconds. */
  readonly policy: {
    readonly freshFor: number;
    readonly staleWhileRevalidate: number;
    readonly staleIfError: number;
    readonly onGone: string;
    readonly pin: boolean;
    readonly deny: boolean;
    readonly onMissing: "cache" | "refuse";
  };
  /** Of a tag: the entry of the mirror that moves it. */
  readonly mirroredBy?: string;
  readonly held?: {
    readonly digest: string;
    /** Whether its bytes are here. */
    readonly isHeld: boolean;
    readonly size?: number;
    readonly mediaType?: string;
    readonly checkedAt?: string;
    /** A write has gone by since. */
    readonly doubted?: boolean;
    readonly hold?: HoldEntry;
  };
  readonly upstream: "up" | "away" | "offline" | "none";
  /** Whether anybody may read the repository, as far as is known: said lately, said once, or never. */
  readonly anonymous: "live" | "stale" | "none";
  /** What would happen to a client without credentials that asked now. */
  readonly now: {
    /** `stale`: at once, though upstream is asked behind it, or cannot be asked. `asked`: by a HEAD, and served if upstream says yes. */
    readonly outcome: "served" | "stale" | "asked" | "fetched" | "refused" | "unreachable";
    readonly forMs?: number;
    readonly why: string;
  };
}

/** `reference` is the image, or the part of it that could not be had. */
export type FailureEntry = WarmFailure;

/** `reference` is the image's, with the site's own name. */
export type WarmedImage = Warmed;

export interface WarmAnswer {
  readonly images: readonly WarmedImage[];
}

export interface RefreshedImage {
  readonly reference: string;
  /** `unkept`: it has moved, and the new manifest could not be kept. `gone`: upstream knows it no more. */
  readonly outcome: "same" | "moved" | "new" | "pinned" | "unkept" | "gone" | "failed";
  /** What was held, what is now, and what upstream says. */
  readonly before?: string;
  readonly after?: string;
  readonly upstream?: string;
  readonly failure?: FailureEntry;
}

export interface RefreshAnswer {
  readonly images: readonly RefreshedImage[];
}

/** What the index of a bundle names. */
export interface BundleRoot {
  /** `ghcr.io/acme/app:1`, with the site's own name; none: it belongs to others by its `subject`. */
  readonly reference?: string;
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
}

/** An image for one platform, as `docker load` knows it. */
export interface DockerImage {
  readonly name: string;
  readonly config: string;
  readonly layers: readonly string[];
}

/** The same for the same content, in the same order. */
export interface ExportPlan {
  readonly roots: readonly BundleRoot[];
  /** Manifests too. */
  readonly blobs: readonly { readonly digest: string; readonly size: number }[];
  readonly docker: readonly DockerImage[];
  /** Platforms that indexes name and the bundle goes without. */
  readonly left: readonly string[];
  /** With anything here it is no plan yet: what has to be fetched first. */
  readonly missing: readonly { readonly reference: string; readonly why: string }[];
}

export interface ImportCheck {
  readonly names: readonly {
    /** With the site's own name. */
    readonly reference: string;
    readonly site: string;
    /** Who may read what is imported there. */
    readonly readers: "all" | "users" | "upstream" | "nobody new";
    /** Why it cannot be imported. */
    readonly refusal?: string;
  }[];
  /** Of the digests: whose bytes are here already. */
  readonly held: readonly string[];
}

export interface ImportedManifest {
  readonly digest: string;
  /** Digests that may be served to the repository from now on. */
  readonly links: number;
}

export interface ImportedTag {
  readonly reference: string;
  readonly digest: string;
  /** `held`: a pin, a rollback or a rule keeps it where it was. */
  readonly outcome: "new" | "moved" | "same" | "held";
  readonly before?: string;
  readonly why?: string;
}

export interface MirrorCheckAnswer {
  readonly entries: readonly EntryPlan[];
}

export interface MirrorSynced {
  readonly entry: string;
  readonly run: string;
  /** Somebody had asked for it before, or its schedule had. */
  readonly joined: boolean;
  /** `going`: nobody waited for its end. `broken`: it ended without a report. */
  readonly state: "ended" | "going" | "broken";
  readonly report?: EntryReport;
  /** Of a broken one. */
  readonly why?: string;
}

export interface MirrorSyncAnswer {
  readonly entries: readonly MirrorSynced[];
}

/** The last runs of a whole entry; `counts` by outcome, of tags that were skipped by what was found of them. */
export interface MirrorRun {
  readonly startedAt: string;
  readonly endedAt: string;
  readonly good: boolean;
  readonly run?: string;
  readonly fetched?: number;
  readonly counts?: Readonly<Record<string, number>>;
  readonly failures?: readonly { readonly reference: string; readonly code: string; readonly message: string }[];
}

export interface MirrorEntryStatus {
  readonly entry: string;
  /** `every 6h`, `0 3 * * * (Europe/Berlin)`; left out: only by command. */
  readonly schedule?: string;
  readonly nextAt?: string;
  /** Left out: it is not being synced. Without `startedAt` others go first. */
  readonly going?: { readonly startedAt?: string; readonly missingOnly: boolean; readonly progress: Progress };
  readonly last?: MirrorRun;
  readonly lastGoodAt?: string;
  /** ms; older is too old. */
  readonly warnAfter?: number;
  readonly overdue: boolean;
}

export interface HeldEntry {
  readonly reference: string;
  readonly digest: string;
  readonly kind: "pin" | "rollback";
  readonly since: string;
}

export interface MirrorStatusAnswer {
  /** Left out: the entries stand in the configuration. */
  readonly list?: { readonly file: string; readonly readAt?: string; readonly problem?: string };
  readonly entries: readonly MirrorEntryStatus[];
  /** Mirrored tags that no sync moves until they are released; at most 200. */
  readonly held: readonly HeldEntry[];
}
