// What keeps a front end from being started again at all: it is tried again and again, and nothing of it ends the process with DNS in it.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { Ending } from "../../src/cli/ending.ts";
import { Supervisor } from "../../src/cli/supervise.ts";
import { emptyFolder } from "./command.ts";
import { childrenOf, eventually } from "./serving.ts";

const FRONT = `
process.on("message", () => process.exit());
process.on("SIGUSR2", () => process.exit(1));
process.send({ kind: "ready", fingerprints: [], names: [], addresses: [], bypassed: false });
setInterval(() => process.send({ kind: "beat", ready: true, notes: [] }), 500);
`;

const supervised = async (): Promise<{ front: Supervisor; child: number }> => {
  const entry = join(emptyFolder(), "front.mjs");
  writeFileSync(entry, FRONT);
  const before = childrenOf(process.pid);
  const front = new Supervisor(entry, []);
  onTestFinished(async () => {
    const end = new Ending();
    end.order({ grace: 0, drain: 0 });
    await front.stop(end);
  });
  await front.first;
  return { front, child: childrenOf(process.pid).find((pid) => !before.includes(pid))! };
};

/** For `work` alone, children are started with something that is not there. */
const withRuntime = async (path: string, work: () => Promise<unknown>): Promise<void> => {
  const own = Object.getOwnPropertyDescriptor(process, "execPath")!;
  Object.defineProperty(process, "execPath", { ...own, value: path });
  await work().finally(() => Object.defineProperty(process, "execPath", own));
};

it.each([
  ["is told", "/nowhere/node"],
  ["is thrown", join(import.meta.filename, "node")],
])(
  "is started when that can be done again, where the error %s",
  async (_, path) => {
    const { front, child } = await supervised();
    await withRuntime(path, async () => {
      process.kill(child, "SIGUSR2");
      await eventually("its end", 5_000, () => !front.well);
      await sleep(1_000);
    });
    await eventually("another", 10_000, () => front.well);
    expect(() => process.kill(child, 0)).toThrow("ESRCH");
  },
  30_000,
);
