// Rules, as real clients meet them: what is pinned stays, what is denied is said to be, what is stale is served while upstream is asked.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { Image } from "./image.ts";
import { until } from "./until.ts";
import { OPEN, World } from "./world.ts";

const PULLERS = ["docker-20.10", "docker-29", "ctr", "cri", "podman", "skopeo", "crane"] as const satisfies readonly ClientName[];
const RULES = [
  { match: "acme/pinned:v*", pin: true },
  { match: "acme/secret", deny: true },
  { match: "acme/meanwhile:*", staleWhileRevalidate: "1h" },
];
let world: World;
let before: Image;
let after: Image;

beforeAll(async () => {
  world = await World.start();
  [before, after] = [await Image.make(), await Image.make()];
  for (const repo of ["pinned", "secret", "meanwhile", "plain"]) await world.open.put(before, `acme/${repo}`, "v1");
  await world.layover.start({ freshFor: "1s", rules: RULES });
  const crane = await world.client(CLIENTS.crane);
  for (const repo of ["pinned", "meanwhile", "plain"]) await crane.pull(`${OPEN}/acme/${repo}:v1`);
  for (const repo of ["pinned", "meanwhile", "plain"]) await world.open.put(after, `acme/${repo}`, "v1");
  await sleep(1_100);
});
afterAll(() => world?.stop());

test("a stale tag is served as it was, once, while upstream is asked; then it has moved", async () => {
  onTestFailed(() => world.explain());
  const crane = await world.client(CLIENTS.crane);
  expect(await crane.pull(`${OPEN}/acme/meanwhile:v1`)).toBe(before.manifest.digest);
  await until("the tag to move", 5_000, async () => (await crane.pull(`${OPEN}/acme/meanwhile:v1`)) === after.manifest.digest);
});

test.each(PULLERS)("%s pulls a pinned tag as it was first, and any other as it is", async (name) => {
  onTestFailed(() => world.explain());
  const client = await world.client(CLIENTS[name]);
  expect(await client.pull(`${OPEN}/acme/pinned:v1`)).toBe(before.manifest.digest);
  expect(await client.pull(`${OPEN}/acme/plain:v1`)).toBe(after.manifest.digest);
});

test("a push to a pinned tag reaches upstream, and moves nothing here", async () => {
  onTestFailed(() => world.explain());
  const pushed = await Image.make();
  const skopeo = await world.client(CLIENTS.skopeo);
  const digest = await skopeo.push!(pushed, `${OPEN}/acme/pinned:v1`);
  expect(await (await world.client(CLIENTS.skopeo, world.direct)).pull(`${OPEN}/acme/pinned:v1`)).toBe(digest);
  expect(await skopeo.pull(`${OPEN}/acme/pinned:v1`)).toBe(before.manifest.digest);
  expect(await skopeo.pull(`${OPEN}/acme/pinned@${digest}`)).toBe(digest);
});

test.each(PULLERS)("%s is told that a rule denies it", async (name) => {
  onTestFailed(() => world.explain());
  const client = await world.client(CLIENTS[name]);
  await expect(client.pull(`${OPEN}/acme/secret:v1`)).rejects.toThrow(/denie[ds]|403/i);
});
