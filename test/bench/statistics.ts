// Medians and ratios: pairs of the same round are compared, never a good one of ours with a bad one of theirs.
import type { Round, Rounds } from "./rounds.ts";
import type { Name } from "./server.ts";

/** With the least and the most, for how far it can be trusted. */
export type Spread = { median: number; min: number; max: number };

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((one, other) => one - other);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/** The least value that at least this part of them does not exceed. */
export const quantile = (values: readonly number[], part: number): number =>
  values.toSorted((one, other) => one - other)[Math.max(0, Math.ceil(values.length * part) - 1)] ?? Number.NaN;

export const spread = (values: readonly number[]): Spread | undefined =>
  values.length === 0 ? undefined : { median: median(values), min: Math.min(...values), max: Math.max(...values) };

const figureOf = (round: Round | undefined, metric: string): number | undefined =>
  round !== undefined && "metrics" in round ? round.metrics[metric] : undefined;

/** Of the rounds that have it. */
export const spreadOf = (rounds: Rounds, name: Name, metric: string): Spread | undefined =>
  spread((rounds[name] ?? []).flatMap((round) => figureOf(round, metric) ?? []));

/** Of the rounds in which both have it, theirs not being nothing. */
export const ratioOf = (rounds: Rounds, ours: Name, theirs: Name, metric: string): Spread | undefined =>
  spread(
    (rounds[ours] ?? []).flatMap((round, n) => {
      const [one, other] = [figureOf(round, metric), figureOf(rounds[theirs]?.[n], metric)];
      return one === undefined || !other ? [] : one / other;
    }),
  );

/** What was wrong in any round. */
export const wrongs = (rounds: Rounds): string[] =>
  Object.values(rounds).flatMap((all) => all.flatMap((round) => ("wrong" in round ? round.wrong : [])));
