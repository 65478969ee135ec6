// What is wrong with a configuration, in words: each problem has the key it is about, and gets its file, line and column from the source.
import type { z } from "zod";

export type KeyPath = readonly (string | number)[];

export interface Problem {
  readonly path: KeyPath;
  /** Of another file than the configuration's own it begins with the place there (`isPlaced`). */
  readonly text: string;
  readonly isPlaced?: true;
}

/** Its message is one line for each problem: place, key, what is wrong. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

type Issue = z.core.$ZodIssue;

/** zod's issues as problems; `tree` is what was parsed, to say what was found. */
export const problemsOf = (issues: readonly Issue[], tree: unknown, base: KeyPath = []): Problem[] =>
  issues.flatMap((issue) => {
    const path = [...base, ...issue.path.map((part) => (typeof part === "symbol" ? String(part) : part))];
    if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknownKey(path, key, issue.message.split(" ")));
    if (issue.code === "invalid_union") return problemsOf(likeliest(issue.errors), tree, path);
    return [{ path, text: describe(issue, path, valueAt(tree, path)) }];
  });

/** What regsync, and cron's friends, call what is called otherwise here. */
const CALLED_ELSEWHERE = new Map([
  ["allow", "only"],
  ["deny", "except"],
  ["semverRange", "semver"],
  ["cron", "schedule"],
  ["image", "source"],
]);

const unknownKey = (path: KeyPath, key: string, known: readonly string[]): Problem => ({
  path: [...path, key],
  text: `unknown key${didYouMean(known.find((one) => one === CALLED_ELSEWHERE.get(key)) ?? key, known)}`,
});

/** Of a union's members, the one that got furthest: a wrong type right here says that it was not meant. */
const likeliest = (members: readonly Issue[][]): Issue[] =>
  members.find((issues) =>
    issues.some((issue) => issue.path.length > 0 || issue.code === "unrecognized_keys" || issue.code === "custom"),
  ) ??
  members.at(-1) ??
  [];

const KINDS: Record<string, string> = {
  string: "a text",
  boolean: "true or false",
  array: "a list",
  object: "keys and values",
  record: "keys and values",
  int: "a whole number",
  number: "a number",
};

const describe = (issue: Issue, path: KeyPath, value: unknown): string => {
  const found = isSecret(path) ? "something else" : show(value);
  if (issue.code === "invalid_value") {
    return `expected ${issue.values.join(" or ")}, found ${found}${didYouMean(String(value), issue.values.map(String))}`;
  }
  if (issue.code === "custom") return issue.message;
  if (issue.message.startsWith("expected ")) return `${issue.message}, found ${found}${quoteIt(value)}`;
  if (issue.code === "invalid_type") return `expected ${KINDS[issue.expected] ?? issue.expected}, found ${found}`;
  return `${issue.message}, found ${found}`;
};

/** YAML takes `8.8` for a number. */
const quoteIt = (value: unknown): string => (typeof value === "number" ? " (quote it, if it is meant as text)" : "");

const isSecret = (path: KeyPath): boolean =>
  ["credentials", "password", "token", "upstream", "httpProxy", "clientCertificate", "notify"].some((key) => path.includes(key));

const show = (value: unknown): string => {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "keys and values";
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}…"` : text;
};

export const valueAt = (tree: unknown, path: KeyPath): unknown =>
  path.reduce<unknown>(
    (node, key) => (typeof node === "object" && node !== null ? (node as Record<string, unknown>)[key] : undefined),
    tree,
  );

/** `; did you mean access?`, or nothing when none is near. */
export const didYouMean = (word: string, known: readonly string[]): string => {
  const near = known.map((key) => ({ key, distance: distance(word.toLowerCase(), key.toLowerCase()) }));
  const best = near.sort((a, b) => a.distance - b.distance)[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(best.key.length / 3)) ? `; did you mean ${best.key}?` : "";
};

/** Letters put in, left out, changed, or swapped with their neighbour; on words cut to a sane length. */
const distance = (a: string, b: string): number => {
  const [from, to] = [a.slice(0, 40), b.slice(0, 40)];
  const rows = [Array.from({ length: to.length + 1 }, (_, i) => i)];
  for (let i = 1; i <= from.length; i++) {
    const [before, above] = [rows[i - 2], rows[i - 1]!];
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const change = above[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      const isSwap = from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      const swap = before !== undefined && isSwap ? before[j - 2]! + 1 : change;
      row.push(Math.min(above[j]! + 1, row[j - 1]! + 1, change, swap));
    }
    rows.push(row);
  }
  return rows[from.length]![to.length]!;
};
