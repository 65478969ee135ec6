// The whole front end under clients that come and go as they like, and an upstream that breaks off: whoever stays has the bytes,
// what is torn is cut, and when all have gone nothing is open any more.
import { readdirSync, readlinkSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cutAt, drip, header, stall, wrongLength } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { startFront } from "../front.ts";
import { painted } from "../lib/pattern.ts";

const BLOBS = /\/blobs\//;
const MIB = 1024 * 1024;

/** Files of stores, and sockets, that this process has open. */
const openOnes = (): { files: number; sockets: number } => {
  const targets = readdirSync("/proc/self/fd").flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });
  return {
    files: targets.filter((path) => /layover-front-.*\/(spool|blobs)\//.test(path)).length,
    sockets: targets.filter((path) => path.startsWith("socket:")).length,
  };
};

/** More of them for a night's search. */
const RUNS = Number(process.env["LEAVING_RUNS"] ?? 12);

describe("clients that come and go", () => {
  const client = fc.record({
    which: fc.nat(2),
    start: fc.option(fc.nat(3 * MIB), { nil: undefined }),
    length: fc.integer({ min: 1, max: MIB }),
    leaves: fc.option(fc.nat(2 * MIB), { nil: undefined }),
    waits: fc.nat(30),
  });
  const faults = {
    none: () => undefined,
    cut: cutAt(700_000),
    drip: drip(64 * 1024, 5),
    "no length": header("content-length", undefined),
  };

  it("find what they ask for or are cut, and leave nothing open", { timeout: 60_000 + RUNS * 2_000 }, async () => {
    const upstream = await faultUpstream();
    const front = await startFront(upstream);
    await front.ask("/v2/");
    await fc.assert(
      fc.asyncProperty(
        fc.array(client, { minLength: 2, maxLength: 12 }),
        fc.constantFrom(...(Object.keys(faults) as (keyof typeof faults)[])),
        fc.nat(),
        async (clients, fault, seed) => {
          const layers = [painted(seed, 2 * MIB + 1), painted(seed + 1, 3 * MIB), painted(seed + 2, 60_000)];
          const image = upstream.content.seed({ repo: "acme/app", layers });
          upstream.clearFaults();
          upstream.fault(BLOBS, faults[fault], fault === "cut" ? 2 : undefined);
          await Promise.all(
            clients.map(async ({ which, start, length, leaves, waits }) => {
              await sleep(waits);
              const bytes = layers[which]!;
              const from = start === undefined ? 0 : start % bytes.length;
              const to = start === undefined ? bytes.length : Math.min(from + length, bytes.length);
              const path = `/v2/acme/app/blobs/${image.layers[which]!.digest}`;
              const headers: Record<string, string> = start === undefined ? {} : { range: `bytes=${from}-${to - 1}` };
              if (leaves !== undefined) {
                const got = await front.leave(path, leaves, headers);
                expect(got.equals(bytes.subarray(from, from + got.length)) || got.equals(bytes.subarray(0, got.length))).toBe(
                  true,
                );
                return;
              }
              const answer = await front.ask(path, { headers });
              expect(answer.whole).toBe(true);
              // a range of what has no length yet is the whole, as 200
              const expected = answer.status === 206 ? bytes.subarray(from, to) : bytes;
              expect(answer.status).toBe(answer.headers["content-range"] === undefined ? 200 : 206);
              expect(answer.body.equals(expected)).toBe(true);
            }),
          );
          await expect.poll(() => openOnes().files, { timeout: 5_000 }).toBe(0);
        },
      ),
      { numRuns: RUNS },
    );
    upstream.clearFaults();
    const before = openOnes().sockets;
    for (let time = 0; time < 20; time += 1) await front.ask("/v2/");
    await expect.poll(() => openOnes().sockets, { timeout: 5_000 }).toBeLessThanOrEqual(before);
  });

  it("while upstream says nothing, and have nothing open when they have all left", async () => {
    const upstream = await faultUpstream();
    const front = await startFront(upstream);
    const { layers } = upstream.content.seed({ repo: "acme/app", layers: [painted(1, 3 * MIB)] });
    upstream.fault(BLOBS, stall(100_000));
    const path = `/v2/acme/app/blobs/${layers[0]!.digest}`;
    await Promise.all(Array.from({ length: 20 }, (_, at) => front.leave(path, at * 4_000)));
    // the download goes on waiting by itself: its one file is open, and none of a reader's
    await expect.poll(() => openOnes().files).toBeLessThanOrEqual(1);
    await front.stop();
    expect(openOnes().files).toBe(0);
  });
});

describe("a body", () => {
  it.each([undefined, `bytes=${10 * MIB}-`])("whose file is cut under its reader is cut (range: %s)", async (range) => {
    const upstream = await faultUpstream();
    const front = await startFront(upstream);
    const { layers } = upstream.content.seed({ repo: "acme/app", layers: [painted(4, 40 * MIB)] });
    const { digest } = layers[0]!;
    const path = `/v2/acme/app/blobs/${digest}`;
    expect((await front.ask(path)).whole).toBe(true);
    await expect.poll(() => openOnes().files).toBe(0);
    const reading = front.ask(path, range === undefined ? {} : { headers: { range } });
    for (let turns = 0; openOnes().files === 0 && turns < 10_000; turns += 1) await turn();
    truncateSync(join(front.folder, "data/blobs/sha256", digest.slice(7, 9), digest.slice(7)), 15 * MIB);
    const answer = await reading;
    expect(answer).toMatchObject({ status: range === undefined ? 200 : 206, whole: false });
    expect(answer.body.length).toBeLessThan(30 * MIB);
    await expect.poll(() => openOnes().files).toBe(0);
  });

  it.each([10, -10])("of which upstream promised %i bytes too many never looks whole", async (by) => {
    const upstream = await faultUpstream();
    const front = await startFront(upstream);
    const { layers } = upstream.content.seed({ repo: "acme/app", layers: [painted(5, MIB)] });
    upstream.fault(BLOBS, wrongLength(by));
    const answer = await front.ask(`/v2/acme/app/blobs/${layers[0]!.digest}`);
    expect(answer.whole).toBe(false);
    await expect.poll(() => openOnes().files, { timeout: 5_000 }).toBe(0);
  });
});
