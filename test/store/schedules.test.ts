// Whatever comes, goes, is read and is pinned at once: no torn body, no more held than there is room for, nothing gone before what
// needs it, and files and facts that agree in the end. Over the real disk.
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import { StoreFull } from "../../src/store/blobs.ts";
import { body, type Keeping, keeping } from "./keeping.ts";

const CAP = 350_000;
const APP = "acme/app" as Repository;

interface Blob {
  readonly bytes: Buffer;
  readonly digest: Digest;
  readonly parts: readonly Digest[] | undefined;
}

const plain = (length: number, seed: number): Blob => {
  const bytes = body(length, seed);
  return { bytes, digest: digestOf(bytes), parts: undefined };
};
const manifestOf = (name: string, parts: readonly Blob[]): Blob => {
  const bytes = Buffer.from(JSON.stringify({ name, layers: parts.map(({ digest }) => ({ digest })) }));
  return { bytes, digest: digestOf(bytes), parts: parts.map(({ digest }) => digest) };
};

// small ones are read from memory, large ones from the disk
const LAYERS = [plain(150_000, 1), plain(150_000, 2), plain(100_000, 3), plain(3_000, 4), plain(90_000, 5)];
const IMAGES = [
  manifestOf("one", [LAYERS[0]!, LAYERS[3]!]),
  manifestOf("two", [LAYERS[1]!, LAYERS[3]!]),
  manifestOf("three", [LAYERS[2]!, LAYERS[4]!]),
];
const INDEX = manifestOf("index", IMAGES.slice(0, 2));
const ALL = [...LAYERS, ...IMAGES, INDEX];
const PINNED = IMAGES[2]!;

type Step =
  | { readonly does: "put"; readonly blob: Blob; readonly pieces: number; readonly isLost: boolean }
  | { readonly does: "read"; readonly blob: Blob; readonly pauses: number }
  | { readonly does: "delete"; readonly blob: Blob }
  | { readonly does: "expire" | "wait" };

const anyBlob = fc.constantFrom(...ALL);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      does: fc.constant("put" as const),
      blob: anyBlob,
      pieces: fc.integer({ min: 1, max: 4 }),
      isLost: fc.nat(4).map((n) => n === 0),
    }),
  },
  { weight: 5, arbitrary: fc.record({ does: fc.constant("read" as const), blob: anyBlob, pauses: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("delete" as const), blob: anyBlob }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constantFrom("expire" as const, "wait" as const) }) },
);

const schedules = fc.array(fc.array(step, { minLength: 6, maxLength: 12 }), { minLength: 2, maxLength: 5 });

/** Commits it, or loses it half way. Full is an answer. */
const put = async ({ blobs }: Keeping, { bytes, digest, parts }: Blob, pieces: number, isLost: boolean): Promise<void> => {
  const size = Math.ceil(bytes.length / pieces);
  try {
    const stage = await blobs.stage(bytes.length);
    try {
      for (let at = 0; at < bytes.length; at += size) {
        await stage.append(bytes.subarray(at, at + size));
        await turn();
        if (isLost) return;
      }
      expect(await stage.verify(digest)).toBe(true);
      await stage.commit(parts);
    } finally {
      await stage.discard(new Error("over"));
    }
  } catch (error) {
    if (!(error instanceof StoreFull)) throw error;
  }
};

/** All of it, or nothing: whatever happens to it meanwhile. */
const read = async ({ blobs }: Keeping, { bytes, digest }: Blob, pauses: number): Promise<void> => {
  const found = await blobs.read(digest);
  if (found === undefined) return;
  for (let n = 0; n < pauses; n += 1) await turn();
  const came = Buffer.concat((await found.toArray()) as Buffer[]);
  expect(came.equals(bytes)).toBe(true);
};

const act = async (kept: Keeping, does: Step): Promise<void> => {
  kept.pass(500);
  if (does.does === "put") await put(kept, does.blob, does.pieces, does.isLost);
  else if (does.does === "read") await read(kept, does.blob, does.pauses);
  else if (does.does === "delete") await kept.blobs.delete(does.blob.digest);
  else if (does.does === "expire") await kept.sweep.expire(5_000);
  else for (let n = 0; n < 5; n += 1) await turn();
};

const filesOf = (folder: string): { name: string; size: number }[] =>
  readdirSync(join(folder, "blobs"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .flatMap((entry) => {
      const path = join(entry.parentPath, entry.name);
      return existsSync(path)
        ? [{ name: `sha256:${entry.name}`, size: statSync(path, { throwIfNoEntry: false })?.size ?? 0 }]
        : [];
    });

describe("a store that is full", () => {
  it("gives whole bodies, holds no more than it may, and lets nothing go before what needs it", async () => {
    let evicted = 0;
    await fc.assert(
      fc.asyncProperty(schedules, async (actors) => {
        const isPinned = (_site: string, _repo: Repository, reference: string) => reference === "pinned";
        const kept = await keeping({ maxSize: CAP, isPinned });
        const key = { site: "s.example", repo: APP, tag: "pinned" as Tag };
        await kept.facts.moveTag(key, { digest: PINNED.digest, at: 1, reason: "pull" }, 0);
        // what goes of its own accord is watched: both are asked in one turn, in which nothing else can happen
        const { holdings } = kept.facts;
        const release = holdings.releaseIdle.bind(holdings);
        holdings.releaseIdle = async (digest) => {
          const [needing, pinned, released] = [holdings.neededBy(digest, 1), digest === PINNED.digest, release(digest)];
          const went = await released;
          if (went) expect({ needing: await needing, pinned }).toEqual({ needing: [], pinned: false });
          if (went) evicted += 1;
          return went;
        };
        let isOver = false;
        const watch = (async () => {
          while (!isOver) {
            expect(filesOf(kept.folder).reduce((sum, { size }) => sum + size, 0)).toBeLessThanOrEqual(CAP);
            await turn();
          }
        })();
        await Promise.all(
          actors.map(async (steps) => {
            for (const one of steps) await act(kept, one);
          }),
        );
        isOver = true;
        await watch;
        await kept.sweep.expire(Number.MAX_SAFE_INTEGER);
        const facts = await kept.facts.inventory.byDigest({ limit: 99 });
        const files = filesOf(kept.folder);
        expect(facts.map(({ digest, size }) => ({ name: digest as string, size }))).toEqual(
          files.sort((a, b) => (a.name < b.name ? -1 : 1)),
        );
        const state = await kept.state();
        const bytes = files.reduce((sum, { size }) => sum + size, 0);
        expect(state).toMatchObject({ held: bytes, count: files.length, growing: 0, promised: 0 });
        expect(bytes).toBeLessThanOrEqual(CAP);
        await kept.close();
        expect(readdirSync(join(kept.folder, "spool"))).toEqual([]);
      }),
      { numRuns: 40 },
    );
    // or it was all about nothing
    expect(evicted).toBeGreaterThan(50);
  }, 60_000);
});
