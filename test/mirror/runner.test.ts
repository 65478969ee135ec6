import { describe, expect, it } from "vitest";
import { silent } from "../../src/lib/log.ts";
import type { SyncCall } from "../../src/mirror/engine.ts";
import type { EntryReport, SyncProgress } from "../../src/mirror/outcome.ts";
import { Runner } from "../../src/mirror/runner.ts";
import type { MirrorEntry } from "../../src/mirrors.ts";
import type { RunFact } from "../../src/store/mirroring.ts";
import { entryOf } from "./entries.ts";

const WHOLE = { run: undefined, missingOnly: false, only: undefined };
const deaf = () => undefined;
const never = new AbortController().signal;
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

const reportOf = (entry: MirrorEntry, run = "1"): EntryReport => ({
  ...{ entry: entry.name, run, startedAt: "2026-01-02T03:04:05.000Z", endedAt: "2026-01-02T03:04:06.000Z", isGood: true },
  ...{ tags: [], expired: [], failures: [], fetched: 0 },
});

interface Begun {
  readonly entry: MirrorEntry;
  readonly call: SyncCall;
  end(): Promise<void>;
}

/** An engine whose syncs end when they are told to, or stopped. */
const open = (atOnce?: { all: number; source: number }) => {
  const begun: Begun[] = [];
  const runs: [string, RunFact][] = [];
  const engine = {
    sync: (entry: MirrorEntry, call: SyncCall) =>
      new Promise<EntryReport>((resolve, reject) => {
        call.signal.addEventListener("abort", () => reject(call.signal.reason as Error), { once: true });
        const end = async () => {
          resolve(reportOf(entry, call.run));
          await settled();
        };
        begun.push({ entry, call, end });
      }),
  };
  const ended = async (entry: MirrorEntry, run: RunFact) => void runs.push([entry.name, run]);
  const runner = new Runner({ engine, ended, clock: () => Date.parse("2026-01-02T03:04:05Z"), log: silent }, atOnce);
  return { runner, begun, runs, names: () => begun.map(({ entry }) => entry.name) };
};

