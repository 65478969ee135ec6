// A read and a write at once: wherever in the read the write falls, what is answered was true at some moment of the read,
// and whoever reads afterwards has what was written.
import fc from "fast-check";
import { describe, expect, it, vi } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import { isOciError } from "../../src/oci/error.ts";
import { parseRepository, type Tag } from "../../src/oci/reference.ts";
import type { Context } from "../../src/oci/registry.ts";
import { context, HOUR, manifest, stack } from "./stack.ts";
import { writer } from "./writer.ts";

const ALICE = "Basic YWxpY2U6YQ==";
const REPO = "alice/app";
const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";

type World = ReturnType<typeof stack>;

/** Everything that a read asks of others, before and after each question. */
const QUESTIONS = [
  ["facts", ["tag", "link", "touchTag", "moveTag", "addLink", "grant"]],
  ["blobs", ["readAll", "stat", "stage"]],
  ["upstream", ["getManifest", "statManifest"]],
] as const;

/** Does `write` at the nth moment of what follows. */
const interrupting = (world: World, nth: number, write: () => Promise<void>) => {
  let moments = 0;
  let isWriting = false;
  const moment = async () => {
    if (isWriting) return;
    moments += 1;
    if (moments - 1 !== nth) return;
    isWriting = true;
    await write();
    isWriting = false;
  };
  for (const [part, names] of QUESTIONS) {
    const target = world[part] as unknown as Record<string, (...args: unknown[]) => unknown>;
    for (const name of names) {
      const real = target[name]?.bind(target);
      if (real === undefined) continue;
      vi.spyOn(target, name).mockImplementation(async (...args) => {
        await moment();
        const answer = await real(...args);
        await moment();
        return answer;
      });
    }
  }
  return { moments: () => moments };
};

const prepared = async (isKnown = true) => {
  const world = stack();
  const { upstream, registry } = world;
  upstream.repo(REPO, { readers: [ALICE] });
  const old = upstream.manifest(REPO, "v1", { layers: [], annotations: { version: "old" } });
  const { write } = writer(world);
  /** Its bytes are kept, so that the tag moves with it; `back` is awaited between upstream's taking and its answer. */
  const push = (version = "new", back: () => Promise<unknown> = () => Promise.resolve()) => {
    const content = { layers: [], annotations: { version } };
    const body = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_MANIFEST, ...content }));
    return write("PUT", `/v2/${REPO}/manifests/v1`, {
      body: [body],
      mediaType: OCI_MANIFEST,
      async send() {
        upstream.manifest(REPO, "v1", content);
        await back();
        return { status: 201, digest: digestOf(body) };
      },
    });
  };
  const remove = async () => {
    await write("DELETE", `/v2/${REPO}/manifests/${old}`, {
      async send() {
        upstream.repo(REPO).manifests.delete(old);
        upstream.repo(REPO).tags.delete("v1");
        return { status: 202 };
      },
    });
  };
  if (isKnown) await registry.getManifest(manifest(REPO, "v1"), context(ALICE));
  const ways: Record<string, (ctx: Context) => Promise<{ descriptor: { digest: string } }>> = {
    "GET by tag": (ctx) => registry.getManifest(manifest(REPO, "v1"), ctx),
    "HEAD by tag": (ctx) => registry.statManifest(manifest(REPO, "v1"), ctx),
    "GET by digest": (ctx) => registry.getManifest(manifest(REPO, old), ctx),
    "HEAD by digest": (ctx) => registry.statManifest(manifest(REPO, old), ctx),
  };
  const answerOf = (way: string): Promise<string> =>
    ways[way]!(context(ALICE)).then(
      ({ descriptor }) => descriptor.digest,
      (error: unknown) => (isOciError(error) ? error.code : String(error)),
    );
  const tagKey = { site: world.site.host, repo: parseRepository(REPO), tag: "v1" as Tag };
  return { ...world, old, push, remove, answerOf, tagKey };
};

/** What a read answers with the write at its nth moment, and what the same read says next; `undefined` past its last moment. */
const raced = async (way: string, what: "push" | "remove", age: number, nth: number) => {
  const world = await prepared();
  world.pass(age);
  const { moments } = interrupting(world, nth, () => world[what]());
  const during = await world.answerOf(way);
  if (moments() <= nth) return undefined;
  vi.restoreAllMocks();
  return { old: world.old as string, during, after: await world.answerOf(way) };
};

