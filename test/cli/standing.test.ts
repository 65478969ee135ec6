import { describe, expect, it } from "vitest";
import { Standing } from "../../src/cli/standing.ts";

const SECOND = 1_000;

const world = () => {
  const time = { now: 0 };
  const standing = new Standing(() => time.now);
  /** Good news each second; seconds until it counts as well. */
  const goodUntilWell = (): number => {
    for (let seconds = 0; seconds < 120; seconds += 1, time.now += SECOND) {
      standing.good();
      if (standing.well) return seconds;
    }
    throw new Error("never well");
  };
  return { time, standing, goodUntilWell };
};

describe("a front end's standing", () => {
  it("is not well before it is known, and well with the first good news", () => {
    const { standing, goodUntilWell } = world();
    expect(standing.well).toBe(false);
    standing.bad();
    expect(standing.well).toBe(false);
    expect(goodUntilWell()).toBe(0);
  });

  it("falls with bad news at once, and has to show itself the longer the more often it fell", () => {
    const { standing, goodUntilWell } = world();
    goodUntilWell();
    const waits = [1, 2, 3, 4, 5, 6].map(() => {
      standing.bad();
      standing.bad();
      expect(standing.well).toBe(false);
      return goodUntilWell();
    });
    expect(waits).toEqual([1, 2, 5, 10, 30, 30]);
  });

  it("begins to count anew with bad news in between, which is no further fall", () => {
    const { time, standing, goodUntilWell } = world();
    goodUntilWell();
    standing.bad();
    standing.good();
    time.now += SECOND - 1;
    standing.good();
    expect(standing.well).toBe(false);
    standing.bad();
    expect(goodUntilWell()).toBe(1);
  });

  it("is forgiven after a steady minute", () => {
    const { time, standing, goodUntilWell } = world();
    goodUntilWell();
    for (let falls = 0; falls < 4; falls += 1) {
      standing.bad();
      goodUntilWell();
    }
    time.now += 60 * SECOND;
    standing.bad();
    expect(goodUntilWell()).toBe(1);
  });
});
