// What every fact store must do: atomic intentions, and nothing lost that was said to be kept.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import { type FactStore, MAX_PINGS } from "../../src/store/facts.ts";

const A = digestOf(Buffer.from("a"));
const B = digestOf(Buffer.from("b"));
const REPO = "acme/app" as Repository;
const KEY = { site: "s.example", repo: REPO, tag: "v1" as Tag };
const LINK = { site: "s.example", repo: REPO, digest: A };

export const factStoreSuite = (name: string, make: () => Promise<FactStore>): void => {
  describe(`${name}: tags`, () => {
    it("move against the generation that was read, and only against it", async () => {
      const facts = await make();
      expect(await facts.tag(KEY)).toBeUndefined();
      expect(await facts.moveTag(KEY, { digest: A, at: 10, reason: "pull" }, 0)).toBe(true);
      expect(await facts.tag(KEY)).toEqual({ digest: A, checkedAt: 10, generation: 0, doubted: false });
      expect(await facts.raiseTag(KEY)).toBe(1);
      expect(await facts.moveTag(KEY, { digest: B, at: 20, reason: "pull" }, 0)).toBe(false);
      expect(await facts.tag(KEY)).toEqual({ digest: A, checkedAt: 10, generation: 1, doubted: true });
      expect(await facts.moveTag(KEY, { digest: B, at: 30, reason: "pull" }, 1)).toBe(true);
      expect(await facts.tag(KEY)).toEqual({ digest: B, checkedAt: 30, generation: 1, doubted: false });
    });

    it("that nobody knows can be raised, and then belong to that generation", async () => {
      const facts = await make();
      expect(await facts.raiseTag(KEY)).toBe(1);
      expect(await facts.tag(KEY)).toMatchObject({ digest: undefined, generation: 1, doubted: true });
      expect(await facts.moveTag(KEY, { digest: A, at: 1, reason: "pull" }, 0)).toBe(false);
    });

    it("are touched only by who asked about this digest in this generation", async () => {
      const facts = await make();
      await facts.moveTag(KEY, { digest: A, at: 10, reason: "pull" }, 0);
      await facts.touchTag(KEY, B, 20, 0);
      await facts.touchTag(KEY, A, 20, 7);
      expect((await facts.tag(KEY))?.checkedAt).toBe(10);
      await facts.raiseTag(KEY);
      await facts.touchTag(KEY, A, 30, 0);
      expect(await facts.tag(KEY)).toMatchObject({ checkedAt: 10, doubted: true });
      await facts.touchTag(KEY, A, 40, 1);
      expect(await facts.tag(KEY)).toMatchObject({ checkedAt: 40, doubted: false });
    });

    it("keep every move as history, newest first, and no move that moves nothing", async () => {
      const facts = await make();
      await facts.moveTag(KEY, { digest: A, at: 1, reason: "pull" }, 0);
      await facts.moveTag(KEY, { digest: A, at: 2, reason: "pull" }, 0);
      await facts.moveTag(KEY, { digest: B, at: 3, reason: "sync" }, 0);
      await facts.moveTag(KEY, { digest: undefined, at: 4, reason: "push" }, 0);
      expect(await facts.tagHistory(KEY, 10)).toEqual([
        { digest: undefined, at: 4, reason: "push" },
        { digest: B, at: 3, reason: "sync" },
        { digest: A, at: 1, reason: "pull" },
      ]);
      expect((await facts.tagHistory(KEY, 1)).length).toBe(1);
      expect((await facts.tag(KEY))?.digest).toBeUndefined();
    });

    it("moved by two at once move once", async () => {
      const facts = await make();
      await facts.raiseTag(KEY);
      const moves = [A, B].map(async (digest) => {
        const moved = await facts.moveTag(KEY, { digest, at: 1, reason: "pull" }, 1);
        await facts.raiseTag(KEY);
        return moved;
      });
      expect((await Promise.all(moves)).filter(Boolean).length).toBeGreaterThanOrEqual(1);
      expect((await facts.tag(KEY))?.generation).toBe(3);
    });

    it("of other sites, repositories and names are others", async () => {
      const facts = await make();
      await facts.moveTag(KEY, { digest: A, at: 1, reason: "pull" }, 0);
      for (const other of [{ site: "t.example" }, { repo: "acme" as Repository }, { tag: "V1" as Tag }]) {
        expect(await facts.tag({ ...KEY, ...other })).toBeUndefined();
      }
    });
  });

  describe(`${name}: links`, () => {
    it("say that a repository holds a digest, and as what", async () => {
      const facts = await make();
      expect(await facts.link(LINK)).toBeUndefined();
      await facts.addLink(LINK, { mediaType: undefined });
      expect(await facts.link(LINK)).toEqual({ mediaType: undefined });
      await facts.addLink(LINK, { mediaType: "a/b" });
      await facts.addLink(LINK, { mediaType: undefined });
      expect(await facts.link(LINK)).toEqual({ mediaType: "a/b" });
      expect(await facts.link({ ...LINK, repo: "other" as Repository })).toBeUndefined();
      await facts.removeLink(LINK);
      expect(await facts.link(LINK)).toBeUndefined();
    });
  });

  describe(`${name}: grants`, () => {
    const grant = (subject: string, grantedAt: number) => ({
      site: "s.example",
      repo: REPO,
      subject,
      grantedAt,
      expiresAt: grantedAt + 5,
    });

    it("are kept in batches, ended one by one, and swept by age", async () => {
      const facts = await make();
      await facts.putGrants([grant("x", 10), grant("y", 20)]);
      await facts.putGrants([grant("x", 30)]);
      expect(await facts.grant({ site: "s.example", repo: REPO, subject: "x" })).toEqual(grant("x", 30));
      expect(await facts.anyGrant("s.example", "y", 20)).toBe(true);
      expect(await facts.anyGrant("s.example", "y", 21)).toBe(false);
      expect(await facts.anyGrant("t.example", "y", 0)).toBe(false);
      await facts.putGrants([grant("", 20)]);
      expect(await facts.sweepGrants(25)).toBe(1);
      // everybody's: one a repository, for whom nobody can ask again
      expect(await facts.grant({ site: "s.example", repo: REPO, subject: "" })).toEqual(grant("", 20));
      expect(await facts.grant({ site: "s.example", repo: REPO, subject: "y" })).toBeUndefined();
      await facts.removeGrant({ site: "s.example", repo: REPO, subject: "x" });
      expect(await facts.grant({ site: "s.example", repo: REPO, subject: "x" })).toBeUndefined();
    });
  });

  describe(`${name}: grants of odd tokens`, () => {
    it("spoil no batch: a time that is none is brought to one", async () => {
      const facts = await make();
      const key = { site: "s.example", repo: REPO };
      await facts.putGrants([
        { ...key, subject: "fraction", grantedAt: 10.5, expiresAt: 1_700_000_000_123.4 },
        { ...key, subject: "past", grantedAt: 10, expiresAt: -1e300 },
        { ...key, subject: "plain", grantedAt: 10, expiresAt: 20 },
        { ...key, subject: "never", grantedAt: 10, expiresAt: Number.POSITIVE_INFINITY },
      ]);
      expect(await facts.grant({ ...key, subject: "fraction" })).toMatchObject({ grantedAt: 10, expiresAt: 1_700_000_000_123 });
      expect(await facts.grant({ ...key, subject: "past" })).toMatchObject({ expiresAt: 0 });
      expect(await facts.grant({ ...key, subject: "plain" })).toMatchObject({ expiresAt: 20 });
      expect(await facts.grant({ ...key, subject: "never" })).toMatchObject({ expiresAt: Number.MAX_SAFE_INTEGER });
    });
  });

  describe(`${name}: a store that is closed`, () => {
    it("can be closed again", async () => {
      const facts = await make();
      await facts.raiseTag(KEY);
      await facts.close();
      await facts.close();
    });
  });

  describe(`${name}: documents and pings`, () => {
    it("come back as they were, whatever is in them and in their keys", async () => {
      const facts = await make();
      const text = fc.string({ unit: "grapheme" });
      const document = fc.record({
        key: text,
        mediaType: text,
        bytes: fc.uint8Array(),
        filtersApplied: fc.option(text, { nil: undefined }),
      });
      await fc.assert(
        fc.asyncProperty(document, text, async ({ key, bytes, ...rest }, site) => {
          const listing = { ...rest, bytes: Buffer.from(bytes), checkedAt: 1 };
          await facts.putListing({ site, repo: REPO, key }, listing);
          expect(await facts.listing({ site, repo: REPO, key })).toEqual(listing);
        }),
      );
    });

    it("come back as they were", async () => {
      const facts = await make();
      const key = { site: "s.example", repo: REPO, key: "tags" };
      const listing = {
        mediaType: "application/json",
        bytes: Buffer.from([0, 255, 10]),
        filtersApplied: undefined,
        checkedAt: 7,
      };
      await facts.putListing(key, listing);
      await facts.putListing(key, { ...listing, filtersApplied: "artifactType" });
      expect(await facts.listing(key)).toEqual({ ...listing, filtersApplied: "artifactType" });
      expect(await facts.listing({ ...key, key: "other" })).toBeUndefined();
      const ping = { status: 401, challenges: ['Bearer realm="x",scope="a,b"', "Basic"], at: 9 };
      await facts.putPing("s.example", ping);
      expect(await facts.ping("s.example")).toEqual(ping);
      expect(await facts.ping("t.example")).toBeUndefined();
    });

    it("remembers so many pings, the latest", async () => {
      const facts = await make();
      const at = 1_000_000;
      for (let i = 0; i < MAX_PINGS + 3; i += 1)
        await facts.putPing(`${i}.example`, { status: 200, challenges: [], at: i === 0 ? at * 2 : at + i });
      await facts.putPing("old.example", { status: 200, challenges: [], at: 1 });
      const known = await Promise.all(["0", "1", "2", "3", "4", "5", "old"].map((name) => facts.ping(`${name}.example`)));
      expect(known.map((ping) => ping !== undefined)).toEqual([true, false, false, false, false, true, true]);
    });
  });
};
