// How far syncs have come, as progress of one piece of work: images as its unit, and bytes of those that are being copied.
import type { SyncProgress } from "../mirror/outcome.ts";
import type { Progress } from "./answers.ts";

/** More would fill no screen, and be sent ten times a second. */
const MOST_PARTS = 24;

/** `undefined` of one that has not been heard of. */
export const mirrorProgress = (all: readonly (SyncProgress | undefined)[]): Progress => {
  const sum = (pick: (one: SyncProgress) => number) => all.reduce((total, one) => total + (one === undefined ? 0 : pick(one)), 0);
  const isCounted = all.every((one) => one?.total !== undefined);
  const at = atOf(all.filter((one) => one !== undefined));
  return {
    ...{ done: sum(({ done }) => done), unit: "images", fetched: sum(({ fetched }) => fetched) },
    ...(isCounted && { total: sum(({ total = 0 }) => total) }),
    ...(at !== undefined && { at }),
    parts: all.flatMap((one) => one?.images ?? []).slice(0, MOST_PARTS),
  };
};

/** Where nothing is being copied: why. */
const atOf = (all: readonly SyncProgress[]): string | undefined => {
  const waiting = all.find((one) => one.waiting !== undefined)?.waiting;
  if (waiting !== undefined) return `waiting until ${waiting.until}: ${waiting.why}`;
  if (all.some(({ images }) => images.length > 0)) return undefined;
  const step = all.find((one) => one.step !== "tidying")?.step ?? all[0]?.step;
  return step === "copying" ? undefined : step;
};
