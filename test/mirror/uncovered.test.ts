// A list that has lost entries: what was kept for them goes, later, and not when the list was put right meanwhile.
import { expect, it } from "vitest";
import { Turns } from "../../src/lib/turns.ts";
import { hostedTarget } from "../../src/mirror/hosted-target.ts";
import { Uncovered } from "../../src/mirror/uncovered.ts";
import { writes } from "../../src/mirrors/covers.ts";
import type { Digest } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import { keeping, logged } from "../store/keeping.ts";
import { entryOf, REPO, SITE, tagsOnly } from "./entry.ts";
import { mirrored } from "./mirrored.ts";

const HOUR = 3_600_000;
const HOSTED = "images.example";

it.each([
  ["without it", [entryOf({ name: "other", source: { site: SITE, repo: "acme/other" } })], 24],
  ["that is empty", [], 7 * 24],
])("goes by a list %s after hours, told before and after", async (_what, entries, hours) => {
  let [now, gone] = [0, 0];
  const { log, lines } = logged();
  const letGo = async () => {
    gone += 1;
    return { tags: 3, names: 0 };
  };
  const uncovered = new Uncovered({ count: async () => 3, letGo, now: () => now, log });
  await uncovered.follow(entries);
  expect(lines).toEqual([expect.stringMatching(/^warn .*no entry covers/)]);
  now = hours * HOUR - 1;
  await uncovered.look();
  // whoever changes it again has as long again
  await uncovered.follow(entries);
  now += hours * HOUR - 1;
  await uncovered.look();
  expect(gone).toBe(0);
  now += 1;
  await uncovered.look();
  await uncovered.look();
  expect([gone, lines.at(-1)]).toEqual([1, expect.stringMatching(/^info .*no entry covers/)]);
});

it("does nothing by a list that covers all", async () => {
  const { log, lines } = logged();
  const letGo = () => Promise.reject(new Error("nothing is to go"));
  const uncovered = new Uncovered({ count: async () => 0, letGo, now: () => Number.MAX_VALUE, log });
  await uncovered.follow([]);
  expect([uncovered.isDue, await uncovered.look(), lines]).toEqual([false, undefined, []]);
});

it("takes backup names with it, but for those of an image that another entry's tag has stood for, and leaves the tags", async () => {
  const world = await mirrored();
  const [one, two] = ["v1", "v2"].map((tag) =>
    entryOf({ name: tag, tags: tagsOnly(tag), backup: "{{tag}}-{{run}}", keep: { count: 5, for: undefined } }),
  );
  const { content } = world.upstream;
  const seed = () => content.seed({ repo: REPO, tag: "v1" }).top;
  const shared = seed();
  content.putManifest(REPO, "v2", JSON.parse(shared.bytes.toString()) as object);
  await world.sync(one, { run: "1" });
  await world.sync(two, { run: "1" });
  content.seed({ repo: REPO, tag: "v2" });
  const own = seed();
  await world.sync(one, { run: "2" });
  await world.sync(two, { run: "2" });
  const last = seed();
  await world.sync(one, { run: "3" });
  expect(await world.engine.countUncovered(writes([two!]))).toBe(1);
  expect(await world.engine.letGoUncovered(writes([two!]))).toEqual({ tags: 1, names: 1 });
  expect(await Promise.all(["v1", "v1-2", "v1-3", "v2-2"].map(world.tagOf))).toEqual([
    last.digest,
    shared.digest,
    undefined,
    shared.digest,
  ]);
  expect(await world.holdsAll([own.digest])).toBe(true);
  expect(await world.engine.letGoUncovered(writes([]))).toEqual({ tags: 1, names: 2 });
  expect(await Promise.all(["v1-2", "v2-2"].map(world.tagOf))).toEqual([undefined, undefined]);
});

it("leaves a hosted site with what only that needed, and with the tags of its signatures", async () => {
  const kept = await keeping();
  const turns = new Turns<Repository>();
  const repo = "base/app" as Repository;
  const world = await mirrored({
    kept,
    targetOf: ({ flights, clock }) =>
      hostedTarget({
        ...{ site: HOSTED, blobs: kept.blobs, facts: kept.facts, flights, clock },
        inTurn: (name, work) => turns.take(name, work),
      }),
  });
  const { content } = world.upstream;
  const entry = entryOf({ target: { site: HOSTED, repo }, backup: "{{tag}}-{{run}}" });
  const signed = () => {
    const image = content.seed({ repo: REPO, tag: "v1" }).top;
    const signature = content.seed({ repo: REPO, tag: `${image.digest.replace(":", "-")}.sig` }).top;
    return { image: image.digest, tag: `${image.digest.replace(":", "-")}.sig`, signature: signature.digest };
  };
  const old = signed();
  await world.sync(entry, { run: "1" });
  const fresh = signed();
  await world.sync(entry, { run: "2" });
  const tagOf = async (tag: string) => (await kept.facts.tag({ site: HOSTED, repo, tag: tag as Tag }))?.digest;
  const isHosted = async (digest: string) =>
    (await kept.facts.link({ site: HOSTED, repo, digest: digest as Digest })) !== undefined;
  expect(await Promise.all([tagOf("v1-2"), tagOf(old.tag), tagOf(fresh.tag)])).toEqual([
    old.image,
    old.signature,
    fresh.signature,
  ]);
  expect(await world.engine.letGoUncovered(writes([]))).toEqual({ tags: 1, names: 1 });
  expect(await Promise.all([tagOf("v1"), tagOf("v1-2"), tagOf(old.tag), tagOf(fresh.tag)])).toEqual([
    fresh.image,
    undefined,
    undefined,
    fresh.signature,
  ]);
  expect(await Promise.all([old.image, old.signature, fresh.image, fresh.signature].map(isHosted))).toEqual([
    false,
    false,
    true,
    true,
  ]);
});
