// The same names match as with the language's own expressions, in a time that has a bound.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { wholeMatcher } from "../../src/lib/regex.ts";

const PARTS = [
  ...["a", "b", ".", "\\.", "-", "1", "\\d", "\\w", "\\S", "\\D", "[ab]", "[^a]", "[a-c1-3]", "[\\d.]", "[]a]".slice(1), "[a-]"],
  ...["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "|", "(", ")", "(?:", "(?<n>", "^", "$", "{", "}", "[", "\\"],
];

describe("an expression", () => {
  it("matches what the language's own does, whole", () => {
    const expression = fc.array(fc.constantFrom(...PARTS), { maxLength: 10 }).map((parts) => parts.join(""));
    const names = fc.array(fc.stringMatching(/^[abc1.-]{0,7}$/), { minLength: 1, maxLength: 8 });
    let compared = 0;
    fc.assert(
      fc.property(expression, names, (text, all) => {
        const [own, theirs] = [attempt(() => wholeMatcher(text)), attempt(() => new RegExp(`^(?:${text})$`, "s"))];
        if (own === undefined || theirs === undefined) return;
        compared += 1;
        for (const name of all) expect([text, name, own(name)]).toEqual([text, name, theirs.test(name)]);
      }),
      { numRuns: 20_000 },
    );
    expect(compared).toBeGreaterThan(1_000);
  });

  it.each([
    ["v\\d+(\\.\\d+){0,2}(-alpine)?", ["v1", "v1.2", "v1.2.3-alpine"], ["1", "v1.2.3.4", "v1-slim"]],
    ["(a|b)+c", ["abac"], ["c", "abcd"]],
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

  it.each([
    ["(", "a bracket that is not closed"],
    [")", "a ) without its ("],
    ["[a", "a [ that is not closed"],
    ["*a", "nothing to repeat"],
    ["a**", "nothing to repeat"],
    ["a{2,1}", "the wrong way round"],
    ["[]a]", "is written as"],
    ["[^]a]", "is written as"],
    ["[b-a]", "the wrong way round"],
    ["(?=a)", "no expression of a name needs"],
    ["(?!a)", "no expression of a name needs"],
    ["(a)\\1", "no expression of a name needs"],
    ["\\bb", "no expression of a name needs"],
    ["a\\", "nothing behind the last backslash"],
    ["[[:alpha:]]", "no expression of a name needs"],
    ["a{9999}", "too long"],
    ["((a{40}){40}){40}", "too long"],
    ["(".repeat(60) + ")".repeat(60), "brackets within one another"],
  ])("%s is refused", (text, message) => expect(() => wholeMatcher(text)).toThrow(message));

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
