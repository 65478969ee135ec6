// Whatever the order of joins, leaves and faults, over real sockets and a real disk: who finishes has the exact bytes, upstream sends each
// byte once when nothing fails, and nothing is left afterwards but what is meant to be.
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { byteStreamOf } from "../../src/lib/readable-source.ts";
import type { RangeRequest } from "../../src/oci/range.ts";
import type { Registry } from "../../src/oci/registry.ts";
import { openDisk } from "../../src/store/disk.ts";
import {
  type Behaviour,
  closeOnSecond,
  cutAt,
  drip,
  html,
  ignoreRange,
  redirectExpiring,
  stall,
  status,
  wrongContentRange,
} from "../faults/behaviours.ts";
import { watchTimers } from "../lib/timers.ts";
import { blob, context } from "./stack.ts";
import { BLOBS, IDLE, seeded, wired } from "./wired.ts";

const SIZE = 300_000;

interface Fault {
  readonly name: string;
  readonly at: number;
}

const behaviourOf = ({ name, at }: Fault): Behaviour => {
  if (name === "cut") return cutAt(at);
  if (name === "stall") return stall(at);
  if (name === "drip") return drip(20_000, 2);
  if (name === "ignores ranges") return ignoreRange;
  if (name === "signed") return redirectExpiring(1);
  if (name === "closes") return closeOnSecond;
  if (name === "429") return status(429, { "retry-after": "0" });
  if (name === "500") return status(500);
  if (name === "401") return status(401, { "www-authenticate": 'Basic realm="fault.example"' });
  if (name === "range") return wrongContentRange();
  return html;
};

/** After these every reader still gets everything. */
const harmless = fc.record({
  name: fc.constantFrom("cut", "cut", "cut", "drip", "ignores ranges", "signed"),
  at: fc.integer({ min: 0, max: SIZE }),
});
const harmful = fc.record({ name: fc.constantFrom("cut", "closes", "429", "500", "401", "range", "html"), at: fc.nat(SIZE) });
const silent = fc.record({ name: fc.constant("stall"), at: fc.nat(SIZE) });

const reader = fc.record({
  joins: fc.nat(40),
  range: fc.option(fc.record({ start: fc.nat(SIZE - 1), length: fc.integer({ min: 1, max: SIZE }) }), { nil: undefined }),
  into: fc.integer({ min: 1_000, max: 100_000 }),
  slow: fc.boolean(),
  leaves: fc.option(fc.nat(SIZE), { nil: undefined }),
});
interface Reader {
  readonly joins: number;
  readonly range: { readonly start: number; readonly length: number } | undefined;
  readonly into: number;
  readonly slow: boolean;
  readonly leaves: number | undefined;
}

const rangeOf = ({ range }: Reader): RangeRequest | undefined =>
  range === undefined ? undefined : { start: range.start, end: Math.min(range.start + range.length, SIZE) - 1 };

/** What it has read, or why not. */
const read = async (registry: Registry, digest: string, plan: Reader): Promise<Buffer | Error | "left"> => {
  await sleep(plan.joins);
  const gone = new AbortController();
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    const answer = await registry.getBlob(blob("acme/app", digest, rangeOf(plan)), context(undefined, [], gone.signal));
    const body = byteStreamOf(answer.body);
    const into = Buffer.alloc(plan.into);
    try {
      for (let got = await body.readInto(into); got > 0; got = await body.readInto(into)) {
        chunks.push(Buffer.from(into.subarray(0, got)));
        length += got;
        if (plan.leaves !== undefined && length >= plan.leaves) return "left";
        if (plan.slow) await sleep(3);
      }
    } finally {
      body.destroy();
    }
    return Buffer.concat(chunks);
  } catch (error) {
    return error as Error;
  } finally {
    gone.abort(new Error("over"));
  }
};

