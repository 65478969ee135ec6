// Names chosen by globs and regular expressions. Names are asked for by clients, so hostile: a glob's work is bounded (lib/glob.ts), and
// of a regular expression only what cannot run away is taken.
import { globOf } from "../lib/glob.ts";
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
  const expression = compile(body);
  const slow = runaway(body);
  if (slow !== undefined) throw new Error(`a regular expression that may take for ever: ${slow}`);
  return (name) => expression.test(name);
};

const compile = (body: string): RegExp => {
  try {
    return new RegExp(`^(?:${body})$`);
  } catch (error) {
    throw new Error(`no valid regular expression: ${(error as Error).message}`);
  }
};

/** A name that no star and no expression stands for. */
export const isLiteral = (pattern: string): boolean => !pattern.includes("*") && bodyOf(pattern) === undefined;

/** `only` (all of them, where there are none), then without `except`. */
export const chosenBy = ({ only, except }: Patterns): Matches => {
  const [wanted, left] = [only.map(patternOf), except.map(patternOf)];
  return (name) => (wanted.length === 0 || wanted.some((one) => one(name))) && !left.some((one) => one(name));
};

interface Group {
  hasLoop: boolean;
  hasChoice: boolean;
}

/** A loop around a loop or around a choice can be gone through in exponentially many ways; so can what looks back or around. */
const runaway = (body: string): string | undefined => {
  const text = body.replaceAll(/\\./g, (one) => (/\\[1-9k]/.test(one) ? "\\1" : "a")).replaceAll(/\[\^?\]?[^\]]*\]/g, "a");
  if (text.includes("\\1")) return "it refers back";
  if (/\(\?[^:]/.test(text)) return "it looks around, or names a group";
  const open: Group[] = [{ hasLoop: false, hasChoice: false }];
  let loops = 0;
  for (let i = 0; i < text.length; i += 1) {
    const group = open.at(-1)!;
    if (text[i] === "(") open.push({ hasLoop: false, hasChoice: false });
    else if (text[i] === "|") group.hasChoice = true;
    else if (text[i] === ")") {
      const around = open.at(-2)!;
      open.pop();
      const isRepeated = loopAt(text, i + 1);
      if (isRepeated && group.hasLoop) return "a repetition within a repetition";
      if (isRepeated && group.hasChoice) return "a repeated choice";
      around.hasLoop ||= group.hasLoop || isRepeated;
      around.hasChoice ||= group.hasChoice;
      if (isRepeated) loops += 1;
    } else if (loopAt(text, i + 1)) {
      group.hasLoop = true;
      loops += 1;
    }
  }
  return loops > MAX_LOOPS ? `more than ${MAX_LOOPS} repetitions` : undefined;
};

/** Each of them may multiply the work by the name's length. */
const MAX_LOOPS = 6;

/** Whether what ends before `at` is repeated: `?` alone is not. */
const loopAt = (text: string, at: number): boolean => /^(?:[*+]|\{\d+,?\d*\})/.test(text.slice(at, at + 12));
