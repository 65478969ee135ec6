// How a tag moves: when it has stood upstream for long enough, past whoever tests it, with a way back, and never past who holds it.
import { describe, expect, it } from "vitest";
import type { EngineParts } from "../../src/mirror/engine.ts";
import type { HookAbout } from "../../src/mirror/hook.ts";
import { writes } from "../../src/mirrors/covers.ts";
import type { Digest } from "../../src/oci/digest.ts";
import { entryOf, REPO, tagsOnly } from "./entry.ts";
import { mirrored, outcomes } from "./mirrored.ts";

const DAY = 24 * 3_600_000;
const hooks = (changes: object) => ({ hooks: { pre: undefined, post: undefined, timeout: 1_000, ...changes } });

describe("what is replaced", () => {
  const BACKUP = entryOf({ backup: "{{tag}}.{{date}}", keep: { count: 2, for: undefined } });

  it("answers as its backup name, also where one of the day is taken, and goes when newer ones have taken its place", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const images: string[] = [];
    const push = () => images.push(content.seed({ repo: REPO, tag: "v1" }).top.digest);
    push();
    await world.sync(BACKUP);
    for (const name of ["v1.20261123", "v1.20261123-2"]) {
      push();
      const report = await world.sync(BACKUP);
      expect(report.tags[0]).toMatchObject({ outcome: "done", backup: name });
      expect(await world.facts.tag(world.keyOf(name))).toMatchObject({ digest: images.at(-2), hold: { kind: "backup" } });
    }
    world.pass(DAY);
    push();
    const report = await world.sync(BACKUP);
    expect(report.expired).toEqual([{ site: "registry.example", repository: REPO, tag: "v1.20261123" }]);
    expect(await world.tagOf("v1.20261123")).toBeUndefined();
    expect(await world.tagOf("v1.20261123-2")).toBe(images[1]);
    expect(await world.tagOf("v1.20261124")).toBe(images[2]);
    const kept = await world.facts.mirroring.kept(world.keyOf("v1"));
    expect(new Set<string>(kept.map(({ root }) => root))).toEqual(new Set(images.slice(1)));
  });

  it("is kept for as long as it is to be, and what is the tag again is not what was replaced", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const entry = entryOf({ keep: { count: 9, for: 3 * DAY } });
    const [one, two] = [content.seed({ repo: REPO, tag: "v1" }), content.seed({ repo: REPO })];
    const roots = async () => new Set<string>((await world.facts.mirroring.kept(world.keyOf("v1"))).map(({ root }) => root));
    await world.sync(entry);
    content.moveTag(REPO, "v1", two.top.digest);
    await world.sync(entry);
    world.pass(2 * DAY);
    content.moveTag(REPO, "v1", one.top.digest);
    await world.sync(entry);
    world.pass(2 * DAY);
    await world.sync(entry);
    expect(await roots()).toEqual(new Set([one.top.digest, two.top.digest]));
    world.pass(2 * DAY);
    await world.sync(entry);
    expect(await roots()).toEqual(new Set([one.top.digest]));
  });

  it("gets no name that upstream has, and none that stands for something else", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const entry = entryOf({ tags: tagsOnly("v1"), backup: "{{tag}}-old{{run}}" });
    content.seed({ repo: REPO, tag: "v1" });
    await world.sync(entry);
    content.seed({ repo: REPO, tag: "v1-old7" });
    const other = content.seed({ repo: REPO });
    await world.facts.moveTag(world.keyOf("v1-old7-2"), { digest: other.top.digest as Digest, at: 1, reason: "pull" }, 0);
    content.seed({ repo: REPO, tag: "v1" });
    expect((await world.sync(entry, { run: "7" })).tags[0]).toMatchObject({ outcome: "done", backup: "v1-old7-3" });
  });

  it("is each tag's own where the template would give several the same name at once", async () => {
    const tags = ["v1", "v2", "v3", "v4"];
    let left = tags.length;
    const all = Promise.withResolvers<void>();
    const hook: EngineParts["hook"] = async () => {
      if (--left === 0) all.resolve();
      await all.promise;
      return { ok: true, output: "" };
    };
    const world = await mirrored({ parts: { hook } });
    const seed = () => tags.map((tag) => world.upstream.content.seed({ repo: REPO, tag }).top.digest);
    const before = seed();
    await world.sync();
    seed();
    const report = await world.sync(entryOf({ ...hooks({ pre: "meet" }), backup: "{{run}}", parallel: 4 }), { run: "r7" });
    expect(new Set(report.tags.map(({ backup }) => backup))).toEqual(new Set(["r7", "r7-2", "r7-3", "r7-4"]));
    expect(await Promise.all(report.tags.map(({ backup }) => world.tagOf(backup!)))).toEqual(before);
  });

  it("gets no more names than are kept, where the tag goes back and forth", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const entry = entryOf({ backup: "{{tag}}.{{run}}", keep: { count: 3, for: undefined } });
    const [one, two] = [content.seed({ repo: REPO, tag: "v1" }), content.seed({ repo: REPO })];
    for (let n = 0; n < 8; n += 1) {
      content.moveTag(REPO, "v1", (n % 2 === 0 ? one : two).top.digest);
      await world.sync(entry, { run: String(n) });
      world.pass(DAY);
    }
    const tags = await world.facts.inventory.tags(world.keyOf("v1").site, REPO, { limit: 99 });
    expect(tags.map(({ tag }) => tag)).toEqual(["v1", "v1.5", "v1.6", "v1.7"]);
  });

  it("does not expire with a name that somebody has given away meanwhile", async () => {
    const world = await mirrored();
    const entry = entryOf({ backup: "{{tag}}.{{run}}", keep: { count: 1, for: undefined } });
    const push = () => world.upstream.content.seed({ repo: REPO, tag: "v1" });
    push();
    await world.sync(entry);
    push();
    await world.sync(entry, { run: "1" });
    const pinned = (await world.tagOf("v1.1"))!;
    await world.facts.holdTag(world.keyOf("v1.1"), { digest: pinned, at: 1, kind: "pin" });
    push();
    expect((await world.sync(entry, { run: "2" })).expired).toEqual([]);
    expect(await world.tagOf("v1.1")).toBe(pinned);
  });
});

