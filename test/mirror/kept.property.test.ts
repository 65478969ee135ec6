// Whatever is synced, moved, rolled back, forgotten, swept, collected and restarted: what is kept is whole without upstream, and a held tag
// never moves. Over the real store, a cap that is too small for all of it, and an upstream that forgets what none of its tags is.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AdminError } from "../../src/admin/error.ts";
import type { Operations } from "../../src/admin/operations.ts";
import { lookAt } from "../../src/admin/tags-whole.ts";
import { storeOperations } from "../../src/app-store.ts";
import { silent } from "../../src/lib/log.ts";
import { LiveMirrors } from "../../src/mirrors/live.ts";
import type { MirrorEntry } from "../../src/mirrors.ts";
import type { Digest } from "../../src/oci/digest.ts";
import { isOciError } from "../../src/oci/error.ts";
import type { Reference, Repository, Tag } from "../../src/oci/reference.ts";
import { siteTable } from "../../src/sites.ts";
import { status } from "../faults/behaviours.ts";
import { OCI_MANIFEST } from "../faults/content.ts";
import { type FaultUpstream, faultUpstream } from "../faults/upstream.ts";
import { context } from "../registry/stack.ts";
import { keeping, scratch } from "../store/keeping.ts";
import { quiet } from "../suites/operations.ts";
import { entryOf, REPO, SITE } from "./entry.ts";
import { mirrored } from "./mirrored.ts";

const CAP = 420_000;
const DAY = 24 * 3_600_000;
const TAGS = ["v1", "v2"];
const OTHER = "other/app" as Repository;
const IMAGES = 5;
const KEEP = 2;
const ENTRY = entryOf({
  ...{ backup: "{{tag}}.{{date}}", keep: { count: KEEP, for: 20 * DAY } },
  tags: { only: TAGS, except: [], semver: undefined, newest: undefined },
});

const body = (length: number, name: string) => Buffer.alloc(length, `${name} `);

/** Images that share a layer; some are indexes, some are signed. Their digests are the same in every world. */
const seed = ({ content }: FaultUpstream, repo: string, n: number): string => {
  const layers = [body(30_000, "base"), body(40_000, `layer ${n}`), body(500, `small ${n % 2}`)];
  const { top } = content.seed({ repo, layers, index: n % 2 === 0 });
  if (n % 3 !== 0) return top.digest;
  const payload = content.putBlob(repo, Buffer.from(`signature of ${n}`));
  content.putManifest(repo, undefined, {
    artifactType: "signature",
    config: { mediaType: "application/vnd.oci.empty.v1+json", digest: payload.digest, size: payload.bytes.length },
    layers: [],
    subject: { mediaType: OCI_MANIFEST, digest: top.digest, size: top.bytes.length },
  });
  return top.digest;
};

class Sut {
  readonly folder = scratch();
  readonly upstream: FaultUpstream;
  readonly digests: readonly string[];
  readonly live = new LiveMirrors([ENTRY]);
  /** By tag: what holds it there, as far as that was asked for. */
  readonly held = new Map<string, string>();
  /** No entry has covered them, or they were taken where none kept them, and no sync has looked at them since. */
  readonly unkept = new Set<string>();
  now = Date.UTC(2026, 10, 23);
  world!: Awaited<ReturnType<typeof mirrored>>;
  operations!: Pick<Operations, "remove" | "tagRollback" | "tagPin" | "tagUnpin" | "collect" | "verify">;

  constructor(upstream: FaultUpstream) {
    this.upstream = upstream;
    this.digests = Array.from({ length: IMAGES }, (_, n) => seed(upstream, REPO, n));
    for (let n = 0; n < IMAGES; n += 1) upstream.content.moveTag(OTHER, `t${n}`, seed(upstream, OTHER, n + 2));
  }

  async open(): Promise<void> {
    const clock = () => this.now;
    const kept = await keeping({ folder: this.folder, maxSize: CAP, clock, lockWait: 5_000 });
    await kept.reconciled;
    this.world = await mirrored({ kept, upstream: this.upstream, parts: { clock } });
    this.operations = storeOperations({ sites: siteTable([this.world.site]), kept, log: silent, mirrored: this.live });
  }

  async close(): Promise<void> {
    await this.world.flights.close();
    await this.world.store.close();
  }