const AGES = { fresh: 0, "due for a question": HOUR / 2, "long unused": 2 * HOUR };

describe.each(Object.entries(AGES))("of what is %s", (_age, age) => {
  it.each(["GET by tag", "HEAD by tag"])("%s beside a push is the old or the new, and the new ever after", async (way) => {
    let moments = 0;
    for (; moments < 60; moments += 1) {
      const answers = await raced(way, "push", age, moments);
      if (answers === undefined) break;
      const { old, during, after } = answers;
      expect(during, `at ${moments}`).toMatch(/^sha256:/);
      expect(after, `after ${moments}`).not.toBe(old);
      expect([old, after], `at ${moments}`).toContain(during);
      if (moments === 0) expect(during).toBe(after);
    }
    expect(moments).toBeGreaterThan(1);
  });

  it.each(["GET by tag", "HEAD by tag", "GET by digest", "HEAD by digest"])(
    "%s beside a delete is the old or gone",
    async (way) => {
      let moments = 0;
      for (; moments < 60; moments += 1) {
        const answers = await raced(way, "remove", age, moments);
        if (answers === undefined) break;
        const { old, during, after } = answers;
        expect([old, "MANIFEST_UNKNOWN"], `at ${moments}`).toContain(during);
        if (moments === 0 && way.startsWith("GET")) expect(during).toBe("MANIFEST_UNKNOWN");
        // upstream's yes from before the delete may be noted after it: to us that is a thing gone that `onGone` keeps
        if (after !== "MANIFEST_UNKNOWN")
          expect({ during, isAsked: age > 0 }, `after ${moments}`).toEqual({ during: old, isAsked: true });
      }
      expect(moments).toBeGreaterThan(1);
    },
  );
});

describe("two pushes of one tag", () => {
  const turns = async (count: number) => {
    for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };

  it("at once: whichever upstream took last is what is served, with whatever was asked meanwhile", {
    timeout: 60_000,
  }, async () => {
    const timing = fc.record({ begins: fc.nat(8), back: fc.nat(8) });
    const asker = fc.record({ begins: fc.nat(16), way: fc.constantFrom("GET by tag", "HEAD by tag") });
    await fc.assert(
      fc.asyncProperty(
        timing,
        timing,
        fc.array(asker, { maxLength: 4 }),
        fc.boolean(),
        async (first, second, askers, isKnown) => {
          const { push, answerOf, upstream, old, facts, tagKey } = await prepared(isKnown);
          const pushing = [first, second].map(async ({ begins, back }, nth) => {
            await turns(begins);
            await push(`version ${nth}`, () => turns(back));
          });
          const asking = askers.map(async ({ begins, way }) => {
            await turns(begins);
            return answerOf(way);
          });
          await Promise.all([...pushing, ...asking]);
          const last = upstream.repo(REPO).tags.get("v1")!;
          expect(last).not.toBe(old);
          expect(await answerOf("GET by tag")).toBe(last);
          expect((await facts.tag(tagKey))?.digest).toBe(last);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("one after the other: the second is fresh at once, without a question", async () => {
    const { push, answerOf, upstream, facts, tagKey } = await prepared();
    await push("one");
    await push("two");
    const asked = upstream.asked.length;
    expect(await answerOf("GET by tag")).toBe(upstream.repo(REPO).tags.get("v1"));
    expect(upstream.asked.length).toBe(asked);
    expect((await facts.tagHistory(tagKey, 3)).map(({ reason }) => reason)).toEqual(["push", "push", "pull"]);
  });
});

describe("a delete by digest", () => {
  it("takes the digest from all of its tags here, however many it has here and elsewhere", async () => {
    const { facts, old, remove, tagKey } = await prepared();
    const move = { digest: old, at: 1, reason: "pull" } as const;
    for (let n = 0; n < 1_000; n += 1) await facts.moveTag({ ...tagKey, site: "a.example", tag: `t${n}` as Tag }, move, 0);
    for (let n = 0; n < 1_000; n += 1) await facts.moveTag({ ...tagKey, tag: `t${n}` as Tag }, move, 0);
    await remove();
    expect((await facts.tag(tagKey))?.digest).toBeUndefined();
    expect((await facts.tag({ ...tagKey, tag: "t999" as Tag }))?.digest).toBeUndefined();
    expect((await facts.tag({ ...tagKey, site: "a.example", tag: "t1" as Tag }))?.digest).toBe(old);
  });
});
