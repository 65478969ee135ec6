// Names chosen by globs and regular expressions.
import { describe, expect, it } from "vitest";
import { chosenBy, isLiteral, patternOf } from "../../src/mirrors/patterns.ts";

describe("a pattern", () => {
  it.each([
    ["v1", "v1", true],
    ["v1", "v10", false],
    ["v*", "v10", true],
    ["acme/*", "acme/a/b", false],
    ["acme/**", "acme/a/b", true],
    ["/v[0-9]+/", "v10", true],
    ["/v[0-9]+/", "v10-rc", false],
    ["/a|b/", "ab", false],
    ["/a|b/", "b", true],
    ["/(?:a|b)c/", "bc", true],
    ["/\\d+\\.\\d+(-alpine)?/", "3.20-alpine", true],
    ["/[^)(]+/", "x", true],
    ["/", "/", true],
  ])("%s and %s: %s", (pattern, name, matches) => expect(patternOf(pattern)(name)).toBe(matches));

  it.each([
    ["", "found nothing"],
    ["x".repeat(501), "at most 500 characters"],
    ["/(/", "missing closing )"],
    ["/(?=a)b/", "unsupported Perl syntax"],
  ])("%s is refused", (pattern, message) => expect(() => patternOf(pattern)).toThrow(message));

  it("is no more than its own name where it has no star and is no expression", () => {
    expect(["a", "a.b", "/x", "a*", "/a/", "**"].filter(isLiteral)).toEqual(["a", "a.b", "/x"]);
  });
});

describe("a choice", () => {
  it("is of all, of some, and without others", () => {
    const names = ["a", "b", "b-rc", "c"];
    expect(names.filter(chosenBy({ only: [], except: [] }))).toEqual(names);
    expect(names.filter(chosenBy({ only: ["b*", "/c/"], except: ["*-rc"] }))).toEqual(["b", "c"]);
    expect(names.filter(chosenBy({ only: [], except: ["b"] }))).toEqual(["a", "b-rc", "c"]);
  });
});
