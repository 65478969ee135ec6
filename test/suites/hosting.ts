// What every fact store must know of what is hosted: nothing of it may go, and nothing is there that was not put there whole.
import { describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import type { FactStore } from "../../src/store/facts.ts";

const named = (text: string): Digest => digestOf(Buffer.from(text));
const SITE = "images.example";
const APP = "acme/app" as Repository;
const OTHER = "acme/other" as Repository;
const TYPE = "application/vnd.oci.image.manifest.v1+json";
const key = (text: string, repo = APP, site = SITE) => ({ site, repo, digest: named(text) });

const hold = (facts: FactStore, text: string, parts?: readonly string[]) =>
  facts.holdings.hold({ digest: named(text), size: 10, at: 1, ...(parts && { parts: parts.map(named) }) });
const hostBlob = async (facts: FactStore, text: string, repo = APP, at = 1) => {
  await hold(facts, text);
  await facts.hosting.host(key(text, repo), { mediaType: undefined, at });
};
const hostManifest = async (facts: FactStore, text: string, parts: readonly string[], repo = APP) => {
  await hold(facts, text, parts);
  return facts.hosting.host(key(text, repo), { mediaType: TYPE, at: 1, needs: parts.map(named) });
};
const idle = async ({ holdings }: FactStore) => (await holdings.idle(undefined, 99)).map(({ digest }) => digest);

export const hostingSuite = (name: string, make: () => Promise<FactStore>): void => {
  describe(`${name}: what is hosted`, () => {
    it("may not go, whoever else lets go of it, until its owner does", async () => {
      const facts = await make();
      await hostBlob(facts, "a");
      await facts.addLink(key("a", APP, "mirror.example"), { mediaType: undefined });
      expect(await idle(facts)).toEqual([]);
      expect(await facts.holdings.releaseIdle(named("a"))).toBe(false);
      await facts.removeLink(key("a", APP, "mirror.example"));
      await facts.removeLink(key("a"));
      expect(await facts.link(key("a"))).toEqual({ mediaType: undefined, hostedAt: 1 });
      expect(await facts.holdings.releaseIdle(named("a"))).toBe(false);
      expect(await facts.hosting.isHosted(named("a"))).toBe(true);
      expect(await facts.hosting.unhost(key("a"))).toBe(true);
      expect(await facts.hosting.unhost(key("a"))).toBe(false);
      expect(await facts.link(key("a"))).toBeUndefined();
      expect(await idle(facts)).toEqual([named("a")]);
    });

    it("is nothing that had to make way before", async () => {
      const facts = await make();
      expect(await facts.hosting.host(key("a"), { mediaType: undefined, at: 1 })).toEqual([named("a")]);
      expect(await facts.link(key("a"))).toBeUndefined();
    });

    it("may not go when it was a mirror's before, or is held anew", async () => {
      const facts = await make();
      for (const text of ["a", "b"]) await hold(facts, text);
      await facts.addLink(key("a"), { mediaType: undefined });
      expect(await idle(facts)).toEqual([named("a"), named("b")].toSorted());
      for (const text of ["a", "b"]) await facts.hosting.host(key(text), { mediaType: undefined, at: 5 });
      expect(await idle(facts)).toEqual([]);
      await facts.holdings.release(named("b"));
      await hold(facts, "b");
      expect(await facts.holdings.releaseIdle(named("b"))).toBe(false);
    });

    it("is kept for each repository that has it", async () => {
      const facts = await make();
      await hostBlob(facts, "a");
      await hostBlob(facts, "a", OTHER);
      expect(await facts.hosting.holders(SITE, named("a"), { limit: 9 })).toEqual([APP, OTHER]);
      expect(await facts.hosting.holders("mirror.example", named("a"), { limit: 9 })).toEqual([]);
      await facts.hosting.unhost(key("a"));
      expect(await idle(facts)).toEqual([]);
      await facts.hosting.unhost(key("a", OTHER));
      expect(await idle(facts)).toEqual([named("a")]);
    });

    it("needs all that it names, in the same repository and held", async () => {
      const facts = await make();
      await hostBlob(facts, "elsewhere", OTHER);
      await hostBlob(facts, "here");
      await hostBlob(facts, "lost");
      await facts.holdings.release(named("lost"));
      await facts.addLink(key("mirrored"), { mediaType: undefined });
      expect(await hostManifest(facts, "m", ["here", "elsewhere", "lost", "mirrored"])).toEqual(
        ["elsewhere", "lost", "mirrored"].map(named),
      );
      expect(await facts.link(key("m"))).toBeUndefined();
      expect(await hostManifest(facts, "m", ["here"])).toEqual([]);
      expect(await facts.link(key("m"))).toEqual({ mediaType: TYPE, hostedAt: 1 });
      await facts.hosting.host(key("m"), { mediaType: undefined, at: 2 });
      expect(await facts.link(key("m"))).toMatchObject({ mediaType: TYPE });
    });

    it("is listed by repository and by tag, in pages, without what is only mirrored", async () => {
      const facts = await make();
      for (const repo of ["c", "a", "b"] as Repository[]) await hostManifest(facts, `m ${repo}`, [], repo);
      await hostBlob(facts, "only a blob", "d" as Repository);
      await facts.addLink(key("m", "e" as Repository), { mediaType: TYPE });
      const { hosting } = facts;
      expect(await hosting.repositories(SITE, { limit: 2 })).toEqual(["a", "b"]);
      expect(await hosting.repositories(SITE, { after: "b" as Repository, limit: 2 })).toEqual(["c"]);
      expect(await hosting.exists(SITE, "d" as Repository)).toBe(true);
      expect(await hosting.exists(SITE, "e" as Repository)).toBe(false);
      for (const [tag, text] of [
        ["v2", "m a"],
        ["v1", "m a"],
        ["gone", "nothing"],
      ] as const)
        await facts.moveTag(
          { site: SITE, repo: "a" as Repository, tag: tag as Tag },
          { digest: named(text), at: 1, reason: "push" },
          0,
        );
      expect(await hosting.tags(SITE, "a" as Repository, { limit: 9 })).toEqual(["v1", "v2"]);
      expect(await hosting.tags(SITE, "a" as Repository, { after: "v1" as Tag, limit: 9 })).toEqual(["v2"]);
    });

    it("is called by its tags, in pages", async () => {
      const facts = await make();
      for (const repo of [APP, OTHER]) await hostManifest(facts, "m", [], repo);
      const move = { digest: named("m"), at: 1, reason: "push" } as const;
      for (const tag of ["b", "c", "a"] as Tag[]) await facts.moveTag({ site: SITE, repo: APP, tag }, move, 0);
      await facts.moveTag({ site: SITE, repo: APP, tag: "other" as Tag }, { ...move, digest: named("n") }, 0);
      await facts.moveTag({ site: SITE, repo: OTHER, tag: "d" as Tag }, move, 0);
      expect(await facts.hosting.tagsOf(key("m"), { limit: 2 })).toEqual(["a", "b"]);
      expect(await facts.hosting.tagsOf(key("m"), { after: "b" as Tag, limit: 2 })).toEqual(["c"]);
    });

    it("refers to subjects for as long as it is there", async () => {
      const facts = await make();
      for (const [text, artifactType] of [
        ["r1", "sbom"],
        ["r2", "signature"],
        ["r3", "sbom"],
      ] as const) {
        await hold(facts, text);
        const referrer = { subject: named("s"), artifactType, descriptor: `{"name":"${text}"}` };
        await facts.hosting.host(key(text), { mediaType: TYPE, at: 1, referrer });
      }
      const subject = { site: SITE, repo: APP, subject: named("s") };
      const digests = async (query: object, page: object = { limit: 9 }) =>
        (await facts.hosting.referrers({ ...subject, ...query }, page as never)).map(({ digest }) => digest);
      const all = ["r1", "r2", "r3"].map(named).sort();
      expect(await digests({})).toEqual(all);
      expect(await digests({}, { after: all[0], limit: 1 })).toEqual([all[1]]);
      expect(await digests({ artifactType: "sbom" })).toEqual([named("r1"), named("r3")].sort());
      expect(await digests({ repo: OTHER })).toEqual([]);
      await facts.hosting.unhost(key("r2"));
      expect(await digests({})).toEqual([named("r1"), named("r3")].sort());
    });

    it("is unnamed as long as no manifest of its repository names it, and goes then when it is old and unused", async () => {
      const facts = await make();
      for (const text of ["named", "old", "used", "elsewhere"]) await hostBlob(facts, text);
      await hostBlob(facts, "young", APP, 50);
      await hostManifest(facts, "m", ["named"]);
      await hostBlob(facts, "elsewhere", OTHER);
      await hostManifest(facts, "n", ["elsewhere"], OTHER);
      await facts.holdings.used([[named("used"), 60]]);
      const { unnamed, next } = await facts.hosting.unnamed(40, { limit: 99 });
      expect([next, unnamed.map(({ digest }) => digest).sort()]).toEqual([undefined, ["old", "elsewhere"].map(named).sort()]);
      let seen = 0;
      for (let after: typeof next; ; seen += 1) {
        const page = await facts.hosting.unnamed(40, { after, limit: 2 });
        after = page.next;
        if (after === undefined) break;
      }
      expect(seen).toBe(4);
      expect(await facts.hosting.unhostUnnamed(key("named"), 40)).toBe(false);
      expect(await facts.hosting.unhostUnnamed(key("young"), 40)).toBe(false);
      expect(await facts.hosting.unhostUnnamed(key("used"), 40)).toBe(false);
      // of a manifest that is lost nobody can tell what it names
      await facts.holdings.release(named("m"));
      expect(await facts.hosting.unhostUnnamed(key("old"), 40)).toBe(false);
      await hold(facts, "m");
      expect(await facts.hosting.unhostUnnamed(key("old"), 40)).toBe(false);
      await hold(facts, "m", ["named"]);
      expect(await facts.hosting.unhostUnnamed(key("old"), 40)).toBe(true);
      expect(await facts.link(key("old"))).toBeUndefined();
    });
  });
};
