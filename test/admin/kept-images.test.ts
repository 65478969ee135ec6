// What `cache rm` leaves of what a mirror keeps: all of it while an entry covers it, and afterwards nothing that another tag may go back to.
import { expect, it } from "vitest";
import { storeOperations } from "../../src/app-store.ts";
import { silent } from "../../src/lib/log.ts";
import { LiveMirrors } from "../../src/mirrors/live.ts";
import { siteTable } from "../../src/sites.ts";
import { entryOf, REPO, SITE, tagsOnly } from "../mirror/entry.ts";
import { mirrored } from "../mirror/mirrored.ts";
import { quiet } from "../suites/operations.ts";

const at = (reference: string) => `${SITE}/${REPO}${reference}`;

const synced = async () => {
  const world = await mirrored();
  const { content } = world.upstream;
  const one = content.seed({ repo: REPO, tag: "v1", index: true });
  await world.sync();
  const two = content.seed({ repo: REPO, tag: "v1" });
  content.seed({ repo: REPO, tag: "v2" });
  await world.sync();
  await world.upstream.stop();
  const live = new LiveMirrors([entryOf()]);
  const operations = storeOperations({ sites: siteTable([world.site]), kept: world.store, log: silent, mirrored: live });
  return { world, live, operations, one, two };
};

it("what is mirrored is not forgotten, nor what may come back by a rollback, nor a part of either", async () => {
  const { operations, one, two } = await synced();
  const before = await operations.list({}, quiet);
  for (const name of ["", ":v1", one.top, one.manifest, one.layers[0]!, two.config].map((of) =>
    typeof of === "string" ? of : `@${of.digest}`,
  ))
    await expect(operations.remove({ reference: at(name) }, quiet)).rejects.toMatchObject({
      code: "HELD",
      message: expect.stringMatching(/app mirrors registry\.example\/acme\/app:v[12].*off the mirror's list/) as string,
    });
  expect(await operations.list({}, quiet)).toEqual(before);
  expect(await operations.tagRollback({ reference: at(":v1") }, quiet)).toMatchObject({ to: one.top.digest, missingCount: 0 });
});

it("what no entry covers any more is, and with it what was kept for it", async () => {
  const { world, live, operations, one } = await synced();
  live.take([entryOf({ tags: tagsOnly("v2") })]);
  await operations.remove({ reference: at(":v1") }, quiet);
  expect(await world.facts.mirroring.kept(world.keyOf("v1"))).toEqual([]);
  await operations.remove({ reference: at(`@${one.top.digest}`) }, quiet);
  expect(await world.holdsAll([one.layers[0]!.digest])).toBe(false);
  await expect(operations.remove({ reference: at("") }, quiet)).rejects.toMatchObject({ code: "HELD" });
});

it("a tag that is none of the mirror's is, and leaves what it shares with what is kept or pinned", async () => {
  const { world, live, operations, one } = await synced();
  live.take([entryOf({ tags: tagsOnly("v1") })]);
  for (const [tag, { digest }] of [
    ["alias", one.top],
    ["amd64", one.manifest],
  ] as const)
    await world.facts.moveTag(world.keyOf(tag), { digest: digest as never, at: 1, reason: "pull" }, 0);
  for (const tag of [":alias", ":amd64"])
    expect(await operations.remove({ reference: at(tag) }, quiet)).toMatchObject({ tagCount: 1, links: 0 });
  expect(await operations.tagRollback({ reference: at(":v1") }, quiet)).toMatchObject({ to: one.top.digest, missingCount: 0 });
});
