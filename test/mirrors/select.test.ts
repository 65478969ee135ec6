// Which of a site's names an entry takes, where their copies go, and which entry a name belongs to.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { copyOf, covers, writes } from "../../src/mirrors/covers.ts";
import { namedRepos, namedTags, selectRepos, selectTags } from "../../src/mirrors/select.ts";
import type { MirrorEntry, TagSelection } from "../../src/mirrors.ts";
import { ALL, entryOf } from "./entry.ts";

const SIGNATURE = `sha256-${"a".repeat(64)}.sig`;
const NODE = ["latest", "22", "22.1.0", "22.1.0-alpine", "24.9.0", "24.9.0-alpine", "24.10.0", "25.0.0", "lts", SIGNATURE];

describe("tags", () => {
  it.each<[Partial<TagSelection>, string[]]>([
    [{}, NODE.slice(0, -1)],
    [{ only: ["lts", "22"] }, ["22", "lts"]],
    [{ semver: ">=22 <25" }, ["22", "22.1.0", "24.9.0", "24.10.0"]],
    [{ semver: ">=22 <25", newest: 2 }, ["24.10.0", "24.9.0"]],
    [{ semver: ">=22 <25", only: ["*-alpine"], newest: 1 }, ["24.9.0-alpine"]],
    [{ semver: ">=22 <25", except: ["22*"] }, ["24.9.0", "24.10.0"]],
    [{ newest: 1 }, ["25.0.0"]],
    [{ only: [SIGNATURE] }, [SIGNATURE]],
    [{ only: ["sha256-*"] }, []],
    [{ only: ["nowhere"] }, []],
  ])("of %j", (selection, expected) => expect(selectTags({ ...ALL, ...selection }, NODE)).toEqual(expected));

  it("are taken once each, and those that are named need no list", () => {
    expect(selectTags(ALL, ["a", "b", "a"])).toEqual(["a", "b"]);
    expect(namedTags({ ...ALL, only: ["a", "b"] })).toEqual(["a", "b"]);
    expect(namedTags({ ...ALL, only: ["a", "b*"] })).toBeUndefined();
    expect(namedTags(ALL)).toBeUndefined();
  });

  it("are some of those that there are, and of the newest none is older than one that is left out", () => {
    const tag = fc.stringMatching(/^(v?[0-9]{1,2}(\.[0-9]){0,2}(-alpine)?|[a-c]{1,3})$/);
    fc.assert(
      fc.property(fc.array(tag, { maxLength: 20 }), fc.nat({ max: 5 }), (names, count) => {
        const all = selectTags({ ...ALL, newest: 100 }, names);
        expect(new Set(all)).toEqual(new Set(names));
        expect(selectTags({ ...ALL, newest: count + 1 }, names)).toEqual(all.slice(0, count + 1));
      }),
    );
  });
});

describe("repositories", () => {
  const pattern = entryOf({
    source: { site: "ghcr.io", repo: "acme/**" },
    isPattern: true,
    repos: { only: [], except: ["acme/x*"] },
  });

  it("are the one, or those of a pattern that are chosen", () => {
    expect(selectRepos(entryOf({}), ["acme/app", "acme/other"])).toEqual(["acme/app"]);
    expect(selectRepos(pattern, ["acme/app", "acme/xyz", "acme/a/b", "other/app"])).toEqual(["acme/app", "acme/a/b"]);
  });

  it("need no catalogue where all are named", () => {
    expect(namedRepos(entryOf({}))).toEqual(["acme/app"]);
    expect(namedRepos(pattern)).toBeUndefined();
    expect(namedRepos({ ...pattern, repos: { only: ["acme/a", "other/b", "acme/xy"], except: ["acme/x*"] } })).toEqual([
      "acme/a",
    ]);
  });
});