  /** What may be refused, and for lack of what. */
  async attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (isOciError(error) || error instanceof AdminError) return false;
      throw error;
    }
  }

  async pull(repo: Repository, reference: Reference): Promise<void> {
    const { registry } = this.world;
    const { bytes } = await registry.getManifest({ repo, reference }, context());
    const { layers = [], manifests = [] } = JSON.parse(bytes.toString()) as Record<string, { digest: Digest }[]>;
    for (const { digest } of manifests) await this.pull(repo, digest);
    for (const { digest } of layers) {
      await (await registry.getBlob({ repo, digest }, context())).body.toArray();
      await this.world.flights.get(digest)?.done;
    }
  }

  async history(tag: string): Promise<string[]> {
    const moves = await this.world.facts.tagHistory(this.world.keyOf(tag), 999);
    return [...new Set(moves.flatMap(({ digest }) => (digest === undefined ? [] : [digest])))];
  }

  async check(): Promise<void> {
    const { facts, store, keyOf, site } = this.world;
    const isWhole = async (root: Digest) => (await lookAt({ blobs: store.disk, facts }, { site, repo: REPO }, root)).held;
    for (const { tag, digest, hold } of await facts.inventory.tags(SITE, REPO, { limit: 999 })) {
      if (hold === undefined) continue;
      expect({ tag, held: await isWhole(digest) }).toEqual({ tag, held: "whole" });
      if (hold.kind === "backup") this.held.set(tag, this.held.get(tag) ?? digest);
      expect({ tag, digest }).toEqual({ tag, digest: this.held.get(tag) });
    }
    for (const tag of TAGS) {
      const was = await this.history(tag);
      const now = await this.world.tagOf(tag);
      const kept = await facts.mirroring.kept(keyOf(tag));
      if (!this.unkept.has(tag)) expect(kept.map(({ root }) => root)).toContain(now);
      for (const { root, digests } of kept) {
        // what has not come to be the tag may be half there
        if (!was.includes(root)) continue;
        for (const digest of digests)
          expect({ tag, digest, held: await isWhole(digest) }).toEqual({ tag, digest, held: "whole" });
      }
    }
    this.#checkAccount();
  }

  /** Files are what they are called, the facts know them all, and who needs what is counted right. */
  #checkAccount(): void {
    const database = new DatabaseSync(join(this.folder, "facts.sqlite"), { readOnly: true });
    const wrong = database
      .prepare(
        `SELECT digest FROM holdings WHERE needed <> (SELECT count(*) FROM parts WHERE part = digest)
         + (SELECT count(*) FROM keeps WHERE keeps.digest = holdings.digest)
         + (SELECT count(*) FROM tags WHERE tags.digest = holdings.digest AND hold IS NOT NULL)`,
      )
      .all();
    const { bytes } = database.prepare("SELECT bytes FROM totals").get() as { bytes: number };
    database.close();
    expect(wrong).toEqual([]);
    const files = readdirSync(join(this.folder, "blobs"), { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
    const sizes = files.map((one) => statSync(join(one.parentPath, one.name)).size);
    expect(bytes).toBe(sizes.reduce((sum, size) => sum + size, 0));
  }
}

type Step = (sut: Sut) => Promise<unknown>;
const tag = fc.constantFrom(...TAGS);
const image = fc.nat(IMAGES - 1);
const follow = (sut: Sut, entries: readonly MirrorEntry[]) => {
  sut.live.take(entries);
  if (entries.length === 0) {
    for (const name of TAGS) sut.unkept.add(name);
    for (const name of [...sut.held.keys()].filter((held) => !TAGS.includes(held))) sut.held.delete(name);
  }
  return sut.world.engine.letGoUncovered((...name) => sut.live.covers(...name));
};

const synced = async (sut: Sut): Promise<void> => {
  if (sut.live.entries.length === 0) return;
  const { tags, expired } = await sut.world.sync(ENTRY);
  for (const { tag: name } of expired.map(({ tag: one }) => ({ tag: one }))) sut.held.delete(name);
  for (const { source, change, outcome, upstream: digest } of tags) {
    if (outcome === "done" || change === "same") sut.unkept.delete(source.tag);
    if (outcome !== "done" || sut.held.has(source.tag)) continue;
    expect(await sut.world.tagOf(source.tag)).toBe(digest);
  }
};

/** Each tag has something to go back to. */
const begun = async (sut: Sut): Promise<void> => {
  for (const offset of [0, 1, 2]) {
    for (const [n, name] of TAGS.entries()) sut.upstream.content.moveTag(REPO, name, sut.digests[(n + offset) % IMAGES]!);
    await synced(sut);
    sut.now += DAY;
  }
};

