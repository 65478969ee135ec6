// Whatever happens at once (downloads that break off, are left, resumed or overflow, outages, evictions, time, questions behind clients):
// who may not read a repository never has anything of it, by no operation and under no other repository's name.
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Tag } from "../../src/oci/reference.ts";
import { StoreFull } from "../../src/store/blobs.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { painted } from "../lib/pattern.ts";
import { inPieces } from "../lib/pieces.ts";
import { blob, context, HOUR, MINUTE, manifest, POLICY, stack } from "./stack.ts";

const SIZE = 60_000;
const LAYER = painted(1, SIZE);
const [ANN, BOB, EVE] = ["Basic ann", "Basic bob", "Basic eve"];
const STRANGERS = [BOB, EVE, undefined];

const world = (tears: readonly number[]) => {
  const blobs = memoryBlobs();
  const made = stack({ policy: { ...POLICY, staleWhileRevalidate: HOUR } }, blobs, { parkFor: 20 });
  const { upstream } = made;
  upstream.repo("ann/app", { readers: [ANN] });
  upstream.repo("bob/app", { readers: [BOB] });
  upstream.repo("pub/app", { isPublic: true });
  const layer = upstream.blob("ann/app", LAYER);
  const image = upstream.manifest("ann/app", "v1", { layers: [{ digest: layer, size: SIZE }] });
  // the forger names what he may not have
  upstream.manifest("bob/app", "v1", { layers: [{ digest: layer, size: SIZE }], subject: { digest: image } });
  upstream.manifest("pub/app", "v1", { layers: [{ digest: layer, size: SIZE }], annotations: { forged: "too" } });
  let nth = 0;
  upstream.bodyOf = (bytes) => {
    const cut = tears[nth % Math.max(1, tears.length)] ?? bytes.length;
    nth += 1;
    return inPieces(bytes, 3_001, Math.min(cut, bytes.length));
  };
  const before = { ...blobs };
  const setFull = (isFull: boolean) => {
    const none = () => Promise.reject(new StoreFull("no room"));
    Object.assign(blobs, isFull ? { fill: none, stage: none } : before);
  };
  return { ...made, layer, image, setFull };
};
type Made = ReturnType<typeof world>;

const REPOS = ["ann/app", "bob/app", "pub/app"] as const;
const question = fc.record({
  who: fc.constantFrom(ANN, ANN, ...STRANGERS),
  repo: fc.constantFrom(...REPOS),
  operation: fc.constantFrom(
    "getBlob",
    "getBlob",
    "statBlob",
    "getManifest",
    "statManifest",
    "listTags",
    "listReferrers",
    "refresh",
  ),
  byTag: fc.boolean(),
  range: fc.option(fc.nat(SIZE - 1), { nil: undefined }),
  leaves: fc.constantFrom(false, false, "before", "after"),
});
type Question = typeof question extends fc.Arbitrary<infer T> ? T : never;
const event = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant("ask" as const), question }) },
  fc.record({ kind: fc.constant("evict" as const), what: fc.constantFrom("layer" as const, "image" as const) }),
  fc.record({ kind: fc.constant("outage" as const), isOut: fc.boolean(), isKnown: fc.boolean() }),
  fc.record({ kind: fc.constant("full" as const), isFull: fc.boolean() }),
  fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(2 * MINUTE, HOUR, 25 * HOUR, -HOUR) }),
);
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never;

/** What somebody was given, in words; `undefined`: nothing. Only what is of `ann/app` counts. */
const given = async (made: Made, { who, repo, operation, byTag, range, leaves }: Question): Promise<string | undefined> => {
  const { registry, layer, image } = made;
  const gone = new AbortController();
  const ctx = context(who, [], gone.signal);
  const reference = byTag ? "v1" : image;
  const isOfAnn = repo === "ann/app" || !byTag;
  const work = async (): Promise<unknown> => {
    if (operation === "getBlob") {
      const { body } = await registry.getBlob(blob(repo, layer, range === undefined ? undefined : { start: range }), ctx);
      if (leaves === "after") return void body.destroy();
      return Buffer.concat((await body.toArray()) as Buffer[]).length;
    }
    if (operation === "statBlob") return registry.statBlob(blob(repo, layer), ctx);
    if (operation === "listTags")
      return repo === "ann/app" ? registry.listTags({ repo: blob(repo, layer).repo }, ctx) : undefined;
    if (operation === "listReferrers")
      return repo === "ann/app" ? registry.listReferrers({ repo: blob(repo, layer).repo, digest: image }, ctx) : undefined;
    if (operation === "refresh") return registry.refresh(manifest(repo, "v1").repo, "v1" as Tag, ctx);
    const answer = await registry[operation](manifest(repo, reference), ctx);
    return isOfAnn || answer.descriptor.digest === image ? answer.descriptor.digest : undefined;
  };
  const answer = work().catch(() => undefined);
  if (leaves === "before") for (let n = 0; n < 3; n += 1) await turn();
  if (leaves === "before") gone.abort(new Error("left"));
  const value = await answer;
  if (value === undefined || (operation === "refresh" && repo !== "ann/app")) return undefined;
  return `${who ?? "nobody"} ${operation} ${repo} ${reference}: ${JSON.stringify(value)}`;
};

const happen = async (made: Made, one: Event): Promise<string | undefined> => {
  if (one.kind === "ask") {
    const got = await given(made, one.question);
    return one.question.who === ANN && one.question.repo === "ann/app" ? undefined : got;
  }
  if (one.kind === "evict") await made.blobs.delete(made[one.what]);
  if (one.kind === "full") made.setFull(one.isFull);
  if (one.kind === "pass") made.pass(one.ms);
  if (one.kind === "outage") {
    if (one.isOut) made.cut();
    else made.upstream.failure = undefined;
    made.setUp(!(one.isOut && one.isKnown));
  }
  return undefined;
};

describe("a stranger", () => {
  it("never has anything of a repository that he may not read", { timeout: 60_000 }, async () => {
    const plan = fc.record({
      tears: fc.array(fc.integer({ min: SIZE / 6, max: SIZE }), { maxLength: 3 }),
      events: fc.array(fc.tuple(event, fc.nat(4)), { minLength: 5, maxLength: 30 }),
    });
    await fc.assert(
      fc.asyncProperty(plan, async ({ tears, events }) => {
        const made = world(tears);
        const under: Promise<string | undefined>[] = [];
        for (const [one, turns] of events) {
          under.push(happen(made, one));
          for (let n = 0; n < turns; n += 1) await turn();
        }
        expect((await Promise.all(under)).filter((got) => got !== undefined)).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
