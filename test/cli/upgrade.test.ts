// SIGHUP where the programs on the disk are others by now: a new version, or one that is torn.
import { appendFileSync, cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { emptyFolder } from "./command.ts";
import { eventually, internet, OURS, Serving } from "./serving.ts";

const ROOT = join(import.meta.dirname, "../..");
const REFUSAL = "what is on the disk cannot be started: the front end stays as it is";

const checkout = (): string => {
  const root = emptyFolder();
  for (const part of ["src", "scripts", "package.json"]) cpSync(join(ROOT, part), join(root, part), { recursive: true });
  symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
  return root;
};

it("serves by the new version; one that is torn, wherever, is refused, and all goes on as it was", async () => {
  const root = checkout();
  const serving = await Serving.make({ resolvers: await internet() });
  serving.shim = join(root, "scripts/layover.mjs");
  await serving.started();
  await serving.leads(OURS, 2_000);
  const health = join(root, "src/admin/health.ts");
  const whole = readFileSync(health, "utf8");

  const first = serving.front;
  writeFileSync(health, whole.replace("return { ready: reason === undefined,", 'notes.push("of the new version"); $&'));
  serving.kill("SIGHUP");
  await eventually("the new version", 20_000, async () => (await serving.readyz()).body.includes("of the new version"));
  await serving.leads(OURS, 10_000);
  expect(serving.front).not.toBe(first);

  // no command but serve reads it, and that only in its child
  const second = serving.front;
  appendFileSync(join(root, "src/http/pour.ts"), "\nconst torn = {");
  serving.kill("SIGHUP");
  await eventually("the refusal", 20_000, () => serving.said(REFUSAL).length === 1);
  expect(serving.said(REFUSAL)[0]!["problem"]).toMatch(/pour\.ts/);
  expect(serving.front).toBe(second);
  expect(await serving.address()).toBe(OURS);
}, 60_000);
