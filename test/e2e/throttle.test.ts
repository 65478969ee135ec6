// An upstream that has had enough, as real clients meet it: what is held pulls as ever, what is not is refused in upstream's own words, and
// upstream is left alone.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { Image } from "./image.ts";
import { OPEN, World } from "./world.ts";

const PULLERS = ["docker-20.10", "docker-29", "ctr", "cri", "podman", "skopeo", "crane"] as const satisfies readonly ClientName[];
/** podman and skopeo wait for as long as Retry-After says. */
const REFUSED = ["docker-20.10", "docker-29", "ctr", "crane"] as const satisfies readonly ClientName[];
let world: World;
let held: Image;
let mark = 0;

beforeAll(async () => {
  world = await World.start();
  held = await Image.make();
  await world.open.put(held, "acme/held", "v1");
  await world.open.put(await Image.make(), "acme/new", "v1");
  await world.layover.start({ freshFor: "1s" });
  const crane = await world.client(CLIENTS.crane);
  expect(await crane.pull(`${OPEN}/acme/held:v1`)).toBe(held.manifest.digest);
  await sleep(1_100);
  await world.open.throttle(3_000);
  mark = await world.open.mark();
});
afterAll(() => world?.stop());

const questions = async () => (await world.open.hits(mark)).filter(({ path }) => path.startsWith("/v2/acme/"));

test.each(PULLERS)("%s pulls what is held", async (name) => {
  onTestFailed(() => world.explain());
  const client = await world.client(CLIENTS[name]);
  expect(await client.pull(`${OPEN}/acme/held:v1`)).toBe(held.manifest.digest);
});

test.each(REFUSED)("%s is told by upstream's own words that it has had enough", async (name) => {
  onTestFailed(() => world.explain());
  const client = await world.client(CLIENTS[name]);
  await expect(client.pull(`${OPEN}/acme/new:v1`)).rejects.toThrow(/toomanyrequests|pull rate limit|429/i);
});

test("upstream was asked once by all of them, and once as anybody for all of them", async () => {
  // it does not say that both draw on the same
  const asked = Map.groupBy(await questions(), ({ path }) => path);
  const answers = [...asked.values()].map((all) => all.map(({ method, status }) => `${method} ${status}`));
  expect(answers).toEqual([["HEAD 429"], ["HEAD 429"]]);
});
