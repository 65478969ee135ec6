// When something is tried again.
import { describe, expect, it } from "vitest";
import { Retry } from "../../src/lib/retry.ts";

const OPTIONS = { attempts: 6, first: 100, most: 2_000, longest: 60_000 };

describe("a retry", () => {
  it("waits longer each time, up to a bound, and gives up", () => {
    const retry = new Retry(OPTIONS, () => 1);
    expect(Array.from({ length: 7 }, () => retry.next())).toEqual([100, 300, 900, 2_000, 2_000, undefined, undefined]);
  });

  it("begins anew with what gets somewhere", () => {
    const retry = new Retry(OPTIONS, () => 1);
    for (let n = 0; n < 20; n += 1) {
      expect([retry.next(), retry.next()]).toEqual([100, 300]);
      retry.progressed(16 * 1024);
    }
  });

  it("gives up what gets on by a few bytes a try", () => {
    const retry = new Retry(OPTIONS, () => 1);
    const pauses = Array.from({ length: 7 }, () => {
      retry.progressed(1_000);
      return retry.next();
    });
    expect(pauses).toEqual([100, 300, 900, 2_000, 2_000, undefined, undefined]);
    retry.renew();
    expect(retry.next()).toBe(100);
  });

  it("waits for what is asked for and a little more, where that is bearable", () => {
    const retry = new Retry(OPTIONS, () => 0.5);
    expect([retry.next(5_000), retry.next(60_000), retry.next(60_001)]).toEqual([5_075, 60_225, undefined]);
  });

  it("is never alike for many: between half a pause and a whole one", () => {
    const pauses = Array.from({ length: 100 }, () => new Retry(OPTIONS).next()!);
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(50);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(100);
    expect(new Set(pauses).size).toBeGreaterThan(50);
  });
});
