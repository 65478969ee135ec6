// What makes a front end ill, with real processes: names lead past it within seconds, and back when it is well, but not for a moment alone.
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { run } from "./command.ts";
import { eventually, internet, OURS, REAL, Serving } from "./serving.ts";

const started = async (settings: object = {}): Promise<Serving> =>
  (await Serving.make({ resolvers: await internet(), ...settings })).started();

it("hangs: names lead past it within seconds; it is ended in the end, and another takes its place", async () => {
  const serving = await started();
  await serving.leads(OURS, 2_000);
  const { front } = serving;
  process.kill(front, "SIGSTOP");
  const took = await serving.leads(REAL, 4_500);
  console.log(`a front end that hangs was found out after ${Math.round(took)} ms`);
  await eventually(
    "another front end",
    45_000,
    () => serving.said("front end has stalled").length === 1 && serving.front !== front,
  );
  await serving.leads(OURS, 15_000);
}, 70_000);

it("has a store that cannot be written: it says so, and is well when it can", async () => {
  const serving = await started();
  await serving.leads(OURS, 2_000);
  const spool = join(serving.folder, "data/spool");
  renameSync(spool, `${spool}.away`);
  writeFileSync(spool, "a file, where root too can make no other");
  await serving.leads(REAL, 4_000);
  const { status, body } = await serving.readyz();
  expect({ status, ...(JSON.parse(body) as object) }).toMatchObject({
    ...{ status: 503, ready: false, reason: "ill" },
    notes: [expect.stringContaining("the blob store cannot be written")],
  });
  renameSync(spool, `${spool}.wrong`);
  renameSync(`${spool}.away`, spool);
  await serving.leads(OURS, 6_000);
}, 30_000);

it("has no file descriptors left: it says so or says nothing, and is well when some are", async () => {
  const serving = await started();
  await serving.leads(OURS, 2_000);
  const { front } = serving;
  await limitFiles(front, 10);
  await serving.leads(REAL, 5_000);
  await limitFiles(front, 4_096);
  await serving.leads(OURS, 10_000);
  expect(serving.front).toBe(front);
}, 30_000);

it("goes while the half with DNS has no file descriptors left: DNS goes on, and another front end takes its place when some are", async () => {
  const serving = await started();
  await serving.leads(OURS, 2_000);
  await limitFiles(serving.pid, 10);
  process.kill(serving.front, "SIGKILL");
  await eventually("attempts in vain", 10_000, () => serving.said("front end cannot be started").length > 1);
  await limitFiles(serving.pid, 4_096);
  await serving.leads(OURS, 20_000);
}, 40_000);

it("crashes again and again: it is started again less and less often, and names do not lead there and back each time", async () => {
  const serving = await started();
  await serving.leads(OURS, 2_000);
  let changes = 0;
  let crashes = 0;
  let last = OURS;
  const deadline = Date.now() + 15_000;
  while (Date.now() < deadline) {
    const { front } = serving;
    if (front !== undefined && (await serving.readyz().catch(() => undefined))?.status === 200) {
      process.kill(front, "SIGKILL");
      crashes += 1;
      await eventually("its end", 5_000, () => serving.front !== front);
    }
    const now = await serving.address();
    if (now !== last) changes += 1;
    last = now;
    await sleep(50);
  }
  console.log(`${crashes} crashes in 15 s, names led elsewhere ${changes} times`);
  expect(crashes).toBeGreaterThan(2);
  expect(crashes).toBeLessThan(10);
  expect(changes).toBeLessThan(4);
  await serving.leads(OURS, 60_000);
}, 100_000);

/** util-linux's prlimit: soft limit alone, so that it can be raised again. */
const limitFiles = async (pid: number, most: number): Promise<void> => {
  expect(await run("prlimit", ["--pid", String(pid), `--nofile=${most}:`])).toMatchObject({ code: 0 });
};
