// What a sync finds and does, as plain JSON: for the command line, the log, the metrics and who is notified. Dates are ISO texts.

export interface TagName {
  /** A site's own name. */
  readonly site: string;
  readonly repository: string;
  readonly tag: string;
}

/**
 * `same`: nothing to do. `missing`: it is not there yet. `moved`: another digest is there. `incomplete`: the digest is there, and something
 * of it is not. `held`: a pin or rollback keeps it. `young`: `delay` is not over. `gone`: upstream has it no more, and what is there stays.
 */
export type Change = "same" | "missing" | "moved" | "incomplete" | "held" | "young" | "gone";

export interface PlannedTag {
  readonly entry: string;
  readonly source: TagName;
  /** Left out where it is the source's. */
  readonly target?: TagName;
  readonly change: Change;
  /** What it stands for at the target, and upstream. */
  readonly now?: string;
  readonly upstream?: string;
  /** When upstream says that it was made; since when it has been seen there; from when on it may be taken (`young`). */
  readonly created?: string;
  readonly seenSince?: string;
  readonly dueAt?: string;
  /** For people: why it is held, or waits. */
  readonly why?: string;
}

export interface FailedPart {
  /** A tag, a digest, a repository or the entry. */
  readonly reference: string;
  readonly code: string;
  readonly message: string;
}

/** `done`: the tag stands for `upstream` now. `skipped`: as planned. `stopped`: by its `pre` hook. */
export interface SyncedTag extends PlannedTag {
  readonly outcome: "done" | "skipped" | "stopped" | "failed";
  /** The tag that `now` answers as from now on. */
  readonly backup?: string;
  /** Bytes that came from upstream. */
  readonly fetched: number;
  readonly failure?: FailedPart;
  /** The last of what a hook said, bounded. */
  readonly hookOutput?: string;
}

export interface EntryPlan {
  readonly entry: string;
  readonly tags: readonly PlannedTag[];
  /** What could not even be listed. */
  readonly failures: readonly FailedPart[];
}

export interface EntryReport {
  readonly entry: string;
  readonly startedAt: string;
  readonly endedAt: string;
  /** The number that a CI job passed, or one of our own. */
  readonly run: string;
  readonly isGood: boolean;
  readonly tags: readonly SyncedTag[];
  /** Backup names that were kept for long enough. */
  readonly expired: readonly TagName[];
  readonly failures: readonly FailedPart[];
  readonly fetched: number;
}

/** Hears of a sync as it goes; never throws, and is not waited for. `run` is its report's. */
export interface MirrorEvents {
  /** Its outcome is `done`. */
  readonly changed: (tag: SyncedTag, run: string) => void;
  /** `failed`, or `stopped`. */
  readonly failed: (tag: SyncedTag, run: string) => void;
  readonly ended: (report: EntryReport) => void;
}

/** How far a sync or check of an entry has come. Totals grow as tag lists and manifests become known. */
export interface SyncProgress {
  /** `listing`: which repositories and tags there are. `asking`: what upstream says of each. `tidying`: what was kept for long enough goes. */
  readonly step: "listing" | "asking" | "copying" | "tidying";
  /** Tags that are done with; of how many is unknown while they are being listed. */
  readonly done: number;
  readonly total?: number;
  /** Bytes that came from upstream. */
  readonly fetched: number;
  /** What is being copied. Bytes of each, those that were there before included. */
  readonly images: readonly ImageProgress[];
  /** Upstream lets nobody ask for a while. `until`: an ISO date. */
  readonly waiting?: { readonly until: string; readonly why: string };
}

export interface ImageProgress {
  /** At the target: `registry/repository:tag`. */
  readonly name: string;
  readonly step: "reading" | "copying" | "signatures" | "hook" | "moving";
  readonly done: number;
  readonly total?: number;
}
