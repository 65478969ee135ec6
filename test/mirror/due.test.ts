import { describe, expect, it } from "vitest";
import { nextDue, periodOf, warnAfterOf } from "../../src/mirror/due.ts";

const at = (text: string) => Date.parse(text);
const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());
const HOUR = 3_600_000;
const NEVER = { endedAt: undefined, taken: undefined };

describe("an interval", () => {
  const every = { every: 6 * HOUR };
  const now = at("2026-03-01T12:00:00Z");

  it.each([
    ["has never run", undefined, now],
    ["ran just now", now, now + 6 * HOUR],
    ["ran a while ago", now - 5 * HOUR, now + HOUR],
    ["is over many times", now - 1_000 * HOUR, now],
    ["ran in a time to come", now + 900 * HOUR, now + 6 * HOUR],
  ])("that %s", (_, endedAt, due) => expect(nextDue(every, { endedAt, taken: undefined }, now)).toBe(due));

  it("has its own period", () => expect(periodOf(every, now)).toBe(6 * HOUR));
});

describe("a cron schedule", () => {
  it.each([
    ["before summer time", "30 2 * * *", "2026-03-28T00:00:00Z", "2026-03-28T01:30:00.000Z"],
    ["in the hour that summer time leaves out", "30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00.000Z"],
    ["after summer time has begun", "30 2 * * *", "2026-03-29T12:00:00Z", "2026-03-30T00:30:00.000Z"],
    ["in the hour that is there twice", "30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00.000Z"],
    ["not in it again", "30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00.000Z"],
    ["with seconds", "*/10 * * * * *", "2026-10-25T00:30:01Z", "2026-10-25T00:30:10.000Z"],
  ])("knows its time zone: %s", (_, cron, now, due) => {
    expect(iso(nextDue({ cron, timezone: "Europe/Berlin" }, NEVER, at(now)))).toBe(due);
  });

  it("may never come", () => {
    const schedule = { cron: "0 3 30 2 *", timezone: "UTC" };
    expect(nextDue(schedule, NEVER, 0)).toBeUndefined();
    expect(periodOf(schedule, 0)).toBeUndefined();
  });

  it("does not come twice for a clock that is put right by little, and is not held up by one that was far ahead", () => {
    const schedule = { cron: "0 3 * * *", timezone: "UTC" };
    const taken = at("2026-03-02T03:00:00Z");
    const due = (now: string) => iso(nextDue(schedule, { endedAt: undefined, taken }, at(now)));
    expect(due("2026-03-02T02:59:59.800Z")).toBe("2026-03-03T03:00:00.000Z");
    expect(due("2026-02-20T12:00:00Z")).toBe("2026-02-21T03:00:00.000Z");
  });

  it("is as long as its longest gap: who works on weekdays is not warned each Monday", () => {
    const schedule = { cron: "0 3 * * 1-5", timezone: "UTC" };
    for (let day = 1; day <= 7; day += 1) expect(periodOf(schedule, at(`2026-03-0${day}T12:00:00Z`))).toBe(72 * HOUR);
    expect(warnAfterOf({ warnAfter: undefined, schedule }, at("2026-03-01T12:00:00Z"))).toBe(145 * HOUR);
    expect(warnAfterOf({ warnAfter: 5, schedule }, 0)).toBe(5);
    expect(warnAfterOf({ warnAfter: undefined, schedule: undefined }, 0)).toBeUndefined();
  });
});
