// `answer` of the configuration: what hijacked names resolve to, by the subnet of who asks. The longest prefix that holds a client decides.
import { parsePrefixes, prefixLength } from "./prefixes.ts";

/** Addresses, or "auto": that at which the client reaches us. */
export type Answer = "auto" | readonly string[];

export interface Answers {
  /** For clients in none of `answerIn`. */
  readonly answer: Answer;
  readonly answerIn: readonly { readonly prefix: string; readonly answer: Answer }[];
}

export const answerFor = ({ answer: rest, answerIn }: Answers): ((client: string) => Answer) => {
  const longestFirst = answerIn.toSorted((one, other) => prefixLength(other.prefix) - prefixLength(one.prefix));
  const subnets = longestFirst.map(({ prefix, answer }) => ({ holds: parsePrefixes([prefix]), answer }));
  return (client) => subnets.find(({ holds }) => holds(client))?.answer ?? rest;
};

/** Each address that the configuration names, once. */
export const namedAnswers = ({ answer, answerIn }: Answers): string[] => [
  ...new Set([answer, ...answerIn.map((one) => one.answer)].filter((one) => one !== "auto").flat()),
];

/** For people; `auto` is what that comes to, in words. */
export const describeAnswers = ({ answer, answerIn }: Answers, auto: string): string => {
  const told = (one: Answer) => (one === "auto" ? auto : one.join(", "));
  return [told(answer), ...answerIn.map((one) => `in ${one.prefix} ${told(one.answer)}`)].join("; ");
};
