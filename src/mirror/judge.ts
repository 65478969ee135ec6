// What is to become of one tag, by what is there, what upstream says, and how long it has said so. Pure.
import type { Digest } from "../oci/digest.ts";
import type { Change } from "./outcome.ts";
import type { TargetTag } from "./target.ts";

/** Times in ms since the epoch. */
export interface Case {
  readonly now: TargetTag | undefined;
  /** A rule of the configuration says that it never moves once it is held. */
  readonly isPinned: boolean;
  readonly upstream: Digest;
  /** Of what is there: everything that is wanted of it is there as well. */
  readonly isWhole: boolean;
  readonly delay: number;
  readonly seenSince: number | undefined;
  /** Of upstream's, where its own date is known. */
  readonly created: number | undefined;
  readonly at: number;
}

export interface Verdict {
  readonly change: Change;
  readonly dueAt?: number;
  readonly why?: string;
}

const HELD = {
  pin: "it is pinned: `layover tags unpin` lets it go on",
  rollback: "it was rolled back: `layover tags unpin` lets it go on",
  backup: "it is the name of a backup",
} as const;

export const judge = ({ now, isPinned, upstream, isWhole, delay, seenSince, created, at }: Case): Verdict => {
  if (now?.digest === upstream) return { change: isWhole ? "same" : "incomplete" };
  if (now?.heldBy !== undefined) return { change: "held", why: HELD[now.heldBy] };
  if (now !== undefined && isPinned) return { change: "held", why: "a rule of its site pins it" };
  const dueAt = dueOf(delay, now === undefined ? created : undefined, seenSince ?? at);
  if (dueAt > at) return { change: "young", dueAt, why: `it has not stood there for long enough: until ${minuteOf(dueAt)}` };
  return { change: now === undefined ? "missing" : "moved" };
};

/** `2026-01-02T03:04Z`: the first whole minute at which it may. */
const minuteOf = (time: number): string => new Date(Math.ceil(time / 60_000) * 60_000).toISOString().replace(":00.000Z", "Z");

/** Where nothing is there yet an image that is old enough by itself need not wait. */
const dueOf = (delay: number, created: number | undefined, seenSince: number): number =>
  delay === 0 ? Number.NEGATIVE_INFINITY : delay + Math.min(seenSince, created ?? Number.POSITIVE_INFINITY);

const ORDER: Partial<Record<Change, number>> = { missing: 0, moved: 1, incomplete: 2 };

/** What a sync has to do something for, what is missing first. */
export const toDo = <T extends { readonly change: Change }>(tags: readonly T[], missingOnly: boolean): T[] =>
  tags
    .filter(({ change }) => (missingOnly ? change === "missing" : ORDER[change] !== undefined))
    .toSorted((a, b) => ORDER[a.change]! - ORDER[b.change]!);
