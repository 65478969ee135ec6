import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { silent } from "../../src/lib/log.ts";
import type { SyncCall } from "../../src/mirror/engine.ts";
import type { EntryReport } from "../../src/mirror/outcome.ts";
import { Runner } from "../../src/mirror/runner.ts";
import { Schedule } from "../../src/mirror/schedule.ts";
import { Standings } from "../../src/mirror/standing.ts";
import type { MirrorEntry } from "../../src/mirrors.ts";
import { memoryFacts } from "../../src/store/memory-facts.ts";
import { entryOf } from "./entries.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;
const DAY = 24 * HOUR;
const at3 = { cron: "0 3 * * *", timezone: "UTC" };

beforeEach(() => void vi.useFakeTimers({ now: Date.parse("2026-03-01T02:50:00Z") }));
afterEach(() => void vi.useRealTimers());

interface Told {
  readonly name: string;
  readonly at: number;
  readonly missingOnly: boolean | undefined;
}

/** Every sync takes `lasts` ms. */
const open = async (
  entries: readonly MirrorEntry[],
  { lasts = 1_000, random = (): number => 0, mirroring = memoryFacts().mirroring } = {},
) => {
  const told: Told[] = [];
  const clock = () => Date.now();
  const sync = async (entry: MirrorEntry, { missingOnly, run = "", signal }: SyncCall): Promise<EntryReport> => {
    told.push({ name: entry.name, at: clock(), missingOnly });
    const startedAt = new Date().toISOString();
    await new Promise((resolve, reject) => {
      setTimeout(resolve, lasts);
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
    const endedAt = new Date().toISOString();
    return { entry: entry.name, run, startedAt, endedAt, isGood: true, tags: [], expired: [], failures: [], fetched: 0 };
  };
  const standings = new Standings({ mirroring, clock, log: silent });
  const ended = standings.ended.bind(standings);
  const runner = new Runner({ engine: { sync }, ended, clock, log: silent });
  const runs = (name: string) => standings.runs(name);
  const schedule = new Schedule({ runner, runs, looked: () => standings.tell(), clock, log: silent, random });
  await standings.follow(entries);
  schedule.follow(entries);
  const whole = () => told.filter(({ missingOnly }) => missingOnly !== true);
  const close = async () => {
    schedule.close();
    await runner.close();
  };
  return { told, whole, schedule, standings, mirroring, close };
};

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe("the schedule", () => {
  it("looks a few seconds after a start for what is missing, and runs by cron", async () => {
    const { told, close } = await open([entryOf("node", { schedule: at3 }), entryOf("by-hand")]);
    await pass(15 * MINUTE);
    vi.setSystemTime(Date.parse("2026-03-02T02:55:00Z"));
    await pass(10 * MINUTE);
    expect(told.map(({ at, ...rest }) => ({ ...rest, at: new Date(at).toISOString() }))).toEqual([
      { name: "node", missingOnly: true, at: "2026-03-01T02:50:05.000Z" },
      { name: "node", missingOnly: false, at: "2026-03-01T03:00:00.000Z" },
      { name: "node", missingOnly: false, at: "2026-03-02T03:00:00.000Z" },
    ]);
    await close();
  });

  it("reckons an interval from the end of the last run, across a restart", async () => {
    const entries = [entryOf("node", { schedule: { every: HOUR } })];
    const first = await open(entries, { lasts: MINUTE });
    await pass(HOUR + 30_000);
    expect(first.whole()).toHaveLength(1);
    await pass(40_000);
    expect(first.whole()).toHaveLength(2);
    await pass(MINUTE);
    await first.close();
    const endedAt = (await first.mirroring.runs("node")).last!.endedAt;
    const second = await open(entries, { mirroring: first.mirroring });
    await pass(61 * MINUTE);
    expect(second.whole()[0]!.at).toBe(endedAt + HOUR);
    await second.close();
  });

  it("runs once for a clock that jumps ahead, and goes on when it jumps back", async () => {
    const entries = [entryOf("a", { schedule: at3 }), entryOf("b", { schedule: { every: HOUR } })];
    const { whole, close } = await open(entries);
    await pass(MINUTE);
    const before = whole().length;
    vi.setSystemTime(Date.now() + 30 * DAY);
    await pass(MINUTE);
    expect(
      whole()
        .slice(before)
        .map(({ name }) => name),
    ).toEqual(["a", "b"]);
    vi.setSystemTime(Date.now() - 30 * DAY);
    await pass(10_000);
    expect(whole()).toHaveLength(before + 2);
    await pass(2 * HOUR);
    const after = whole().slice(before + 2);
    expect(after.filter(({ name }) => name === "a")).toHaveLength(1);
    expect(after.filter(({ name }) => name === "b").length).toBeGreaterThanOrEqual(2);
    await close();
  });

  it("leaves out what comes while the run before is under way", async () => {
    const { whole, close } = await open([entryOf("a", { schedule: { cron: "* * * * *", timezone: "UTC" } })], { lasts: 150_000 });
    await pass(9 * MINUTE + 1_000);
    expect(whole().map(({ at }) => new Date(at).getUTCMinutes())).toEqual([52, 56, 59]);
    await close();
  });

  it("looks for what is missing of an entry that has changed, and of no other", async () => {
    const [a, b] = [entryOf("a", { schedule: at3 }), entryOf("b", { schedule: at3 })];
    const { told, schedule, close } = await open([a, b]);
    await pass(MINUTE);
    expect(told).toHaveLength(2);
    schedule.follow([a, { ...b, parallel: 9 }]);
    await pass(MINUTE);
    expect(told.slice(2)).toMatchObject([{ name: "b", missingOnly: true }]);
    await close();
  });

  it("does not begin two hundred at once", async () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 16_807) % 2_147_483_647;
      return seed / 2_147_483_647;
    };
    const entries = Array.from({ length: 200 }, (_, i) => entryOf(`e${i}`, { schedule: at3 }));
    const { whole, close } = await open(entries, { lasts: 10, random });
    await pass(15 * MINUTE);
    const times = whole().map(({ at }) => at - Date.parse("2026-03-01T03:00:00Z"));
    expect(times).toHaveLength(200);
    expect(Math.max(...times)).toBeLessThan(32_000);
    const busiest = Math.max(...times.map((time) => times.filter((other) => Math.abs(other - time) < 500).length));
    expect(busiest).toBeLessThan(20);
    await close();
  });

  it("loses no occurrence when the list changes, or the clock is put right, within its spread", async () => {
    const entries = [entryOf("a", { schedule: at3 })];
    const { whole, schedule, close } = await open(entries, { random: () => 0.99 });
    await pass(10 * MINUTE + 10_000);
    expect(whole()).toHaveLength(0);
    schedule.follow([entryOf("a", { schedule: at3, parallel: 9 })]);
    vi.setSystemTime(Date.now() - 50);
    await pass(MINUTE);
    expect(whole()).toHaveLength(1);
    schedule.follow([]);
    vi.setSystemTime(Date.now() + DAY);
    await pass(MINUTE);
    expect(whole()).toHaveLength(1);
    await close();
  });

  it("says once that the last good sync is too old, and keeps it in the notes", async () => {
    const warned: unknown[] = [];
    const { standings, mirroring, schedule, close } = await open([entryOf("a", { warnAfter: HOUR })]);
    const log = { ...silent, warn: (about: unknown) => warned.push(about) } as unknown as typeof silent;
    const told = new Standings({ mirroring, clock: () => Date.now(), log });
    await told.follow([entryOf("a", { warnAfter: HOUR })]);
    for (let i = 0; i < 5; i += 1) {
      vi.setSystemTime(Date.now() + HOUR);
      await pass(1);
      told.tell();
    }
    expect(warned).toEqual([{ entry: "a" }]);
    expect(told.notes()).toEqual(["mirror: a has had no good sync yet"]);
    const now = Date.now();
    await told.ended(entryOf("a"), { startedAt: now, endedAt: now, isGood: true, report: "{}" });
    expect(told.notes()).toEqual([]);
    vi.setSystemTime(Date.now() + 3 * HOUR);
    expect(told.notes()).toEqual(["mirror: the last good sync of a was 3 h ago"]);
    vi.setSystemTime(now - 100 * DAY); // it had been ahead
    const restarted = new Standings({ mirroring, clock: () => Date.now(), log });
    await restarted.follow([entryOf("a", { warnAfter: HOUR })]);
    vi.setSystemTime(Date.now() + 2 * HOUR);
    expect(restarted.overdue()).toHaveLength(1);
    expect(schedule.next("a")).toBeUndefined();
    expect(standings.runs("nobody")).toEqual({ last: undefined, lastGood: undefined });
    await close();
  });
});
