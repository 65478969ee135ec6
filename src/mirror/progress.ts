// How far a sync has come, as plain JSON. Totals grow as tag lists and manifests become known; nothing that was counted is taken back.

export interface Amount {
  readonly done: number;
  readonly total: number;
}

/** One tag that is being worked on. */
export interface TagProgress {
  /** At the target: `registry/repository:tag`. */
  readonly reference: string;
  readonly step: "reading" | "copying" | "signatures" | "hook" | "moving";
  /** Of blobs, those that were held before included. */
  readonly bytes: Amount;
  /** The digest that was worked on last. */
  readonly at?: string;
}

export interface MirrorProgress {
  readonly entry: string;
  /** `listing`: which repositories and tags there are. `asking`: what upstream says of each. `tidying`: what was kept for long enough goes. */
  readonly step: "listing" | "asking" | "copying" | "tidying";
  /** Of the entry: while it is asking those that have been asked about, then those that are to be copied. */
  readonly tags: Amount;
  readonly bytes: Amount;
  readonly underWay: readonly TagProgress[];
  /** Upstream lets nobody ask for a while. `until`: an ISO date. */
  readonly waiting?: { readonly until: string; readonly why: string };
}
