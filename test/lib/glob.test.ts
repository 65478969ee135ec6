// Globs against the regular expressions that they stand for, and against names that are made to be slow.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { globMatcher, globOf } from "../../src/lib/glob.ts";

/** The meaning, in the plainest words there are. */
const expressionOf = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .split(/(\*\*|\*)/)
      .map((part) => (part === "**" ? ".*" : part === "*" ? "[^/]*" : part.replace(/[.\\]/g, "\\$&")))
      .join("")}$`,
    "s",
  );

describe("a glob", () => {
  it.each([
    ["acme/**", "acme/a/b", true],
    ["acme/**", "acme", false],
    ["library/*", "library/node", true],
    ["library/*", "library/a/b", false],
    ["**/base", "a/b/base", true],
    ["a.c", "abc", false],
    ["v1.*", "v1.2.3", true],
    ["", "", true],
    ["**", "", true],
  ])("%s and %s: %s", (pattern, name, is) => expect(globOf(pattern)(name)).toBe(is));

  it("means what it says, for any pattern and name", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", "/", "."), maxLength: 12 });
    const pattern = fc.array(fc.constantFrom("a", "b", "/", ".", "*", "**"), { maxLength: 8 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(pattern, text, (glob, name) => globOf(glob)(name) === expressionOf(glob).test(name)),
      { numRuns: 3_000 },
    );
  });

  it("is one of several", () => {
    const matches = globMatcher(["a/*", "b/**"]);
    expect(["a/x", "a/x/y", "b/x/y", "c"].map(matches)).toEqual([true, false, true, false]);
  });

  it("takes no longer for a name that is made for it", () => {
    const work = (glob: string) => {
      const matches = globOf(glob);
      const began = process.cpuUsage();
      for (let i = 0; i < 20; i += 1) matches("a".repeat(383));
      return process.cpuUsage(began).user;
    };
    // a regular expression would be at it for longer than the universe is old
    expect(work(`${"**a".repeat(20)}b`)).toBeLessThan(2_000_000);
    expect(work(`${"*a*".repeat(20)}b`)).toBeLessThan(2_000_000);
  });
});
