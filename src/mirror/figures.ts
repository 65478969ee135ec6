// How the mirror stands, in figures. Times in milliseconds since the epoch.
import type { Runs } from "../store/mirroring.ts";
import type { MirrorCounts } from "./counts.ts";

export interface EntryFigures {
  readonly entry: string;
  /** Without their reports. */
  readonly runs: { readonly [Which in keyof Runs]: Omit<NonNullable<Runs[Which]>, "report"> | undefined };
  /** `undefined`: only by command. */
  readonly nextAt: number | undefined;
  readonly isRunning: boolean;
  /** The last good sync is longer ago than it should be. */
  readonly isOverdue: boolean;
}

export interface MirrorFigures {
  readonly entries: readonly EntryFigures[];
  readonly counts: MirrorCounts;
}
