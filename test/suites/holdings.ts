// What every fact store must know of what is held, and how people look through it.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import type { FactStore, TagKey } from "../../src/store/facts.ts";
import type { NewHolding } from "../../src/store/holdings.ts";

const named = (text: string): Digest => digestOf(Buffer.from(text));
const sorted = (texts: readonly string[]) => [...texts].sort();
const plain = (text: string, at = 1, size = 10): NewHolding => ({ digest: named(text), size, at });
const SITE = "s.example";
const repo = (name: string) => name as Repository;

/** All pages of `limit`, one after the other. */
const every = async <Row, Cursor>(
  page: (after: Cursor | undefined) => Promise<Row[]>,
  cursorOf: (row: Row) => Cursor,
): Promise<Row[]> => {
  const rows: Row[] = [];
  for (let after: Cursor | undefined; ; after = cursorOf(rows.at(-1)!)) {
    const more = await page(after);
    rows.push(...more);
    if (more.length === 0) return rows;
  }
};

export const holdingsSuite = (name: string, make: () => Promise<FactStore>): void => {
  describe(`${name}: holdings`, () => {
    it("are added once, and released once", async () => {
      const { holdings } = await make();
      await holdings.hold(plain("a", 5));
      await holdings.hold(plain("a", 9));
      expect(await holdings.holding(named("a"))).toEqual({
        digest: named("a"),
        size: 10,
        addedAt: 5,
        usedAt: 5,
        isManifest: false,
      });
      expect(await holdings.totals()).toEqual({ count: 1, bytes: 10 });
      expect(await holdings.release(named("a"))).toBe(true);
      expect(await holdings.release(named("a"))).toBe(false);
      expect(await holdings.holding(named("a"))).toBeUndefined();
      expect(await holdings.totals()).toEqual({ count: 0, bytes: 0 });
    });

    it("can turn out to be manifests, and stay so", async () => {
      const { holdings } = await make();
      await holdings.hold(plain("m"));
      await holdings.hold({ ...plain("m"), parts: [named("a"), named("a")] });
      await holdings.hold(plain("m"));
      expect(await holdings.holding(named("m"))).toMatchObject({ isManifest: true });
      expect(await holdings.neededBy(named("a"), 9)).toEqual([named("m")]);
    });

    it("are used later, never earlier, and only while they are held", async () => {
      const { holdings } = await make();
      await holdings.hold(plain("a", 5));
      await holdings.used(new Map([[named("a"), 9]]));
      await holdings.used([
        [named("a"), 7],
        [named("b"), 7],
      ]);
      expect(await holdings.holding(named("a"))).toMatchObject({ addedAt: 5, usedAt: 9 });
      expect(await holdings.totals()).toMatchObject({ count: 1 });
    });

    it("are used when they are, though a clock that was wrong has said otherwise", async () => {
      const { holdings } = await make();
      const [now, year] = [Date.UTC(2026, 0), 365 * 86_400_000];
      for (const name of ["a", "b"]) await holdings.hold(plain(name, now + year));
      await holdings.used([[named("a"), now]]);
      expect(await holdings.holding(named("a"))).toMatchObject({ usedAt: now });
      expect((await holdings.idle(undefined, 9)).map(({ digest }) => digest)).toEqual([named("a"), named("b")]);
    });

    it("go by use, a manifest before its parts, and a part only after the last that needs it", async () => {
      const { holdings } = await make();
      const idle = async () => (await holdings.idle(undefined, 99)).map(({ digest }) => digest);
      await holdings.hold({ ...plain("one", 3), parts: [named("shared"), named("own")] });
      await holdings.hold(plain("own", 1));
      await holdings.hold(plain("shared", 1));
      await holdings.hold({ ...plain("two", 2), parts: [named("shared"), named("not held")] });
      expect(await idle()).toEqual([named("two"), named("one")]);
      expect(await holdings.heldParts(named("one"))).toEqual(sorted([named("own"), named("shared")]));
      expect(await holdings.heldParts(named("two"))).toEqual([named("shared")]);
      expect(await holdings.neededBy(named("shared"), 1)).toHaveLength(1);
      expect(await holdings.releaseIdle(named("shared"))).toBe(false);
      expect(await holdings.releaseIdle(named("two"))).toBe(true);
      expect(await idle()).toEqual([named("one")]);
      await holdings.release(named("one"));
      expect(await idle()).toEqual(sorted([named("own"), named("shared")]));
      // what is held again needs its parts again
      await holdings.hold({ ...plain("one", 4), parts: [named("shared"), named("own")] });
      expect(await idle()).toEqual([named("one")]);
    });

    it("add up, and are idle exactly when no held manifest names them, whatever came and went", async () => {
      const names = ["a", "b", "c", "d"];
      const parts = fc.subarray(names).map((some) => some.map(named));
      const holding = fc.record({ text: fc.constantFrom(...names), at: fc.nat(5), parts: fc.option(parts, { nil: undefined }) });
      const step = fc.oneof(holding, fc.constantFrom(...names));
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          const facts = await make();
          const { holdings, inventory } = facts;
          for (const does of steps) {
            if (typeof does === "string") await holdings.release(named(does));
            else
              await holdings.hold({ ...plain(does.text, does.at), ...(does.parts === undefined ? {} : { parts: does.parts }) });
          }
          const held = (await inventory.byDigest({ limit: 99 })).map(({ digest }) => digest);
          const needs = await Promise.all(held.map((digest) => holdings.heldParts(digest)));
          expect(await holdings.totals()).toEqual({ count: held.length, bytes: held.length * 10 });
          expect(sorted((await holdings.idle(undefined, 99)).map(({ digest }) => digest))).toEqual(
            held.filter((digest) => !needs.flat().includes(digest)),
          );
          await facts.close();
        }),
        { numRuns: 30 },
      );
    });
  });

  describe(`${name}: inventory`, () => {
    const filled = async () => {
      const facts = await make();
      const tag = async (of: string, text: string, at: string | undefined, site = SITE) => {
        const move = { digest: at === undefined ? undefined : named(at), at: 7, reason: "pull" } as const;
        await facts.moveTag({ site, repo: repo(of), tag: text as Tag }, move, 0);
      };
      const link = (of: string, text: string, mediaType?: string, site = SITE) =>
        facts.addLink({ site, repo: repo(of), digest: named(text) }, { mediaType });
      for (const holding of [plain("m", 3), plain("x", 2, 5), plain("y", 1)]) await facts.holdings.hold(holding);
      await tag("acme/app", "v1", "m");
      await tag("acme/app", "v2", "gone");
      await tag("acme/app", "v3", undefined);
      await tag("only/tags", "v1", "m");
      for (const text of ["m", "x", "z"]) await link("acme/app", text, text === "m" ? "t/m" : undefined);
      await link("acme", "x");
      await link("acme", "x", undefined, "t.example");
      return facts;
    };

    it("names sites and repositories, and counts", async () => {
      const { inventory } = await filled();
      expect(await inventory.sites()).toEqual([SITE, "t.example"]);
      const all = await every(
        (after: Repository | undefined) => inventory.repositories(SITE, { after, limit: 1 }),
        (row) => row.repo,
      );
      expect(all).toEqual([
        { repo: "acme", tags: 0, links: 1, held: 1, bytes: 5 },
        { repo: "acme/app", tags: 2, links: 3, held: 2, bytes: 15 },
        { repo: "only/tags", tags: 1, links: 0, held: 0, bytes: 0 },
      ]);
      expect(await inventory.repositories(SITE, { limit: 9 })).toEqual(all);
      expect(await inventory.repositories("u.example", { limit: 9 })).toEqual([]);
    });

    it("lists tags and links, and whether they are held", async () => {
      const { inventory } = await filled();
      const tags = await every(
        (after: Tag | undefined) => inventory.tags(SITE, repo("acme/app"), { after, limit: 1 }),
        (row) => row.tag,
      );
      const fact = { checkedAt: 7, generation: 0, doubted: false };
      expect(tags).toEqual([
        { ...fact, tag: "v1", digest: named("m"), isHeld: true },
        { ...fact, tag: "v2", digest: named("gone"), isHeld: false },
      ]);
      const links = await every(
        (after: Digest | undefined) => inventory.links(SITE, repo("acme/app"), { after, limit: 2 }),
        (row) => row.digest,
      );
      const size = (text: string) => ({ m: 10, x: 5, z: undefined })[text];
      const expected = ["m", "x", "z"].map((text) => ({
        digest: named(text),
        mediaType: text === "m" ? "t/m" : undefined,
        size: size(text),
      }));
      expect(links).toEqual(expected.sort((a, b) => (a.digest < b.digest ? -1 : 1)));
    });

    it("knows who holds a digest, and which tags stand for it", async () => {
      const { inventory } = await filled();
      const linkers = await every(
        (after: { site: string; repo: Repository } | undefined) => inventory.linkers(named("x"), { after, limit: 2 }),
        ({ site, repo: of }) => ({ site, repo: of }),
      );
      expect(linkers.map((linker) => `${linker.site}/${linker.repo}`)).toEqual([
        `${SITE}/acme`,
        `${SITE}/acme/app`,
        "t.example/acme",
      ]);
      expect((await inventory.tagsOf(named("m"), { limit: 9 })).map((key) => `${key.repo}:${key.tag}`)).toEqual([
        "acme/app:v1",
        "only/tags:v1",
      ]);
      const paged = await every(
        (after: TagKey | undefined) => inventory.tagsOf(named("m"), { after, limit: 1 }),
        (key) => key,
      );
      expect(paged).toEqual(await inventory.tagsOf(named("m"), { limit: 9 }));
    });

    it("lists what is held by digest", async () => {
      const { inventory } = await filled();
      const digests = sorted(["m", "x", "y"].map(named)) as Digest[];
      expect((await inventory.byDigest({ limit: 9 }, digests[1])).map(({ digest }) => digest)).toEqual(digests.slice(0, 2));
      expect((await inventory.byDigest({ after: digests[1], limit: 9 })).map(({ digest }) => digest)).toEqual(digests.slice(2));
    });

    it("finds links to what is not held", async () => {
      const { inventory } = await filled();
      const first = await inventory.looseLinks({ limit: 3 });
      const second = await inventory.looseLinks({ after: first.next, limit: 3 });
      expect([...first.loose, ...second.loose]).toEqual([{ site: SITE, repo: "acme/app", digest: named("z") }]);
      expect(second.next).toBeUndefined();
    });

    it("forgets listings by age", async () => {
      const facts = await make();
      const listing = { mediaType: "a/b", bytes: Buffer.of(1), filtersApplied: undefined };
      for (const [key, checkedAt] of [
        ["old", 1],
        ["new", 9],
      ] as const)
        await facts.putListing({ site: SITE, repo: repo("acme"), key }, { ...listing, checkedAt });
      expect(await facts.sweepListings(5, true)).toBe(1);
      expect(await facts.listing({ site: SITE, repo: repo("acme"), key: "old" })).toBeDefined();
      expect(await facts.sweepListings(5)).toBe(1);
      expect(await facts.listing({ site: SITE, repo: repo("acme"), key: "old" })).toBeUndefined();
      expect(await facts.listing({ site: SITE, repo: repo("acme"), key: "new" })).toBeDefined();
      for (const other of ["acme/app", "acm"]) await facts.removeListings(SITE, repo(other));
      expect(await facts.listing({ site: SITE, repo: repo("acme"), key: "new" })).toBeDefined();
      await facts.removeListings(SITE, repo("acme"));
      expect(await facts.listing({ site: SITE, repo: repo("acme"), key: "new" })).toBeUndefined();
    });
  });
};
