// What hijacked names resolve to: addresses for all, and for some subnets addresses of their own.
import type { Answer, Answers } from "../lib/answers.ts";
import { PrefixError, prefixLength } from "../lib/prefixes.ts";
import type { Problem } from "./problems.ts";
import type { Settings } from "./schema.ts";

type Report = (problem: Problem) => void;
type Entries = NonNullable<Settings["answer"]>;

/** Without an entry for all, that is "auto". */
export const answersOf = ({ answer = ["auto"] }: Settings, report: Report): Answers => {
  const rest = answer.filter((entry) => typeof entry === "string");
  if (answer.length === 0) report({ path: ["answer"], text: 'expected "auto" alone, or one or more addresses' });
  return {
    answer: rest.length === 0 ? "auto" : oneOf(rest, (text) => report({ path: ["answer"], text })),
    answerIn: subnetsOf(answer, report),
  };
};

const subnetsOf = (entries: Entries, report: Report): Answers["answerIn"] => {
  const subnets = new Map<string, Answers["answerIn"][number]>();
  for (const [i, entry] of entries.entries()) {
    if (typeof entry === "string") continue;
    for (const [prefix, addresses] of Object.entries(entry)) {
      const fail = (text: string) => report({ path: ["answer", i, prefix], text });
      const wrong = problemOf(prefix);
      if (wrong !== undefined) fail(wrong);
      if (subnets.has(prefix)) fail(`the subnet ${prefix} has its answer already: name its addresses in one list`);
      subnets.set(prefix, { prefix, answer: oneOf(addresses, fail) });
    }
  }
  return [...subnets.values()];
};

const oneOf = (entries: readonly string[], fail: (text: string) => void): Answer => {
  if (entries.length === 1 && entries[0] === "auto") return "auto";
  if (entries.length === 0 || entries.includes("auto")) fail('expected "auto" alone, or one or more addresses');
  return entries;
};

const problemOf = (prefix: string): string | undefined => {
  try {
    prefixLength(prefix);
    return undefined;
  } catch (error) {
    if (!(error instanceof PrefixError)) throw error;
    return `expected an address or a prefix such as 10.1.0.0/16, found ${JSON.stringify(prefix)}`;
  }
};