describe("an entry covers", () => {
  const first = entryOf({ name: "first", tags: { ...ALL, semver: ">=1", newest: 2 } });
  const pattern = entryOf({ name: "pattern", source: { site: "ghcr.io", repo: "acme/**" }, isPattern: true, digestTags: false });
  const last = entryOf({ name: "last", tags: { ...ALL, only: ["edge"] } });
  const elsewhere = entryOf({
    name: "elsewhere",
    source: { site: "quay.io", repo: "a/b" },
    target: { site: "ghcr.io", repo: "b" },
  });

  it.each([
    ["ghcr.io", "acme/app", "1.2", "first"],
    ["ghcr.io", "acme/app", "0.9", "pattern"],
    ["ghcr.io", "acme/app", SIGNATURE, "first"],
    ["ghcr.io", "acme/other", "x", "pattern"],
    ["ghcr.io", "acme/other", SIGNATURE, undefined],
    ["ghcr.io", "acme/app", "edge", "pattern"],
    ["ghcr.io", "other/app", "1.2", undefined],
    ["quay.io", "acme/app", "1.2", undefined],
    ["quay.io", "a/b", "1", undefined],
    ["ghcr.io", "b", "1", undefined],
    ["ghcr.io", "acme/app", "9".repeat(129), undefined],
    ["ghcr.io", `acme/${"a".repeat(255)}`, "1", undefined],
  ])("%s/%s:%s", (site, repo, tag, name) => expect(covers([first, pattern, last, elsewhere])(site, repo, tag)?.name).toBe(name));

  it("in the order in which they stand", () => expect(covers([last, pattern])("ghcr.io", "acme/app", "edge")?.name).toBe("last"));

  it("whatever it would copy", () => {
    const name = fc.stringMatching(/^[a-c1-2./-]{1,6}$/);
    const tags = fc.record({
      semver: fc.constantFrom(undefined, ">=1"),
      newest: fc.constant(undefined),
      only: fc.array(name),
      except: fc.array(name),
    });
    const entry = fc
      .record({ repo: fc.constantFrom("a", "a/**", "**", "a/b"), tags, target: fc.constantFrom(undefined, "", "m", "a") })
      .map(({ repo, tags, target }): MirrorEntry => {
        const isPattern = repo.includes("*");
        const to = target === undefined || (target === "" && !isPattern) ? undefined : { site: "images.example", repo: target };
        return entryOf({
          name: JSON.stringify([repo, tags, target]),
          source: { site: "ghcr.io", repo },
          isPattern,
          tags,
          target: to,
        });
      });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 4 }), fc.constantFrom("a", "a/b", "b"), name, (entries, repo, tag) => {
        for (const one of entries) {
          if (selectRepos(one, [repo]).length === 0 || selectTags(one.tags, [tag]).length === 0) continue;
          const copy = copyOf(one, repo, tag);
          expect(writes(entries)(copy.site, copy.repo, copy.tag)).toBeDefined();
          expect(covers(entries)(copy.site, copy.repo, copy.tag) === undefined).toBe(
            !entries.some(
              ({ target, ...other }) => target === undefined && copy.site === "ghcr.io" && takes({ target, ...other }, repo, tag),
            ),
          );
        }
      }),
    );
  });
});

const takes = (entry: MirrorEntry, repo: string, tag: string): boolean =>
  selectRepos(entry, [repo]).length > 0 && selectTags(entry.tags, [tag]).length > 0;

describe("a copy goes", () => {
  it.each<[Partial<MirrorEntry>, string, object]>([
    [{}, "acme/app", { site: "ghcr.io", repo: "acme/app", tag: "v1" }],
    [{ target: { site: "i.example", repo: "m" } }, "acme/app", { site: "i.example", repo: "m", tag: "v1" }],
    [{ target: { site: "i.example", repo: "m" }, targetTag: "s" }, "acme/app", { site: "i.example", repo: "m", tag: "s" }],
    [{ isPattern: true, target: { site: "i.example", repo: "m" } }, "a/b", { site: "i.example", repo: "m/a/b", tag: "v1" }],
    [{ isPattern: true, target: { site: "i.example", repo: "" } }, "a/b", { site: "i.example", repo: "a/b", tag: "v1" }],
  ])("%j", (changes, repo, place) => expect(copyOf(entryOf(changes), repo, "v1")).toEqual(place));

  it("to a tag that is its entry's", () => {
    const renamed = entryOf({ tags: { ...ALL, only: ["v1"] }, target: { site: "i.example", repo: "m" }, targetTag: "s" });
    expect(writes([renamed])("i.example", "m", "s")).toBe(renamed);
    expect(writes([renamed])("i.example", "m", "v1")).toBeUndefined();
  });
});
