// How a flight fills its stage: two buffers in turn, none of which is touched while the store still looks at it, and no more of a
// fast upstream in memory than they hold.
import { Readable } from "node:stream";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { silent } from "../../src/lib/log.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { flights } from "../../src/registry/flights.ts";
import type { Joining } from "../../src/registry/joiners.ts";
import type { Open } from "../../src/registry/opening.ts";
import type { BlobStore, Stage } from "../../src/store/blobs.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { painted } from "../lib/pattern.ts";

const KIB = 1024;

/** A store that looks at what it is given only after `wait`, as a busy disk does. */
const late = (inner: BlobStore, wait: () => Promise<unknown>): BlobStore & { appended: number } => {
  const store = {
    ...inner,
    appended: 0,
    fill: async (...args: Parameters<BlobStore["fill"]>): Promise<Stage> => {
      const stage = await inner.fill(...args);
      return {
        get size() {
          return stage.size;
        },
        async append(bytes) {
          await wait();
          await stage.append(bytes);
          store.appended += bytes.length;
        },
        get left() {
          return stage.left;
        },
        readBack: (stop) => stage.readBack(stop),
        leave: (reason) => stage.leave(reason),
        overflow: (cause) => stage.overflow(cause),
        follow: (start, end) => stage.follow(start, end),
        verify: (digest) => stage.verify(digest),
        commit: () => stage.commit(),
        discard: (reason) => stage.discard(reason),
      };
    },
  };
  return store;
};

const { signal } = new AbortController();

const joining = (open: Open): Joining => ({ open, client: "192.0.2.1", site: "registry.example", isEntitled: async () => true });

describe("a flight", () => {
  const plan = fc.record({
    pieces: fc.array(fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1_000, max: 700_000 })), {
      minLength: 1,
      maxLength: 12,
    }),
    waits: fc.array(fc.nat(4), { minLength: 1, maxLength: 4 }),
    tears: fc.array(fc.integer({ min: 1, max: 2_000_000 }), { maxLength: 2 }),
    backsUp: fc.nat(3_000),
    known: fc.boolean(),
  });

  it("has the right bytes however late the disk takes them and wherever upstream begins again", { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(plan, async ({ pieces, waits, tears, backsUp, known }) => {
        const size = pieces.reduce((sum, piece) => sum + piece, 0);
        const bytes = painted(pieces.length, size);
        let waited = 0;
        const wait = async () => {
          waited += 1;
          for (let turns = waits[waited % waits.length]!; turns > 0; turns -= 1) await turn();
        };
        const store = late(memoryBlobs(), wait);
        const digest = digestOf(bytes);
        const flying = flights(store, silent, { retry: { attempts: 5, first: 1, most: 10, longest: 100 } });
        const flight = flying.begin(digest);
        let openings = 0;
        const open = async (offset: number) => {
          const start = Math.max(0, offset - backsUp);
          const tear = tears[openings];
          openings += 1;
          const body = async function* () {
            let at = start;
            for (let piece = 0; at < size; piece += 1) {
              const end = Math.min(at + pieces[piece % pieces.length]!, size);
              if (tear !== undefined && end - start > tear) throw new Error("socket hang up");
              if (piece % 3 === 0) await turn();
              yield bytes.subarray(at, end);
              at = end;
            }
          };
          return { body: Readable.from(body(), { objectMode: false }), start, total: known ? size : undefined };
        };
        const { body } = await flight.join(joining(open), undefined, signal);
        const followed = body.toArray() as Promise<Buffer[]>;
        await flight.done;
        expect(flight.failed).toBe(false);
        expect(Buffer.concat(await followed).equals(bytes)).toBe(true);
        expect((await store.readAll(digest, size))!.equals(bytes)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it("holds up an upstream that is faster than the disk", async () => {
    const store = late(memoryBlobs(), () => sleep(10));
    const bytes = painted(1, 12 * KIB * KIB);
    let given = 0;
    let most = 0;
    const body = new Readable({
      highWaterMark: 64 * KIB,
      read() {
        this.push(given < bytes.length ? bytes.subarray(given, given + 64 * KIB) : null);
        given = Math.min(given + 64 * KIB, bytes.length);
        most = Math.max(most, given - store.appended);
      },
    });
    const flight = flights(store, silent).begin(digestOf(bytes));
    onTestFinished(() => flight.stop());
    await flight.join(
      joining(async () => ({ body, start: 0, total: bytes.length })),
      undefined,
      signal,
    );
    await flight.done;
    expect(flight.failed).toBe(false);
    // both buffers, what waits for them, and what the stream itself holds
    expect(most).toBeLessThanOrEqual((2 * 512 + 512 + 3 * 64) * KIB);
  });
});
