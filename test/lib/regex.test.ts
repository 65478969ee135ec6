// Whole names match, by Go's expressions, in a time that has a bound.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { wholeMatcher } from "../../src/lib/regex.ts";

describe("an expression", () => {
  it.each([
    ["v\\d+(\\.\\d+){0,2}(-alpine)?", ["v1", "v1.2", "v1.2.3-alpine"], ["1", "v1.2.3.4", "v1-slim"]],
    ["(a|b)+c", ["abac"], ["c", "abcd"]],
    ["[]a]+", ["a", "]a"], ["b"]],
    ["[[:alpha:]]+", ["ab"], ["a1"]],
    ["(?i)RC-[x-z]", ["rc-X", "RC-y"], ["rc-a"]],
    ["(?P<name>a)", ["a"], ["b"]],
    ["^a$", ["a"], ["aa"]],
    ["a^b", [], ["ab"]],
    ["", [""], ["a"]],
    ["(|a)b", ["b", "ab"], ["a"]],
    ["(a*)*", ["", "aaa"], ["b"]],
    ["[a-z0-9._-]+", ["a.b_c-9"], ["A"]],
  ])("%s", (text, matching, others) => {
    const matches = wholeMatcher(text);
    expect(matching.filter((name) => !matches(name))).toEqual([]);
    expect(others.filter(matches)).toEqual([]);
  });

  it.each(["(", ")", "[a", "*a", "a**", "a{2,1}", "[b-a]", "(?=a)", "(?!a)", "(a)\\1", "a\\", "a{9999}", "((a{40}){40}){40}"])(
    "%s is refused",
    (text) => expect(() => wholeMatcher(text)).toThrow("expected a regular expression (RE2): "),
  );

  it("is done with the longest names at once, whatever it is", () => {
    const part = fc.constantFrom(
      "a",
      "[ab]",
      "\\w",
      ".",
      "a*",
      "[ab]+",
      ".*",
      "(a+)+",
      "(ab)*",
      "(a|aa)*",
      "{2,9}",
      "?",
      "|",
      "(?:a)",
    );
    const names = ["a".repeat(255), "ab".repeat(127), `${"a".repeat(254)}!`];
    fc.assert(
      fc.property(fc.array(part, { maxLength: 60 }), (parts) => {
        const matches = attempt(() => wholeMatcher(parts.join("")));
        if (matches === undefined) return;
        const begun = performance.now();
        for (const name of names) matches(name);
        expect(performance.now() - begun).toBeLessThan(2_000);
      }),
    );
    expect(wholeMatcher("(((a+)+)+)+b")("a".repeat(255))).toBe(false);
  });

  it("may be anything without more than an Error coming of it", () =>
    fc.assert(fc.property(fc.string(), fc.string(), (text, name) => void attempt(() => wholeMatcher(text))?.(name))));
});

const attempt = <T>(work: () => T): T | undefined => {
  try {
    return work();
  } catch {
    return undefined;
  }
};
