// Names chosen by globs and regular expressions. Clients ask for names, which are hostile: the work of both is bounded (lib/glob.ts, lib/regex.ts).
import { globOf } from "../lib/glob.ts";
import { wholeMatcher } from "../lib/regex.ts";
import type { Patterns } from "../mirrors.ts";

type Matches = (name: string) => boolean;

const MAX_PATTERN = 500;

const bodyOf = (pattern: string): string | undefined =>
  pattern.length > 2 && pattern.startsWith("/") && pattern.endsWith("/") ? pattern.slice(1, -1) : undefined;

/** One glob, or one `/regular expression/` that has to match the whole name. Throws an Error that says what is wrong with it. */
export const patternOf = (pattern: string): Matches => {
  if (pattern === "") throw new Error("expected a pattern, found nothing");
  if (pattern.length > MAX_PATTERN) throw new Error(`expected a pattern of at most ${MAX_PATTERN} characters`);
  const body = bodyOf(pattern);
  if (body === undefined) return globOf(pattern);
  return wholeMatcher(body);
};

/** A name that no star and no expression stands for. */
export const isLiteral = (pattern: string): boolean => !pattern.includes("*") && bodyOf(pattern) === undefined;

/** `only` (all of them, where there are none), then without `except`. */
export const chosenBy = ({ only, except }: Patterns): Matches => {
  const [wanted, left] = [only.map(patternOf), except.map(patternOf)];
  return (name) => (wanted.length === 0 || wanted.some((one) => one(name))) && !left.some((one) => one(name));
};