const steps: readonly (readonly [weight: number, name: string, step: fc.Arbitrary<Step>])[] = [
  [
    8,
    "move",
    fc.tuple(tag, image).map(
      ([name, n]) =>
        async ({ upstream }: Sut) =>
          upstream.content.moveTag(REPO, name, seed(upstream, REPO, n)),
    ),
  ],
  [
    2,
    "forget upstream",
    fc.constant(async ({ upstream, digests }: Sut) => {
      const { tags, manifests, blobs } = upstream.content.repo(REPO);
      manifests.clear();
      blobs.clear();
      for (const digest of tags.values()) seed(upstream, REPO, digests.indexOf(digest));
    }),
  ],
  [8, "sync", fc.constant(synced)],
  [
    2,
    "torn sync",
    fc.nat(6).map((n) => async (sut: Sut) => {
      let left = n;
      const lift = sut.upstream.fault(({ path }) => /\/(blobs|manifests)\//.test(path) && --left < 0, status(503));
      await synced(sut).finally(lift);
    }),
  ],
  [
    1,
    "delete",
    tag.map(
      (name) =>
        async ({ upstream }: Sut) =>
          upstream.content.deleteTag(REPO, name),
    ),
  ],
  [
    3,
    "rollback",
    fc.tuple(tag, fc.nat(4)).map(([name, n]) => async (sut: Sut) => {
      const kept = await sut.world.facts.mirroring.kept(sut.world.keyOf(name));
      const was = await sut.history(name);
      const to = was[n % Math.max(1, was.length)];
      // what it is already it may go on being, whatever of it is left
      if (to === undefined || to === (await sut.world.tagOf(name))) return;
      const isDone = await sut.attempt(() => sut.operations.tagRollback({ reference: `${SITE}/${REPO}:${name}`, to }, quiet));
      if (kept.some(({ root }) => root === to)) expect({ name, to, isDone }).toEqual({ name, to, isDone: true });
      if (isDone) sut.held.set(name, to);
      // it is held there, and nothing else keeps it
      if (isDone && !kept.some(({ root }) => root === to)) sut.unkept.add(name);
    }),
  ],
  [
    2,
    "unpin",
    tag.map((name) => async (sut: Sut) => {
      await sut.attempt(() => sut.operations.tagUnpin({ reference: `${SITE}/${REPO}:${name}` }, quiet));
      sut.held.delete(name);
    }),
  ],
  [4, "pull", image.map((n) => (sut: Sut) => sut.attempt(() => sut.pull(OTHER, `t${n}` as Tag)))],
  [2, "pull a digest", image.map((n) => (sut: Sut) => sut.attempt(() => sut.pull(REPO, sut.digests[n] as Digest)))],
  [1, "gc", fc.constant((sut: Sut) => sut.operations.collect({}, quiet))],
  [1, "expire", fc.constant((sut: Sut) => sut.world.store.sweep.expire(0))],
  [1, "verify", fc.constant(async (sut: Sut) => expect((await sut.operations.verify({}, quiet)).spoiltCount).toBe(0))],
  [
    3,
    "rm",
    fc.tuple(fc.constantFrom("v1", "v2", "v1.20261123", "", "digest", "other"), image).map(([what, n]) => (sut: Sut) => {
      const names: Record<string, string> = { "": "", digest: `@${sut.digests[n]}` };
      const reference = what === "other" ? `${SITE}/${OTHER}` : `${SITE}/${REPO}${names[what] ?? `:${what}`}`;
      return sut.attempt(() => sut.operations.remove({ reference }, quiet));
    }),
  ],
  [
    1,
    "restart",
    fc.constant(async (sut: Sut) => {
      await sut.close();
      await sut.open();
    }),
  ],
  [1, "list", fc.boolean().map((isEmpty) => (sut: Sut) => follow(sut, isEmpty ? [] : [ENTRY]))],
  [
    2,
    "time",
    fc.constantFrom(DAY, 8 * DAY, -3 * DAY).map((ms) => async (sut: Sut) => {
      sut.now += ms;
      sut.world.pass(ms);
    }),
  ],
];

const step = fc.oneof(
  ...steps.map(([weight, name, arbitrary]) => ({
    weight,
    arbitrary: arbitrary.map((act) => ({ name, act, toString: () => name })),
  })),
);

describe("a store of a mirror", () => {
  it("has whole what is kept, and held tags where they are held, whatever is done", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 25, maxLength: 40 }), async (all) => {
        const sut = new Sut(await faultUpstream());
        await sut.open();
        await begun(sut);
        try {
          for (const { act } of all) {
            await act(sut);
            await sut.check();
          }
        } finally {
          await sut.close();
          await sut.upstream.stop();
        }
      }),
      { numRuns: 8, endOnFailure: true },
    );
  }, 120_000);
});
