// What was to be reached, and whether it was; a verdict is printed, never a reason to fail.
import type { Metric, Target } from "./figures.ts";
import type { Rounds } from "./rounds.ts";
import { ratioOf, spreadOf } from "./statistics.ts";

export type Verdict = { wanted: string; reached: number; met: boolean };

/** As it is shown, so that what reads as met is met. */
const shown = (value: number, digits: number): number => Number(value.toFixed(digits));

/** undefined where it could not be measured. */
export const judge = (rounds: Rounds, metric: Metric, target: Target): Verdict | undefined => {
  const { than, atLeast, atMost } = target;
  const found = than ? ratioOf(rounds, "layover", than, metric.key) : spreadOf(rounds, "layover", metric.key);
  if (found === undefined) return undefined;
  const reached = shown(found.median, than ? 2 : metric.digits);
  const [sign, limit] = atLeast === undefined ? ["≤", atMost ?? Number.NaN] : ["≥", atLeast];
  const wanted = than ? `${sign} ${limit} × ${than}` : `${sign} ${limit} ${metric.unit}`;
  return { wanted, reached, met: atLeast === undefined ? reached <= limit : reached >= limit };
};

export const inWords = (verdict: Verdict | undefined): string =>
  verdict === undefined ? "not measured" : `${verdict.wanted}: ${verdict.reached}, ${verdict.met ? "met" : "MISSED"}`;
