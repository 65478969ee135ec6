// What is kept, what is judged and what names can be, whatever the histories, clocks and templates are.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { judge, toDo } from "../../src/mirror/judge.ts";
import type { Change } from "../../src/mirror/outcome.ts";
import { toLetGo } from "../../src/mirror/retention.ts";
import { backupName, mayBeBackupOf } from "../../src/mirrors/backup.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { isTag } from "../../src/oci/reference.ts";
import type { TagMove } from "../../src/store/facts.ts";

const DIGESTS = Array.from({ length: 6 }, (_, n) => digestOf(Buffer.from(String(n))));
const digest = fc.constantFrom(...DIGESTS);
const time = fc.integer({ min: 0, max: 1_000 });
const keep = fc.record({ count: fc.nat(5), for: fc.option(fc.nat(800), { nil: undefined }) });

/** Moves in their order, as a tag makes them, by a clock that may be turned; and what is kept for it. */
const histories = fc.record({
  stands: fc.array(fc.tuple(digest, time), { maxLength: 20 }).map(withoutRepeats),
  abandoned: fc.subarray(DIGESTS),
  wanted: fc.option(digest, { nil: undefined }),
  keep,
  at: time,
});

function withoutRepeats(stands: [Digest, number][]): [Digest, number][] {
  return stands.filter(([one], i) => i === 0 || stands[i - 1]![0] !== one);
}

const caseOf = ({ stands, abandoned, ...rest }: typeof histories extends fc.Arbitrary<infer T> ? T : never) => {
  const history = stands.map(([one, at]): TagMove => ({ digest: one, at, reason: "sync" })).toReversed();
  const roots = new Set([...stands.map(([one]) => one), ...abandoned]);
  return { ...rest, history, isCut: false, current: history[0]?.digest, kept: [...roots].map((root) => ({ root, at: 0 })) };
};

describe("what was replaced", () => {
  it("goes by count and age, and never what the tag is or is to be", () => {
    fc.assert(
      fc.property(histories, (given) => {
        const asked = caseOf(given);
        const gone = new Set(toLetGo(asked));
        expect(gone.has(asked.current!)).toBe(false);
        expect(gone.has(asked.wanted!)).toBe(false);
        // the model: digests by when they were last left, the newest first
        const left: Digest[] = [];
        const leftAt = new Map<Digest, number>();
        for (const [i, { digest: one }] of asked.history.entries()) {
          if (one === undefined || one === asked.current || one === asked.wanted || left.includes(one)) continue;
          left.push(one);
          leftAt.set(one, asked.history[i - 1]!.at);
        }
        for (const { root } of asked.kept) {
          if (root === asked.current || root === asked.wanted) continue;
          const place = left.indexOf(root);
          const isOld = asked.keep.for !== undefined && asked.at - leftAt.get(root)! > asked.keep.for;
          expect(gone.has(root)).toBe(place === -1 || place >= asked.keep.count || isOld);
        }
      }),
    );
  });

  it("is let go once, and never believed to be nobody's where its history was not read to the end", () => {
    fc.assert(
      fc.property(histories, (given) => {
        const asked = caseOf(given);
        const gone = new Set(toLetGo(asked));
        expect(toLetGo({ ...asked, kept: asked.kept.filter(({ root }) => !gone.has(root)) })).toEqual([]);
        const many = { ...asked, isCut: true, keep: { count: 99, for: undefined } };
        expect(toLetGo(many)).toEqual([]);
      }),
    );
  });
});

describe("a backup's name", () => {
  const piece = fc.oneof(
    fc.constantFrom("{{tag}}", "{{date}}", "{{time}}", "{{digest}}", "{{run}}", "{{ tag }}"),
    fc.stringMatching(/^[\w.-]{0,8}$/),
  );
  const template = fc.array(piece, { minLength: 1, maxLength: 5 }).map((pieces) => pieces.join(""));
  const tag = fc.stringMatching(/^\w[\w.-]{0,40}$/);
  const values = fc.record({ tag, now: fc.integer({ min: 0, max: 4e12 }), digest, run: fc.string({ maxLength: 60 }) });

  it("is known again, however often it was taken", () => {
    fc.assert(
      fc.property(template, values, fc.integer({ min: 1, max: 100 }), (text, given, nth) => {
        const name = backupName(text, given, nth);
        expect(isTag(name)).toBe(true);
        expect(mayBeBackupOf(text, given.tag)(name)).toBe(true);
        expect(mayBeBackupOf(undefined, given.tag)(name)).toBe(true);
      }),
    );
  });

  it.each([
    ["{{tag}}.{{date}}", "v2.20261123"],
    ["{{tag}}.{{date}}", "v1.2026112"],
    ["{{tag}}.{{date}}", "v1x20261123"],
    ["old-{{digest}}", "old-zz"],
    ["{{tag}}.{{date}}", "v1.20261123-"],
  ])("of %s for v1 is not %s", (text, name) => expect(mayBeBackupOf(text, "v1")(name)).toBe(false));
});

describe("a tag", () => {
  it("is the same, held, young, missing or moved, and nothing else", () => {
    const held = fc.record({ digest, heldBy: fc.constantFrom("pin", "rollback", "backup") });
    const now = fc.option(fc.oneof(fc.record({ digest }), held), { nil: undefined });
    const one = fc.record({
      ...{ now, upstream: digest, isWhole: fc.boolean(), isPinned: fc.boolean(), delay: fc.nat(500), at: time },
      ...{ seenSince: fc.option(time, { nil: undefined }), created: fc.option(time, { nil: undefined }) },
    });
    fc.assert(
      fc.property(one, (given) => {
        const { change, dueAt } = judge(given);
        const isSame = given.now?.digest === given.upstream;
        expect(change === "same" || change === "incomplete").toBe(isSame);
        if (isSame) expect(change).toBe(given.isWhole ? "same" : "incomplete");
        if (isSame) return;
        expect(change === "held").toBe(given.now !== undefined && ("heldBy" in given.now || given.isPinned));
        if (change === "young") expect(dueAt).toBeGreaterThan(given.at);
        const since = Math.min(given.seenSince ?? given.at, given.now === undefined ? (given.created ?? 1e9) : 1e9);
        const isOld = given.delay === 0 || since + given.delay <= given.at;
        if (change !== "held") expect(change).toBe(!isOld ? "young" : given.now === undefined ? "missing" : "moved");
      }),
    );
  });

  it("that is missing comes before those that have moved, and these before those that lack something", () => {
    const changes: Change[] = ["incomplete", "gone", "moved", "same", "missing", "held", "moved", "young", "missing"];
    const tags = changes.map((change, n) => ({ change, n }));
    expect(toDo(tags, false).map(({ n }) => n)).toEqual([4, 8, 2, 6, 0]);
    expect(toDo(tags, true).map(({ n }) => n)).toEqual([4, 8]);
  });
});
