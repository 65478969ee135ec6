// The mark of a bypass: who puts it, who sees it, and when it ends, whatever clocks do.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Bypass } from "../../src/admin/bypass.ts";
import { putMark } from "../../src/admin/bypass-mark.ts";
import { bypassOperations } from "../../src/admin/bypass-operations.ts";
import { silent } from "../../src/lib/log.ts";
import { emptyFolder } from "../cli/command.ts";
import { quiet } from "../suites/operations.ts";

const HOUR = 3_600_000;
const START = Date.parse("2026-01-01T00:00:00Z");

/** A data folder, a clock on the wall and one that counts. */
const world = () => {
  const data = emptyFolder();
  const time = { wall: START, mono: 0 };
  const pass = (ms: number) => {
    time.wall += ms;
    time.mono += ms;
  };
  const open = () => Bypass.open({ data, clock: () => time.wall, now: () => time.mono, log: silent });
  return { data, time, pass, open, file: join(data, "bypass.json") };
};

describe("a bypass", () => {
  it("is off without a mark, and leaves nothing behind", async () => {
    const { data, open } = world();
    const bypass = await open();
    expect(await bypass.look()).toBeUndefined();
    await bypass.off();
    await bypass.on(undefined);
    expect(await bypass.look()).toEqual({ since: "2026-01-01T00:00:00.000Z" });
    expect(readdirSync(data)).toEqual(["bypass.json"]);
    await bypass.off();
    expect(bypass.standing).toBeUndefined();
    expect(readdirSync(data)).toEqual([]);
  });

  it("is kept over a restart, with what is left of its time, and ends by itself", async () => {
    const { data, pass, open } = world();
    await (await open()).on(2 * HOUR);
    pass(HOUR);
    const again = await open();
    expect(again.standing).toMatchObject({ until: "2026-01-01T02:00:00.000Z" });
    pass(HOUR - 1);
    expect(await again.look()).toBeDefined();
    pass(1);
    expect(await again.look()).toBeUndefined();
    expect(readdirSync(data)).toEqual([]);
  });

  it("is what stands for a mark, be it without end, or a pipe that nobody writes to", async () => {
    const { data, open, file } = world();
    execFileSync("mkfifo", [file]);
    const bypass = await open();
    expect(bypass.standing).toBeDefined();
    await bypass.off();
    expect([await bypass.look(), readdirSync(data)]).toEqual([undefined, []]);
    writeFileSync(file, "");
    truncateSync(file, 3 * 2 ** 30); // more than a process can read
    expect(await bypass.look()).toBeDefined();
  });

  it("that is over at a start is none", async () => {
    const { pass, open } = world();
    await (await open()).on(HOUR);
    pass(3 * HOUR);
    expect((await open()).standing).toBeUndefined();
  });

  it("takes as long as it was meant to while it runs, however the clock on the wall is turned", async () => {
    const { time, pass, open } = world();
    const bypass = await open();
    await bypass.on(HOUR);
    time.wall += 100 * HOUR;
    expect(await bypass.look()).toBeDefined();
    time.wall -= 10_000 * HOUR;
    pass(HOUR - 1);
    expect(await bypass.look()).toBeDefined();
    pass(1);
    expect(await bypass.look()).toBeUndefined();
  });

  it.each([1, 24, 100_000])("ends however often it is begun by a clock that is %i h behind", async (hours) => {
    const { time, pass, open } = world();
    await (await open()).on(HOUR);
    time.wall -= hours * HOUR;
    let restarts = 0;
    for (; (await open()).standing !== undefined; restarts += 1) pass(HOUR / 4);
    expect(restarts).toBe(4);
  });

  it("is seen when somebody else has put or taken the mark", async () => {
    const { data, file, open, time } = world();
    const bypass = await open();
    await putMark(data, HOUR, () => time.wall);
    expect(await bypass.look()).toEqual({ since: "2026-01-01T00:00:00.000Z", until: "2026-01-01T01:00:00.000Z" });
    await putMark(data, 2 * HOUR, () => time.wall);
    expect(await bypass.look()).toMatchObject({ until: "2026-01-01T02:00:00.000Z" });
    rmSync(file);
    expect(await bypass.look()).toBeUndefined();
  });

  it.each([
    "",
    "{}",
    "null",
    '{"since":5}',
    '{"since":"2026-01-01T00:00:00Z","until":"2025-01-01T00:00:00Z"}',
    "x".repeat(10_000),
  ])("is on without an end by a mark that was made by hand: %.40s", async (text) => {
    const { file, open, pass } = world();
    writeFileSync(file, text);
    const bypass = await open();
    pass(100_000 * HOUR);
    expect(await bypass.look()).toMatchObject({ since: expect.any(String) });
    expect(bypass.standing?.until).toBeUndefined();
    expect(readFileSync(file, "utf8")).toBe(text);
  });

  it("stays as it was while its mark cannot be read", async () => {
    const { file, open } = world();
    const bypass = await open();
    await mkdir(file);
    expect(await bypass.look()).toBeUndefined();
    rmSync(file, { recursive: true });
    await bypass.on(undefined);
    rmSync(file);
    await mkdir(file);
    expect(await bypass.look()).toBeDefined();
  });
});

it("is about the sites that fail open, and says why others stay", async () => {
  const site = {
    host: "*.wild.example",
    kind: "upstream",
    offline: false,
    rules: [],
    onMissing: "cache",
    failOpen: false,
  } as const;
  const sites = [
    { ...site, hijackNames: ["ghcr.io"], failOpen: true },
    { ...site, hijackNames: ["images.example"], kind: "local" as const },
    { ...site, hijackNames: ["old.example", "older.example"], offline: true },
    { ...site, hijackNames: ["base.example"], rules: [{ match: "**", pin: true }] },
    { ...site, hijackNames: ["kept.example"] },
    { ...site, hijackNames: [], failOpen: true },
  ];
  const { open } = world();
  const operations = bypassOperations(sites, await open());
  expect(await operations.bypass({}, quiet)).toMatchObject({ on: false });
  expect(await operations.bypassOn({ forMs: HOUR }, quiet)).toEqual({
    on: true,
    since: expect.any(String),
    until: expect.any(String),
    released: ["ghcr.io", "*.wild.example"],
    stays: [
      { name: "images.example", why: "hosted" },
      { name: "old.example", why: "offline" },
      { name: "older.example", why: "offline" },
      { name: "base.example", why: "pinned" },
      { name: "kept.example", why: "failOpen" },
    ],
  });
  expect(await operations.bypassOff({}, quiet)).toMatchObject({ on: false });
});
