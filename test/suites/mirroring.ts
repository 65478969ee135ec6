// What every fact store must know for the managed mirror: what is held by a word or kept does not make way, and nothing moves what is held.
import { describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import type { FactStore } from "../../src/store/facts.ts";

const named = (text: string): Digest => digestOf(Buffer.from(text));
const [A, B, C] = [named("a"), named("b"), named("c")];
const KEY = { site: "s.example", repo: "acme/app" as Repository, tag: "v1" as Tag };
const OTHER = { ...KEY, tag: "v2" as Tag };

const hold = (facts: FactStore, digest: Digest) => facts.holdings.hold({ digest, size: 10, at: 1 });
const idle = async ({ holdings }: FactStore) => (await holdings.idle(undefined, 99)).map(({ digest }) => digest).toSorted();
const sorted = (...digests: Digest[]) => digests.toSorted();

export const mirroringSuite = (name: string, make: () => Promise<FactStore>): void => {
  describe(`${name}: held tags`, () => {
    it("stay what they are, whoever moves them, until they are released", async () => {
      const facts = await make();
      await facts.moveTag(KEY, { digest: A, at: 1, reason: "pull", created: 0 }, 0);
      await facts.moveTag(KEY, { digest: B, at: 2, reason: "sync", created: 7 }, 0);
      await facts.holdTag(KEY, { digest: A, at: 3, kind: "rollback" });
      expect(await facts.tag(KEY)).toEqual({
        ...{ digest: A, checkedAt: 3, generation: 1, doubted: false },
        hold: { kind: "rollback", since: 3 },
      });
      for (const digest of [B, undefined]) expect(await facts.moveTag(KEY, { digest, at: 4, reason: "sync" }, 1)).toBe(false);
      expect(await facts.raiseTag(KEY)).toBe(2);
      expect(await facts.moveTag(KEY, { digest: B, at: 5, reason: "push" }, 2)).toBe(false);
      expect(await facts.tag(KEY)).toMatchObject({ digest: A, hold: { kind: "rollback", since: 3 } });
      expect(await facts.releaseTag(KEY)).toEqual({ kind: "rollback", since: 3 });
      expect(await facts.releaseTag(KEY)).toBeUndefined();
      expect(await facts.tag(KEY)).toEqual({ digest: A, checkedAt: 3, generation: 2, doubted: true });
      expect(await facts.moveTag(KEY, { digest: B, at: 6, reason: "sync" }, 2)).toBe(true);
      expect(await facts.tagHistory(KEY, 9)).toEqual([
        { digest: B, at: 6, reason: "sync" },
        { digest: A, at: 3, reason: "rollback" },
        { digest: B, at: 2, reason: "sync", created: 7 },
        { digest: A, at: 1, reason: "pull", created: 0 },
      ]);
    });

    it("need not have been known, and outdate every question that was asked before", async () => {
      const facts = await make();
      await facts.holdTag(KEY, { digest: A, at: 3, kind: "backup", created: 5 });
      expect(await facts.moveTag(KEY, { digest: B, at: 4, reason: "pull" }, 0)).toBe(false);
      await facts.releaseTag(KEY);
      expect(await facts.moveTag(KEY, { digest: B, at: 4, reason: "pull" }, 0)).toBe(false);
      await facts.holdTag(KEY, { digest: A, at: 5, kind: "pin" });
      expect(await facts.tagHistory(KEY, 9)).toEqual([{ digest: A, at: 3, reason: "backup", created: 5 }]);
      expect(await facts.inventory.tags(KEY.site, KEY.repo, { limit: 9 })).toMatchObject([{ hold: { kind: "pin", since: 5 } }]);
    });

    it("are given only to what is free, where that is wished", async () => {
      const facts = await make();
      await facts.moveTag(KEY, { digest: A, at: 1, reason: "pull" }, 0);
      const backup = { digest: B, at: 2, kind: "backup", onlyFree: true } as const;
      expect(await facts.holdTag(KEY, backup)).toBe(false);
      expect(await facts.tag(KEY)).toEqual({ digest: A, checkedAt: 1, generation: 0, doubted: false });
      await facts.moveTag(KEY, { digest: undefined, at: 1, reason: "delete" }, 0);
      expect(await facts.holdTag(KEY, backup)).toBe(true);
      expect(await facts.holdTag(KEY, { ...backup, digest: A })).toBe(false);
      expect(await facts.tag(KEY)).toMatchObject({ digest: B, hold: { kind: "backup", since: 2 } });
    });

    it("that are names of backups expire in one step, and no others do", async () => {
      const facts = await make();
      await hold(facts, A);
      expect(await facts.expireTag(KEY, 1)).toBe(false);
      await facts.holdTag(KEY, { digest: A, at: 1, kind: "pin" });
      expect(await facts.expireTag(KEY, 2)).toBe(false);
      await facts.holdTag(KEY, { digest: A, at: 3, kind: "backup" });
      const { generation } = (await facts.tag(KEY))!;
      expect(await facts.expireTag(KEY, 4)).toBe(true);
      expect(await idle(facts)).toEqual([A]);
      expect(await facts.tagHistory(KEY, 1)).toEqual([{ digest: undefined, at: 4, reason: "expire" }]);
      // what was asked before says nothing of it
      expect(await facts.moveTag(KEY, { digest: B, at: 5, reason: "pull" }, generation)).toBe(false);
      expect(await facts.tag(KEY)).toEqual({ digest: undefined, checkedAt: 4, generation: generation + 1, doubted: false });
    });

    it("are counted by what holds them", async () => {
      const facts = await make();
      expect(await facts.inventory.heldTags()).toEqual({ pin: 0, rollback: 0, backup: 0 });
      await facts.moveTag(KEY, { digest: A, at: 1, reason: "pull" }, 0);
      await facts.holdTag(KEY, { digest: A, at: 1, kind: "pin" });
      await facts.holdTag(OTHER, { digest: B, at: 1, kind: "pin" });
      expect(await facts.inventory.heldTags()).toEqual({ pin: 2, rollback: 0, backup: 0 });
      await facts.holdTag(OTHER, { digest: A, at: 2, kind: "backup" });
      await facts.releaseTag(KEY);
      expect(await facts.inventory.heldTags()).toEqual({ pin: 0, rollback: 0, backup: 1 });
    });

    it("keep what they stand for, whether it comes before the word or after it", async () => {
      const facts = await make();
      await hold(facts, A);
      await facts.holdTag(KEY, { digest: A, at: 1, kind: "pin" });
      await facts.holdTag(OTHER, { digest: B, at: 1, kind: "pin" });
      await hold(facts, B);
      expect(await idle(facts)).toEqual([]);
      expect(await facts.holdings.releaseIdle(A)).toBe(false);
      await facts.holdTag(KEY, { digest: B, at: 2, kind: "rollback" });
      expect(await idle(facts)).toEqual([A]);
      await facts.releaseTag(KEY);
      expect(await idle(facts)).toEqual([A]);
      await facts.releaseTag(OTHER);
      expect(await idle(facts)).toEqual(sorted(A, B));
    });
  });

  describe(`${name}: what is kept`, () => {
    it("does not make way for as long as any tag needs it", async () => {
      const facts = await make();
      const { mirroring } = facts;
      await hold(facts, A);
      await mirroring.keep(KEY, A, [A, B], 5);
      await mirroring.keep(KEY, A, [B, A], 6);
      await mirroring.keep(OTHER, A, [A], 7);
      await hold(facts, B);
      await hold(facts, C);
      expect(await idle(facts)).toEqual([C]);
      expect(await mirroring.kept(KEY)).toEqual([{ root: A, at: 5, digests: sorted(A, B) }]);
      expect(await mirroring.letGo(KEY, A)).toBe(true);
      expect(await mirroring.letGo(KEY, A)).toBe(false);
      expect(await idle(facts)).toEqual(sorted(B, C));
      await mirroring.letGo(OTHER, A);
      expect(await idle(facts)).toEqual(sorted(A, B, C));
    });

    it("is listed newest first, and by tags in pages", async () => {
      const { mirroring } = await make();
      await mirroring.keep(KEY, A, [A], 5);
      await mirroring.keep(KEY, B, [B, C], 9);
      await mirroring.keep(OTHER, A, [A], 1);
      expect((await mirroring.kept(KEY)).map(({ root, at }) => ({ root, at }))).toEqual([
        { root: B, at: 9 },
        { root: A, at: 5 },
      ]);
      expect(await mirroring.keptTags({ limit: 1 })).toEqual([KEY]);
      expect(await mirroring.keptTags({ after: KEY, limit: 9 })).toEqual([OTHER]);
      expect(await mirroring.kept({ ...KEY, site: "t.example" })).toEqual([]);
    });

    it("is found by its digest, in its own repository", async () => {
      const { mirroring } = await make();
      await mirroring.keep(KEY, A, [A, C], 5);
      await mirroring.keep(KEY, B, [B, C], 9);
      const { site, repo, tag } = KEY;
      const roots = sorted(A, B).map((root) => ({ tag, root }));
      expect(await mirroring.keptFor({ site, repo, digest: C })).toEqual(roots);
      expect(await mirroring.keptFor({ site, repo, digest: A })).toEqual([{ tag, root: A }]);
      expect(await mirroring.keptFor({ site: "t.example", repo, digest: C })).toEqual([]);
      await mirroring.letGo(KEY, A);
      expect(await mirroring.keptFor({ site, repo, digest: C })).toEqual([{ tag, root: B }]);
    });
  });

  describe(`${name}: what a sync goes by`, () => {
    it("knows since when upstream has said the same", async () => {
      const { mirroring } = await make();
      expect(await mirroring.sighted(KEY, A, 10)).toBe(10);
      expect(await mirroring.sighted(KEY, A, 20)).toBe(10);
      expect(await mirroring.sighted(OTHER, A, 25)).toBe(25);
      expect(await mirroring.sighted(KEY, B, 30)).toBe(30);
      expect(await mirroring.sighted(KEY, A, 40)).toBe(40);
      // a clock that was ahead has been put right: from now on, rather than from a time to come
      expect(await mirroring.sighted(KEY, A, 35)).toBe(35);
    });

    it("remembers the last run of an entry, and the last good one", async () => {
      const { mirroring } = await make();
      const run = (startedAt: number, isGood: boolean) => ({
        startedAt,
        endedAt: startedAt + 1,
        isGood,
        report: `{"at":${startedAt}}`,
      });
      expect(await mirroring.runs("node")).toEqual({ last: undefined, lastGood: undefined });
      await mirroring.putRun("node", run(1, true));
      await mirroring.putRun("node", run(2, false));
      expect(await mirroring.runs("node")).toEqual({ last: run(2, false), lastGood: run(1, true) });
      await mirroring.putRun("node", run(3, true));
      expect(await mirroring.runs("node")).toEqual({ last: run(3, true), lastGood: run(3, true) });
      // a clock that was ahead has been put right
      await mirroring.putRun("node", run(1, false));
      expect(await mirroring.runs("node")).toEqual({ last: run(1, false), lastGood: run(3, true) });
      await mirroring.putRun("node", run(0, true));
      expect(await mirroring.runs("node")).toEqual({ last: run(0, true), lastGood: run(0, true) });
      await mirroring.putRun("other", run(4, false));
      await mirroring.keepRuns(["other"]);
      expect(await mirroring.runs("node")).toEqual({ last: undefined, lastGood: undefined });
      expect((await mirroring.runs("other")).last).toEqual(run(4, false));
    });
  });
};
