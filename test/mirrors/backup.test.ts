// Names of what was replaced: always tags, whatever they are made of.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type BackupValues, backupName, variablesOf } from "../../src/mirrors/backup.ts";
import { isTag } from "../../src/oci/reference.ts";

const VALUES: BackupValues = {
  tag: "v1.2",
  now: Date.UTC(2026, 10, 4, 3, 5, 9),
  digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
  run: "4711",
};

describe("a backup name", () => {
  it.each([
    ["{{tag}}.{{date}}", "v1.2.20261104"],
    ["{{ tag }}-{{date}}-{{time}}", "v1.2-20261104-030509"],
    ["{{tag}}.{{digest}}", "v1.2.0123456789ab"],
    ["{{tag}}.{{run}}", "v1.2.4711"],
    [".{{run}}", "_.4711"],
    ["{{nothing}}", "_--nothing--"],
  ])("of %s is %s", (template, name) => expect(backupName(template, VALUES)).toBe(name));

  it("has a number behind it where it is taken, and is cut within the tag", () => {
    expect(backupName("{{tag}}.{{date}}", VALUES, 2)).toBe("v1.2.20261104-2");
    const long = { ...VALUES, tag: "t".repeat(128) };
    expect(backupName("{{tag}}.{{date}}", long)).toBe(`${"t".repeat(119)}.20261104`);
    expect(backupName("{{tag}}.{{date}}", long, 12)).toBe(`${"t".repeat(116)}.20261104-12`);
  });

  it("has no more of a run's number than a tag may have", () =>
    expect(backupName("{{tag}}.{{run}}", { ...VALUES, run: "job/№ 7 " })).toBe("v1.2.job---7-"));

  it("is a tag, of whatever it is made, and another one each time it is taken", () => {
    const piece = fc.oneof(
      fc.constantFrom("{{tag}}", "{{date}}", "{{time}}", "{{digest}}", "{{run}}", ".", "-"),
      fc.string({ maxLength: 60 }),
    );
    const template = fc.array(piece, { minLength: 1, maxLength: 8 }).map((pieces) => pieces.join(""));
    const values = fc.record({
      tag: fc.stringMatching(/^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$/),
      now: fc.integer({ min: 0, max: 4_102_444_800_000 }),
      digest: fc.constantFrom(VALUES.digest, "sha512:ff"),
      run: fc.string({ maxLength: 200 }),
    });
    fc.assert(
      fc.property(template, values, fc.integer({ min: 2, max: 99_999 }), (text, of, nth) => {
        const [one, other] = [backupName(text, of), backupName(text, of, nth)];
        expect([one, other].filter((name) => !isTag(name))).toEqual([]);
        expect(other).not.toBe(one);
        expect(other.endsWith(`-${nth}`)).toBe(true);
        expect(backupName(text, of)).toBe(one);
      }),
    );
  });

  it("keeps what makes it differ, however long the tag is", () => {
    const tag = fc.stringMatching(/^[a-z]{1,128}$/);
    fc.assert(
      fc.property(tag, fc.integer({ min: 0, max: 4_102_444_800_000 }), (text, now) => {
        const date = new Date(now).toISOString().slice(0, 10).replaceAll("-", "");
        expect(backupName("{{tag}}.{{date}}", { ...VALUES, tag: text, now }).endsWith(`.${date}`)).toBe(true);
      }),
    );
  });

  it("names its variables", () => expect(variablesOf("{{tag}}.{{ x }}{y}")).toEqual(["tag", "x"]));
});