describe("hooks", () => {
  it("that fail before keep the tag where it is, with everything held; that fail after are told", async () => {
    const heard: HookAbout[] = [];
    let isOk = false;
    const hook: EngineParts["hook"] = async (_command, about) => {
      heard.push(about);
      return isOk ? { ok: true, output: "fine" } : { ok: false, output: "CVE-1", why: "it ended with 1" };
    };
    const world = await mirrored({ parts: { hook } });
    const image = world.upstream.content.seed({ repo: REPO, tag: "v1" });
    const stopped = await world.sync(entryOf(hooks({ pre: "scan" })), { run: "7" });
    expect(stopped.tags[0]).toMatchObject({ outcome: "stopped", failure: { code: "HOOK_FAILED" }, hookOutput: "CVE-1" });
    expect(stopped.isGood).toBe(false);
    expect(world.told.failed).toHaveLength(1);
    expect(await world.tagOf("v1")).toBeUndefined();
    expect(await world.holdsAll([image.top.digest, image.config.digest])).toBe(true);
    expect(heard).toMatchObject([{ hook: "pre", run: "7", tag: { change: "missing", upstream: image.top.digest } }]);

    world.upstream.clear();
    const done = await world.sync(entryOf(hooks({ post: "tell" })));
    expect(done.tags[0]).toMatchObject({ outcome: "done", failure: { code: "HOOK_FAILED" } });
    expect(await world.tagOf("v1")).toBe(image.top.digest);
    expect(world.upstream.count(/blobs/)).toBe(0);
    isOk = true;
    world.upstream.content.seed({ repo: REPO, tag: "v1" });
    const both = await world.sync(entryOf(hooks({ pre: "scan", post: "tell" })));
    expect(both).toMatchObject({ isGood: true, tags: [{ outcome: "done", hookOutput: "fine" }] });
    expect(heard.map(({ hook: which }) => which)).toEqual(["pre", "post", "pre", "post"]);
  });
});

describe("a tag that somebody holds", () => {
  it("stays, and is told; one that is held or moved while its image comes loses nothing", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const one = content.seed({ repo: REPO, tag: "v1" });
    await world.sync();
    const digest = one.top.digest as Digest;
    await world.facts.holdTag(world.keyOf("v1"), { digest, at: 1, kind: "pin" });
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 same skipped"]);
    content.seed({ repo: REPO, tag: "v1" });
    const held = await world.sync();
    expect(outcomes(held.tags)).toEqual(["v1 held skipped"]);
    expect(held).toMatchObject({ isGood: true, tags: [{ why: expect.stringContaining("pinned") as string }] });
    expect(await world.tagOf("v1")).toBe(digest);
    await world.facts.releaseTag(world.keyOf("v1"));

    for (const [meanwhile, end] of [
      [() => world.facts.holdTag(world.keyOf("v1"), { digest, at: 2, kind: "rollback" }), "v1 held skipped"],
      [
        async () => {
          await world.facts.releaseTag(world.keyOf("v1"));
          const { generation } = (await world.facts.tag(world.keyOf("v1")))!;
          const other = content.seed({ repo: REPO }).top.digest as Digest;
          await world.facts.moveTag(world.keyOf("v1"), { digest: other, at: 3, reason: "push" }, generation);
        },
        "v1 moved failed",
      ],
    ] as const) {
      await world.facts.releaseTag(world.keyOf("v1"));
      content.seed({ repo: REPO, tag: "v1" });
      let isFirst = true;
      const report = await world.sync(entryOf(), {
        progress: ({ images }) => {
          if (images[0]?.step === "copying" && isFirst) {
            isFirst = false;
            void meanwhile();
          }
        },
      });
      expect(outcomes(report.tags)).toEqual([end]);
    }
  });
});

