// regsync's allow and deny lists (regular expressions between ^ and $) and its version ranges, as a selection of ours.
import { patternOf } from "../mirrors/patterns.ts";
import { rangeOf } from "../mirrors/versions.ts";
import type { Part } from "./reading.ts";

/** As it is written in our configuration. */
export interface TagChoice {
  readonly semver?: string;
  readonly only?: readonly string[];
  readonly except?: readonly string[];
}

/** `undefined`: something of it decides what is copied and cannot be carried over. */
export const choiceOf = (part: Part): TagChoice | undefined => {
  const only = patternsIn(part, "allow");
  const except = patternsIn(part, "deny");
  const semver = rangesIn(part);
  if (except === false || semver === false || only === false) return undefined;
  return {
    ...(semver !== undefined && { semver }),
    // regsync takes versions with a suffix as well, which ours leaves out unless something chooses among them
    ...((only.length > 0 || semver !== undefined) && { only: only.length > 0 ? only : ["*"] }),
    ...(except.length > 0 && { except }),
  };
};

/** Patterns of `allow` that are lost make less be copied, which is said; of `deny`, more, which must not be. */
const patternsIn = (part: Part, key: "allow" | "deny"): readonly string[] | false => {
  const given = part.texts(key);
  const taken = given.flatMap((text) => {
    try {
      return [patternFrom(text)];
    } catch (error) {
      part.note(key, `${JSON.stringify(text)} is not carried over: ${(error as Error).message}`);
      return [];
    }
  });
  const isWhole = taken.length === given.length;
  return isWhole || (key === "allow" && taken.length > 0) ? taken : false;
};

/** A name where the expression is no more than that, or a glob. Throws what `patternOf` says. */
const patternFrom = (text: string): string => {
  if (isPlain(text)) return text.replaceAll(/\\(.)/g, "$1");
  if (text === ".*" || text === ".+") return "*";
  const pattern = `/${anchored(text)}/`;
  patternOf(pattern);
  return pattern;
};

/** No character stands for another one. */
const isPlain = (text: string): boolean => /^(?:[\w-]|\\[.\-/_])+$/.test(text);

/** Both anchors stand in regsync's own expressions often enough, and say nothing new. */
const anchored = (text: string): string => text.replace(/^\^/, "").replace(/(?<!\\)\$$/, "");

const rangesIn = (part: Part): string | undefined | false => {
  const ranges = part.texts("semverRange").map((range) => range.trim());
  if (ranges.length === 0) return undefined;
  try {
    const joined = ranges.join(" || ");
    rangeOf(joined);
    return joined;
  } catch (error) {
    part.note("semverRange", (error as Error).message);
    return false;
  }
};
