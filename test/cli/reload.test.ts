// SIGHUP: what is on the disk is taken up while DNS goes on.
import { expect, it } from "vitest";
import { eventually, internet, OURS, REAL, Serving } from "./serving.ts";

it("replaces the front end, names leading past it for a moment, by the configuration of now, for DNS as well", async () => {
  const serving = await (await Serving.make({ resolvers: await internet() })).started();
  await serving.leads(OURS, 2_000);
  const { front, settings } = serving;
  serving.configure({ ...settings, answer: "127.0.0.5", sites: { "new.example": {} }, resolvers: settings["resolvers"] });
  serving.kill("SIGHUP");
  await serving.leads(REAL, 10_000);
  const gap = await serving.leads("127.0.0.5", 20_000);
  console.log(`names led past it for ${Math.round(gap)} ms`);
  expect(serving.front).not.toBe(front);
  expect(await serving.address("new.example")).toBe("127.0.0.5");
  expect((await serving.readyz()).status).toBe(200);
}, 60_000);

it("leaves all as it is where that could not be started, and follows when it is mended", async () => {
  const serving = await (await Serving.make({ resolvers: await internet() })).started();
  await serving.leads(OURS, 2_000);
  const { front, settings } = serving;
  serving.configure({ ...settings, nmae: "x" });
  serving.kill("SIGHUP");
  const refusal = "what is on the disk cannot be started: the front end stays as it is";
  await eventually("the complaint", 15_000, () => serving.said(refusal).length === 1);
  expect(serving.said(refusal)[0]!["problem"]).toMatch(/nmae: unknown key; did you mean name\?/);
  expect(serving.front).toBe(front);
  expect(await serving.address()).toBe(OURS);
  serving.configure(settings);
  serving.kill("SIGHUP");
  await eventually("another front end", 20_000, () => serving.front !== undefined && serving.front !== front);
  await serving.leads(OURS, 10_000);
}, 60_000);

it("ends in time when it is told to in the middle of that", async () => {
  const serving = await (await Serving.make({ resolvers: await internet() })).started();
  await serving.leads(OURS, 2_000);
  serving.kill("SIGHUP");
  await serving.leads(REAL, 10_000);
  serving.kill("SIGTERM");
  const { code, ms } = await serving.ended();
  expect(code).toBe(0);
  expect(ms).toBeLessThan(10_000);
}, 60_000);

it("says that a front end alone takes nothing up, and goes on", async () => {
  const serving = await (await Serving.make({ listen: { dns: [] } }, ["--only", "front"])).started();
  serving.kill("SIGHUP");
  await eventually("a word of it", 5_000, () =>
    serving.lines.some(({ msg }) => String(msg).includes("reload has changed nothing")),
  );
  expect((await serving.readyz()).status).toBe(200);
}, 30_000);