describe("syncs under way", () => {
  it("are joined by who asks for the same, who sees how far they are", async () => {
    const { runner, begun, runs } = open();
    const entry = entryOf("node");
    const first = runner.ask(entry, { ...WHOLE, run: "77" }, "asked");
    const one = first.wait(never, deaf);
    await settled();
    begun[0]!.call.progress({ step: "copying", done: 1, total: 3, fetched: 10, images: [] });
    const seen: SyncProgress[] = [];
    const second = runner.ask({ ...entry }, WHOLE, "scheduled");
    const two = second.wait(never, (progress) => seen.push(progress));
    expect([first.joined, second.joined, second.run]).toEqual([false, true, "77"]);
    expect(seen).toMatchObject([{ done: 1, total: 3 }]);
    await begun[0]!.end();
    expect((await one).run).toBe("77");
    expect(await two).toBe(await one);
    expect(begun).toHaveLength(1);
    expect(runs).toMatchObject([["node", { isGood: true }]]);
    expect(runner.going()).toEqual([]);
  });

  it("are not enough for who wishes for more: that comes after them, never beside them", async () => {
    const { runner, begun } = open();
    const entry = entryOf("node");
    const missing = runner.ask(entry, { ...WHOLE, missingOnly: true }, "start");
    const part = runner.ask(entry, { ...WHOLE, only: { repository: "node", tag: "22" } }, "asked");
    const whole = runner.ask(entry, WHOLE, "asked");
    expect([missing.joined, part.joined, whole.joined]).toEqual([false, false, false]);
    expect(runner.ask(entry, { ...WHOLE, only: { repository: "node", tag: "24" } }, "asked").joined).toBe(true);
    await settled();
    expect(begun).toHaveLength(1);
    expect(begun[0]!.entry.tags.only).toEqual(["22"]);
    await begun[0]!.end();
    expect(begun).toHaveLength(2);
    expect(begun[1]!.call.missingOnly).toBe(false);
    await begun[1]!.end();
    expect(begun[2]!.call.missingOnly).toBe(true);
    expect(runner.ask({ ...entry, parallel: 9 }, WHOLE, "asked").joined).toBe(false);
    await runner.close();
  });

  it("are remembered as runs of their entry when they were whole", async () => {
    const { runner, begun, runs } = open();
    const wishes = [
      { ...WHOLE, missingOnly: true },
      { ...WHOLE, only: { repository: "b", tag: undefined } },
    ];
    for (const [i, name] of ["a", "b"].entries()) runner.ask(entryOf(name), wishes[i]!, "asked").keep();
    await settled();
    for (const one of begun) await one.end();
    expect(runs).toEqual([]);
  });

  it("are a few at once; who waits goes before what is scheduled, and that before what is missing after a start", async () => {
    const { runner, begun, names } = open({ all: 1, source: 1 });
    for (const [name, urgency] of [
      ["first", "start"],
      ["missing", "start"],
      ["scheduled", "scheduled"],
      ["asked", "asked"],
    ] as const)
      runner.ask(entryOf(name), WHOLE, urgency).keep();
    // as soon as somebody asks for it as well
    runner.ask(entryOf("missing"), WHOLE, "asked").keep();
    await settled();
    for (let i = 0; i < 4; i += 1) await begun[i]!.end();
    expect(names()).toEqual(["missing", "asked", "scheduled", "first"]);
  });

  it("of a registry that lets nobody ask for hours keep those of no other waiting", async () => {
    const { runner, begun, names } = open();
    const from = (site: string) => (_: unknown, i: number) => entryOf(`${site}-${i}`, { source: { site, repo: "acme/app" } });
    const ask = (entry: MirrorEntry) => runner.ask(entry, WHOLE, "scheduled").keep();
    Array.from({ length: 5 }, from("hub")).forEach(ask);
    Array.from({ length: 2 }, from("lab")).forEach(ask);
    await settled();
    expect(names()).toEqual(["hub-0", "hub-1", "hub-2", "lab-0", "lab-1"]);
    for (const site of ["a", "b", "c"]) Array.from({ length: 3 }, from(site)).forEach(ask);
    await settled();
    expect(begun).toHaveLength(12);
    await begun[0]!.end();
    expect(begun).toHaveLength(13);
    await runner.close();
  });

  it("end when nobody waits any more, unless they were to go on", async () => {
    const { runner, begun, runs } = open();
    const leave = new AbortController();
    const waits = (name: string, signal = leave.signal) => runner.ask(entryOf(name), WHOLE, "asked").wait(signal, deaf);
    const alone = waits("alone");
    const shared = [waits("shared"), waits("shared", never)];
    const ticket = runner.ask(entryOf("kept"), WHOLE, "asked");
    ticket.keep();
    const kept = ticket.wait(leave.signal, deaf);
    await settled();
    leave.abort(new Error("left"));
    for (const one of [alone, shared[0], kept]) await expect(one).rejects.toThrow("left");
    expect(begun.map(({ call }) => call.signal.aborted)).toEqual([true, false, false]);
    for (const one of begun) await one.end();
    expect((await shared[1])!.entry).toBe("shared");
    expect(runs.map(([name]) => name)).toEqual(["shared", "kept"]);
  });

  it("are not joined while they are being stopped", async () => {
    const { runner, begun } = open();
    const leave = new AbortController();
    const left = runner.ask(entryOf("node"), WHOLE, "asked").wait(leave.signal, deaf);
    await settled();
    leave.abort(new Error("left"));
    await expect(left).rejects.toThrow("left");
    const again = runner.ask(entryOf("node"), WHOLE, "asked");
    again.keep();
    expect(again.joined).toBe(false);
    await settled();
    expect(begun).toHaveLength(2);
    await runner.close();
  });

  it("end when their entry is no more what it was, and with us", async () => {
    const { runner, begun } = open({ all: 2, source: 2 });
    const waits = ["stays", "changes", "queued"].map((name) =>
      runner
        .ask(entryOf(name), WHOLE, "asked")
        .wait(never, deaf)
        .then(
          () => "done",
          (error: Error) => error.message,
        ),
    );
    await settled();
    await runner.keepOnly([entryOf("stays"), entryOf("changes", { parallel: 7 })]);
    expect(begun.map(({ call }) => call.signal.aborted)).toEqual([false, true]);
    await runner.close();
    expect(await Promise.all(waits)).toEqual([
      expect.stringContaining("shutting down"),
      expect.stringContaining("has changed"),
      expect.stringContaining("has changed"),
    ]);
    expect(() => runner.ask(entryOf("stays"), WHOLE, "asked")).toThrow("shutting down");
  });
});