const diskAt = async () => {
  const folder = mkdtempSync(join(tmpdir(), "layover-schedules-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const blobs = await openDisk({ folder, room: async () => ({ free: 2 ** 40, total: 2 ** 40 }) });
  onTestFinished(() => blobs.close());
  const openFiles = () =>
    readdirSync("/proc/self/fd").flatMap((fd) => {
      try {
        const path = readlinkSync(`/proc/self/fd/${fd}`);
        return path.startsWith(join(folder, "spool")) || path.startsWith(join(folder, "blobs")) ? [path] : [];
      } catch {
        return [];
      }
    });
  return { blobs, openFiles, spool: () => readdirSync(join(folder, "spool")) };
};

/** One blob, its faults in the order of the GETs, and its readers. */
const fly = async (
  disk: Awaited<ReturnType<typeof diskAt>>,
  size: number,
  faults: readonly Fault[],
  readers: readonly Reader[],
) => {
  const made = await wired({ blobs: disk.blobs, ...(faults.some(({ name }) => name === "stall") ? { idle: IDLE } : {}) });
  const { registry, upstream, flights } = made;
  const { bytes, digest } = seeded(upstream, size);
  let nth = 0;
  upstream.fault(
    (one) => one.method === "GET" && one.origin === "registry" && BLOBS.test(one.path),
    (spoiling) => {
      const fault = faults[nth];
      nth += 1;
      if (fault !== undefined) behaviourOf(fault)(spoiling);
    },
  );
  const timers = watchTimers();
  const outcomes = await Promise.all(readers.map((plan) => read(registry, digest, plan)));
  await expect.poll(() => flights.get(digest), { timeout: 10_000 }).toBeUndefined();
  for (const [n, outcome] of outcomes.entries()) {
    const { start = 0, end = size - 1 } = (rangeOf(readers[n]!) ?? {}) as { start?: number; end?: number };
    if (Buffer.isBuffer(outcome)) expect(bytes.subarray(start, end + 1).equals(outcome)).toBe(true);
  }
  await expect.poll(() => timers.pending()).toEqual([]);
  await expect.poll(disk.openFiles).toEqual([]);
  // what is left is held whole, or can be gone on with
  const isHeld = (await disk.blobs.stat(digest)) !== undefined;
  await expect.poll(disk.spool).toHaveLength(disk.blobs.leftover(digest) > 0 ? 1 : 0);
  if (isHeld) expect(disk.blobs.leftover(digest)).toBe(0);
  // nothing of it is in the way of the next run
  const rest = disk.blobs.leftover(digest) > 0 ? await disk.blobs.fill(digest) : undefined;
  await rest?.discard(new Error("over"));
  await disk.blobs.delete(digest);
  return { outcomes, isHeld, sent: upstream.bytes(BLOBS), flights };
};

const isWhole = (outcome: Buffer | Error | "left") => Buffer.isBuffer(outcome) || outcome === "left";

describe("whatever the order of joins and leaves", { timeout: 120_000 }, () => {
  const readers = fc.array(reader, { minLength: 1, maxLength: 6 });

  it("and an upstream that does well: it sends each byte once", async () => {
    const disk = await diskAt();
    await fc.assert(
      fc.asyncProperty(fc.array(reader, { minLength: 1, maxLength: 10 }), fc.boolean(), async (plans, isSlow) => {
        const faults = isSlow ? [{ name: "drip", at: 0 }] : [];
        const { outcomes, isHeld, sent } = await fly(disk, SIZE, faults, plans);
        expect(outcomes.every(isWhole)).toBe(true);
        expect(isHeld).toBe(true);
        expect(sent / SIZE).toBe(1);
      }),
      { numRuns: 25 },
    );
  });

  it("and tears, slowness, ranges that are not known and signatures that end: every reader that stays has it all", async () => {
    const disk = await diskAt();
    await fc.assert(
      fc.asyncProperty(fc.array(harmless, { minLength: 1, maxLength: 5 }), readers, async (faults, plans) => {
        const { outcomes, isHeld } = await fly(disk, SIZE, faults, plans);
        expect(outcomes.filter((outcome) => !isWhole(outcome))).toEqual([]);
        expect(isHeld).toBe(true);
      }),
      { numRuns: 25 },
    );
  });

  it("and silences", async () => {
    const disk = await diskAt();
    await fc.assert(
      fc.asyncProperty(fc.array(silent, { minLength: 1, maxLength: 2 }), readers, async (faults, plans) => {
        const { outcomes, isHeld } = await fly(disk, SIZE, faults, plans);
        expect(outcomes.filter((outcome) => !isWhole(outcome))).toEqual([]);
        expect(isHeld).toBe(true);
      }),
      { numRuns: 5 },
    );
  });

  it("and refusals, errors and lies: who finishes has the exact bytes, and nothing wrong is kept", async () => {
    const disk = await diskAt();
    await fc.assert(
      fc.asyncProperty(fc.array(harmful, { minLength: 1, maxLength: 6 }), readers, async (faults, plans) => {
        await fly(disk, SIZE, faults, plans);
      }),
      { numRuns: 25 },
    );
  });
});
