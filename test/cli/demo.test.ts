// The first thing that anybody runs.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { emptyFolder, run } from "./command.ts";

const SHIM = join(import.meta.dirname, "../../scripts/layover.mjs");

it("the demo shows the main job, every step of it right, and leaves nothing behind", async () => {
  const cwd = emptyFolder();
  const { code, stdout } = await run(process.execPath, [SHIM, "demo"], "", { cwd, env: { ...process.env, TMPDIR: cwd } });
  expect(stdout.match(/\bok\b/g)).toHaveLength(8);
  expect(stdout).not.toContain("WRONG");
  expect(code).toBe(0);
  expect(readdirSync(cwd)).toEqual([]);
}, 60_000);