describe("a delay", () => {
  it("is counted from when upstream was first heard to say so, and anew when it says something else", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const entry = entryOf({ delay: 7 * DAY });
    const plan = async () => (await world.check(entry)).tags.map(({ change }) => change).join();
    const old = content.seed({ repo: REPO, tag: "v1" });
    expect(await plan()).toBe("young");
    world.pass(6 * DAY);
    expect((await world.sync(entry)).tags).toMatchObject([
      { change: "young", outcome: "skipped", why: expect.stringMatching(/until \d{4}-\d\d-\d\dT\d\d:\d\dZ$/) as string },
    ]);
    world.pass(DAY);
    expect(await plan()).toBe("missing");
    await world.sync(entry);
    expect(await world.tagOf("v1")).toBe(old.top.digest);
    content.seed({ repo: REPO, tag: "v1" });
    expect(await plan()).toBe("young");
    world.pass(6 * DAY);
    content.seed({ repo: REPO, tag: "v1" });
    expect(await plan()).toBe("young");
    // a clock that was put back makes nothing older
    world.pass(-90 * DAY);
    expect(await plan()).toBe("young");
    world.pass(8 * DAY);
    expect(await plan()).toBe("moved");
  });

  it.each([
    ["2026-11-01T00:00:00Z", "missing"],
    ["2026-11-22T00:00:00Z", "young"],
    ["2030-01-01T00:00:00Z", "young"],
    // what is built to be reproducible has no date
    ["1970-01-01T00:00:00Z", "young"],
    ["yesterday", "young"],
  ])("does not keep from what is not there yet an image of %s: %s", async (created, change) => {
    const world = await mirrored();
    const { content } = world.upstream;
    const config = content.putBlob(REPO, Buffer.from(JSON.stringify({ architecture: "amd64", os: "linux", created })));
    content.putManifest(REPO, "v1", {
      config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: config.digest, size: config.bytes.length },
      layers: [],
    });
    expect((await world.check(entryOf({ delay: 7 * DAY }))).tags.map((tag) => tag.change)).toEqual([change]);
  });
});

describe("a selection", () => {
  it("brings the newest alone, and lets go of what they have taken the place of", async () => {
    const world = await mirrored();
    const { content } = world.upstream;
    const entry = entryOf({ tags: { only: [], except: [], semver: ">=1", newest: 2 } });
    for (const tag of ["1.0.0", "1.1.0", "1.2.0"]) content.seed({ repo: REPO, tag });
    expect(outcomes((await world.sync(entry)).tags)).toEqual(["1.2.0 missing done", "1.1.0 missing done"]);
    content.seed({ repo: REPO, tag: "1.3.0" });
    await world.sync(entry);
    expect(await world.facts.mirroring.kept(world.keyOf("1.1.0"))).toEqual([]);
    expect(await world.facts.mirroring.kept(world.keyOf("1.2.0"))).toHaveLength(1);
    content.deleteTag(REPO, "1.2.0");
    const gone = await world.sync(entry);
    expect(outcomes(gone.tags)).toEqual(["1.3.0 same skipped", "1.1.0 incomplete done", "1.2.0 gone skipped"]);
    expect(gone.isGood).toBe(true);
    expect(await world.tagOf("1.2.0")).toBeDefined();
    expect(await world.engine.letGoUncovered(writes([entry]))).toEqual({ tags: 0, names: 0 });
    expect(await world.engine.countUncovered(writes([]))).toBe(3);
    expect(await world.engine.letGoUncovered(writes([]))).toEqual({ tags: 3, names: 0 });
    expect(await world.facts.mirroring.keptTags({ limit: 9 })).toEqual([]);
  });

  it("that upstream says nothing new of is as young as that answer, for whoever looks at its tags", async () => {
    const world = await mirrored();
    world.upstream.content.seed({ repo: REPO, tag: "v1" });
    await world.sync();
    const checked = async () => (await world.facts.tag(world.keyOf("v1")))!.checkedAt;
    const before = await checked();
    world.pass(DAY);
    await world.check();
    expect(await checked()).toBe(before);
    await world.sync(entryOf(), { missingOnly: true });
    expect(await checked()).toBe(before);
    expect(outcomes((await world.sync()).tags)).toEqual(["v1 same skipped"]);
    expect(await checked()).toBe(before + DAY);
    // a write that has gone by since is not forgotten by a question from before it
    world.pass(DAY);
    world.upstream.fault(/manifests\/v1/, () => void world.facts.raiseTag(world.keyOf("v1")), 1);
    await world.sync();
    expect(await world.facts.tag(world.keyOf("v1"))).toMatchObject({ checkedAt: before + DAY, doubted: true });
  });

  it("of what is missing asks about nothing else", async () => {
    const world = await mirrored();
    world.upstream.content.seed({ repo: REPO, tag: "v1" });
    await world.sync();
    world.upstream.content.seed({ repo: REPO, tag: "v1" });
    world.upstream.content.seed({ repo: REPO, tag: "v2" });
    world.upstream.clear();
    expect(outcomes((await world.sync(entryOf(), { missingOnly: true })).tags)).toEqual(["v2 missing done"]);
    expect(world.upstream.count(/manifests\/v1/)).toBe(0);
  });
});
