// Tags as versions: what is one, what lies in a range, and which is the newer one.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inRange, newestFirst, rangeOf, versionOf } from "../../src/mirrors/versions.ts";

describe("a version", () => {
  it.each([
    ["22", "22.0.0"],
    ["v1.2", "1.2.0"],
    ["1.2.3", "1.2.3"],
    ["1.2.3-alpine", "1.2.3"],
    ["22-bookworm-slim", "22.0.0"],
    ["1.2.3-rc.1", "1.2.3-rc.1"],
    ["1.2.3-rc1", "1.2.3-rc.1"],
    ["v2.0-beta3-alpine", "2.0.0-beta.3.alpine"],
    ["1.2.3.4", "1.2.3"],
    ["08.05", "8.5.0"],
    ["17-ea", "17.0.0-ea"],
    ["3-management", "3.0.0"],
    ["2024-01-05", "2024.0.0"],
    ["1.0.0_debian", "1.0.0"],
    ["20240501123456", "20240501123456.0.0"],
  ])("is %s: %s", (tag, version) => expect(versionOf(tag)?.version.version).toBe(version));

  it.each(["latest", "alpine3.20", "7f3a9c", "release-1.2", "1.", ".1", "", "v", "1..2", "9999999999999999999", "sha256-abc"])(
    "is not %s",
    (tag) => expect(versionOf(tag)).toBeUndefined(),
  );

  it("is found in any text, or not, without more coming of it", () => {
    fc.assert(fc.property(fc.string({ maxLength: 200 }), (tag) => void versionOf(tag)));
    fc.assert(fc.property(fc.stringMatching(/^v?[0-9.\-_a-c]{0,128}$/), (tag) => void versionOf(tag)));
  });
});

describe("a range", () => {
  const TAGS = ["21", "22", "22.1.0", "24.9", "25", "25.0.0-rc.1", "22.1.0-alpine", "24.9.0-beta.2", "22.1.0.7", "latest"];

  it.each([
    [">=22 <25", false, ["22", "22.1.0", "24.9", "22.1.0.7"]],
    [">=22 <25", true, ["22", "22.1.0", "24.9", "22.1.0-alpine", "24.9.0-beta.2", "22.1.0.7"]],
    ["^25.0.0-rc.0", false, ["25", "25.0.0-rc.1"]],
    ["22 || 24.9.x", false, ["22", "22.1.0", "24.9", "22.1.0.7"]],
    ["*", false, ["21", "22", "22.1.0", "24.9", "25", "22.1.0.7"]],
  ])("%s, with suffixes: %s", (range, withSuffixes, expected) =>
    expect(TAGS.filter(inRange(range, withSuffixes))).toEqual(expected),
  );

  it.each(["", "  ", "*", ">=1", "1.2.3 - 2"])("may be %j", (text) => void rangeOf(text));
  it.each([">=one", "1.2.3.4", "latest", ">>1", "a".repeat(201)])("may not be %j", (text) =>
    expect(() => rangeOf(text)).toThrow('expected a range of versions such as ">=22 <25"'),
  );
});

describe("the newest", () => {
  it("is the highest version, the more exact one before its short name, variants behind, then what is none", () => {
    const order = [
      ...[
        "24.9.1",
        "24.9.0.2",
        "24.9.0",
        "v24.9",
        "24.9",
        "24.9.0-alpine",
        "24.9.0-alpha.10",
        "24.9.0-alpha.9",
        "9.10.0",
        "9.9.0",
      ],
      ...["nightly-20240502", "nightly-20240501", "nightly-9", "latest", ""],
    ];
    const shuffled = fc.shuffledSubarray(order, { minLength: order.length });
    fc.assert(
      fc.property(shuffled, (tags) => {
        expect(tags.toSorted(newestFirst)).toEqual(order);
      }),
    );
  });

  it("is so by one order of all texts", () => {
    const tag = fc.oneof(fc.stringMatching(/^v?[0-3](\.[0-2]){0,3}(-(rc|alpine|b)[0-2]?)?$/), fc.string({ maxLength: 6 }));
    fc.assert(
      fc.property(tag, tag, tag, (a, b, c) => {
        expect(0 + Math.sign(newestFirst(a, b))).toBe(0 - Math.sign(newestFirst(b, a)));
        if (newestFirst(a, b) <= 0 && newestFirst(b, c) <= 0) expect(newestFirst(a, c)).toBeLessThanOrEqual(0);
        if (newestFirst(a, b) === 0) expect(a).toBe(b);
      }),
      { numRuns: 2_000 },
    );
  });
});
