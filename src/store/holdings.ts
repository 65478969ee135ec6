// The part of the fact stores that knows what is held: every blob of the store with its size and last use, and which of them a
// manifest needs. It is for room and for people, never for rights: what a manifest says of its parts can be forged (facts.ts, Link).
import type { Digest } from "../oci/digest.ts";

export interface Holding {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  readonly addedAt: number;
  /** As far as it has been flushed; `Uses` knows later ones. */
  readonly usedAt: number;
  readonly isManifest: boolean;
}

/** A place in the order of use: after what was used at that time, up to and including that digest. */
export interface UseCursor {
  readonly usedAt: number;
  readonly digest: Digest;
}

export interface Totals {
  readonly count: number;
  readonly bytes: number;
}

export interface NewHolding {
  readonly digest: Digest;
  readonly size: number;
  /** When it was added, and last used so far. */
  readonly at: number;
  /** For a manifest: the digests that it names (manifest-parts.ts). */
  readonly parts?: readonly Digest[];
}

/** A use that lies further ahead than this comes of a clock that was wrong. Milliseconds. */
export const AHEAD = 60 * 60_000;

export interface Holdings {
  holding(digest: Digest): Promise<Holding | undefined>;
  /**
   * To be called before the bytes get their name: a crash then leaves at most a holding without bytes, which whoever looks for
   * them notices. What is held already stays as it is, but that a plain blob can turn out to be a manifest.
   */
  hold(holding: NewHolding): Promise<void>;
  /** It is gone, and needs its parts no longer. True when it was held. */
  release(digest: Digest): Promise<boolean>;
  /** The same, but only while no held manifest needs it. */
  releaseIdle(digest: Digest): Promise<boolean>;
  /** When each was last used: later than before, or earlier where that lies further ahead than `AHEAD`. What is not held is passed over. */
  used(uses: Iterable<readonly [Digest, number]>): Promise<void>;
  /** Without counting: the same cost however much is held. */
  totals(): Promise<Totals>;
  /** What no held manifest needs, least recently used first: what may go next. A page. */
  idle(after: UseCursor | undefined, limit: number): Promise<Holding[]>;
  /** The parts of a manifest that are held themselves. */
  heldParts(manifest: Digest): Promise<Digest[]>;
  /** Held manifests that need it, at most `limit`. */
  neededBy(digest: Digest, limit: number): Promise<Digest[]>;
}
