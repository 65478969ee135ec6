// Killed outright at any moment, what was done can be done to its end, and undone: byte for byte.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { undoScript } from "../../src/setup/script.ts";
import { hostOf, PLAIN, scriptFor, sh, visible } from "./host.ts";

const MOMENTS = [20, 45, 70, 95, 130, 170, 220, 290];

/** Kills the shell and all that it runs. */
const killedAfter = async (ms: number, script: string, args: readonly string[]): Promise<void> => {
  const child = spawn("sh", ["-s", "--", ...args], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  child.stdin.on("error", () => undefined);
  child.stdin.end(script);
  const exited = once(child, "exit");
  await Promise.race([sleep(ms), exited]);
  if (child.exitCode === null) process.kill(-child.pid!, "SIGKILL");
  await exited;
};

it.each(MOMENTS)("after %d ms", async (ms) => {
  const root = hostOf({ ...PLAIN, "etc/hosts": "127.0.0.1 localhost" });
  const before = visible(root);
  const script = scriptFor("docker");
  await killedAfter(ms, script, ["--root", root, "--door", "mirror"]);
  await killedAfter(ms, script, ["--root", root]);
  await killedAfter(ms, undoScript("docker"), ["--undo", "--root", root]);
  expect(await sh(undoScript("docker"), ["--undo", "--root", root])).toMatchObject({ code: 0, stderr: "" });
  const after = visible(root);
  // folders made just before the kill, of which the record did not hear, are all that may be left
  for (const [name, what] of Object.entries(after)) if (/^4\d+ \/$/.test(what) && !(name in before)) delete after[name];
  expect(after).toEqual(before);
});
