// Docker Hub, under the name that images without a registry have: where each engine looks for the CA, and that both then pull.
import { appendFile, copyFile, readFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import type { Network } from "./engine.ts";
import { Image } from "./image.ts";
import { DNS } from "./layover.ts";
import { outcome } from "./part.ts";
import { until } from "./until.ts";
import { Upstream } from "./upstream.ts";
import { HUB, World } from "./world.ts";

const NAME = "acme/hub:v1";
let world: World;
let hub: Upstream;
let image: Image;

beforeAll(async () => {
  world = await World.start();
  hub = await Upstream.make(world.authority, HUB.host, HUB.address, `${world.dir}/hub`);
  await hub.start();
  image = await Image.make();
  await hub.put(image, "acme/hub", "v1");
  await world.layover.start();
});
afterAll(async () => {
  await hub?.stop();
  await world?.stop();
});

const trusting = (hosts: readonly string[], publicCa = world.authority.certificate): Network => ({
  dns: DNS,
  ca: { certificate: world.layover.certificate, hosts },
  publicCa,
});

test("containerd's image store finds it under docker.io, and pulls", async () => {
  onTestFailed(() => world.explain());
  const mark = await hub.mark();
  const engine = await world.engine("containerd", trusting(["docker.io"]));
  expect(outcome(await engine.pull(NAME))).toBe("success");
  await until("nginx to have written its log", 2_000, async () => (await hub.blobBytes(mark)) >= image.size);
  expect(await hub.blobBytes(mark)).toBe(image.size);
});

test("the classic store does not look into certs.d for the Hub", async () => {
  const engine = await world.engine("classic", trusting(["docker.io", "index.docker.io", HUB.host]));
  expect(outcome(await engine.pull(NAME))).toMatch(/x509|certificate/);
});

test("the classic store pulls with the CA in the system's, and costs upstream no blob", async () => {
  onTestFailed(() => world.explain());
  const store = `${world.dir}/system.pem`;
  await copyFile(world.authority.certificate, store);
  await appendFile(store, await readFile(world.layover.certificate));
  const mark = await hub.mark();
  const engine = await world.engine("classic", trusting([], store));
  expect(outcome(await engine.pull(NAME))).toBe("success");
  expect(await hub.blobBytes(mark)).toBe(0);
});
