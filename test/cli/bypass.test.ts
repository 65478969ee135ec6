// `layover bypass` against real processes: through the admin listener, by the mark alone, over restarts.
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { BypassAnswer } from "../../src/admin/answers.ts";
import { emptyFolder, layover } from "./command.ts";
import { eventually, internet, OURS, pageAt, REAL, Serving } from "./serving.ts";

const STAYS = {
  "images.example": { kind: "local", access: "anonymous" },
  "quay.io": { offline: true },
  "gcr.io": { failOpen: false },
};

/** A command with the server's own configuration. */
const bypass = (serving: Serving, ...args: string[]) => layover(["bypass", ...args, "-c", "layover.yaml"], serving.folder);

it("leads names to their real addresses, while who comes is served, until it is ended", async () => {
  const serving = await (await Serving.make({ resolvers: await internet(), sites: STAYS })).started();
  await serving.leads(OURS, 2_000);
  const on = await bypass(serving, "on", "--for", "2h");
  expect(on).toMatchObject({ code: 0, stderr: "" });
  expect(on.stdout).toMatch(
    /^bypass on until \S+; who still comes is served\nwithin 30 s lead to the registries themselves: .*ghcr\.io/,
  );
  expect(on.stdout).toContain(
    "still lead here: gcr.io (failOpen: false), images.example (hosted here), quay.io (offline)".split(": ")[0]!,
  );
  await serving.leads(REAL, 3_000);
  for (const name of ["images.example", "quay.io", "gcr.io", "layover"]) expect(await serving.address(name)).toBe(OURS);
  const { status, body } = await serving.readyz();
  expect(status).toBe(503);
  expect(JSON.parse(body)).toMatchObject({
    ready: false,
    reason: "bypass",
    notes: [expect.stringMatching(/^bypass: names lead/)],
  });
  expect((await pageAt(serving.http, "/")).body).toMatch(/^! bypass: names lead to the registries themselves until 2/);
  expect(await layover(["health"], serving.folder)).toMatchObject({
    code: 0,
    stderr: expect.stringContaining('"reason":"bypass"'),
  });
  const told = await layover(["status"], serving.folder);
  expect(told).toMatchObject({
    code: 1,
    stdout: expect.stringContaining("bypass: names lead to the registries themselves until"),
  });
  expect((await layover(["doctor"], serving.folder)).stdout).toMatch(/warn {2}bypass .*\n +→ layover bypass off/);
  const said = JSON.parse((await bypass(serving, "status", "--json")).stdout) as BypassAnswer;
  expect(said).toMatchObject({ on: true, released: expect.arrayContaining(["ghcr.io"]) });
  expect((await bypass(serving, "off")).stdout).toContain("bypass off: hijacked names lead here\n");
  await serving.leads(OURS, 3_000);
  expect((await serving.readyz()).status).toBe(200);
}, 30_000);

it("is kept over a kill -9 and a restart, never hijacking in between, and ends by itself", async () => {
  const serving = await (await Serving.make({ resolvers: await internet() })).started();
  await bypass(serving, "on", "--for", "6s");
  await serving.leads(REAL, 3_000);
  const { front } = serving;
  process.kill(front, "SIGKILL");
  await eventually("a new front end", 10_000, async () => serving.front !== front && (await serving.readyz()).status === 503);
  expect(await serving.address()).toBe(REAL);
  await serving.leads(OURS, 10_000);
  expect(existsSync(join(serving.folder, "data/bypass.json"))).toBe(false);
  expect(serving.said("the bypass is over: names lead here again")).toHaveLength(1);
}, 30_000);

it("needs neither an admin listener nor a server that answers, nor one that runs", async () => {
  const serving = await (await Serving.make({ resolvers: await internet(), listen: { admin: [] } })).started();
  expect(await bypass(serving, "on")).toMatchObject({ code: 0, stderr: expect.stringContaining("no Layover answers here") });
  await serving.leads(REAL, 3_000);
  serving.kill("SIGTERM");
  await serving.ended();
  expect((await bypass(serving, "status")).stdout).toMatch(/^bypass on until `layover bypass off`/);
  serving.start();
  await eventually("the front end", 10_000, async () => (await serving.readyz()).status === 503);
  expect(await serving.address()).toBe(REAL);
  expect((await bypass(serving, "off")).code).toBe(0);
  await serving.leads(OURS, 3_000);
}, 30_000);

it("is told to a front end that hangs by its mark", async () => {
  const serving = await (await Serving.make({ resolvers: await internet() })).started();
  process.kill(serving.front, "SIGSTOP");
  expect(await bypass(serving, "on")).toMatchObject({ code: 0, stderr: expect.stringContaining("no Layover answers here") });
  await serving.leads(REAL, 5_000);
  process.kill(serving.front, "SIGCONT");
  await eventually("the mark to be followed", 5_000, async () => (await serving.readyz()).body.includes('"reason":"bypass"'));
  expect(await serving.address()).toBe(REAL);
}, 30_000);

it("says what is wrong with how it was called", async () => {
  const cwd = emptyFolder();
  expect(await layover(["bypass", "on"], cwd)).toMatchObject({ code: 2, stderr: expect.stringContaining("no Layover has run") });
  mkdirSync(join(cwd, "data"));
  const far = await layover(["bypass", "on", "--for", "soon"], cwd);
  expect(far).toMatchObject({ code: 2, stderr: expect.stringContaining("--for: expected a duration such as 90s") });
  expect(await layover(["bypass", "on", "--for", "5ms"], cwd)).toMatchObject({ code: 2 });
  const away = ["bypass", "on", "--server", "http://127.0.0.1:9", "--token-file", "t"];
  expect(await layover(away, cwd)).toMatchObject({ code: 2 });
  expect(existsSync(join(cwd, "data/bypass.json"))).toBe(false);
});
