// A bad line to the registry: whatever it does in the middle of a pull, the pull succeeds, and what has come is not asked for again.
import { readdir, stat } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, onTestFailed, test } from "vitest";
import type { Status } from "../../src/admin/answers.ts";
import { BadLine } from "./bad-line.ts";
import type { Engine } from "./engine.ts";
import { Image } from "./image.ts";
import { outcome } from "./part.ts";
import { until } from "./until.ts";
import { Upstream } from "./upstream.ts";
import { QUAY, World } from "./world.ts";

const MiB = 1024 * 1024;
/** What nginx sends in a second, so that little of it is lost in the buffers of a line that is torn: at most so much each time. */
const PACE = 8 * MiB;
const IN_BETWEEN = 1 * MiB;
let world: World;
let registry: Upstream;
let line: BadLine;
let engine: Engine;

beforeAll(async () => {
  world = await World.start();
  registry = await Upstream.make(world.authority, QUAY.host, "127.0.0.19", `${world.dir}/quay`);
  await registry.start();
  line = await BadLine.start(QUAY.address, registry.address, `${world.dir}/line.log`);
  await world.layover.start();
  engine = await world.engine("containerd");
});
afterAll(async () => {
  await line?.stop();
  await registry?.stop();
  await world?.stop();
});
beforeEach(() => line.mend());

/** Bytes of what is under way. */
const received = async (): Promise<number> => {
  const spool = `${world.layover.data}/spool`;
  const sizes = (await readdir(spool)).map(async (name) => (await stat(`${spool}/${name}`)).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
};

/** How often that has become of a download. */
const count = async (what: string): Promise<number> => {
  const { out } = await world.layover.command("status", "--json");
  return (JSON.parse(out) as Status).flights.counts[what] ?? 0;
};

const put = async (name: string, size?: number): Promise<Image> => {
  const image = await Image.make(size);
  await registry.put(image, name, "v1");
  return image;
};

/** The image is right, and stays so without the registry. */
const expectKept = async (name: string): Promise<void> => {
  const mark = await registry.mark();
  const other = await world.engine("classic");
  expect(outcome(await other.pull(`${QUAY.host}/${name}:v1`))).toBe("success");
  expect(await registry.blobBytes(mark)).toBe(0);
};

test("torn again and again, it goes on from the byte reached", async () => {
  onTestFailed(() => world.explain());
  const image = await put("acme/torn");
  await registry.limit(PACE);
  const mark = await registry.mark();
  await line.cutAfter(6 * MiB);
  expect(outcome(await engine.pull(`${QUAY.host}/acme/torn:v1`))).toBe("success");
  await registry.limit(0);
  const parts = (await registry.hits(mark)).filter(({ status }) => status === 206);
  console.log(`${parts.length} parts, ${await registry.blobBytes(mark)} bytes of ${image.size}`);
  expect(parts.length).toBeGreaterThanOrEqual(2);
  expect(await registry.blobBytes(mark)).toBeLessThan(image.size + (parts.length + 1) * IN_BETWEEN);
  await expectKept("acme/torn");
});

test("narrow, each byte comes once", async () => {
  onTestFailed(() => world.explain());
  const image = await put("acme/narrow", 8 * MiB);
  const mark = await registry.mark();
  await line.narrow(2 * MiB);
  const pulls = [engine.pull(`${QUAY.host}/acme/narrow:v1`), (await world.engine("classic")).pull(`${QUAY.host}/acme/narrow:v1`)];
  expect((await Promise.all(pulls)).map(outcome)).toEqual(["success", "success"]);
  expect(await registry.settledBlobBytes(mark, image.size)).toBe(image.size);
});

test("silent in the middle of a layer, it is left for another after the idle time, and only the rest is asked for", async () => {
  onTestFailed(() => world.explain());
  const image = await put("acme/silent");
  await registry.limit(PACE);
  const mark = await registry.mark();
  const retried = await count("retried");
  const pulled = engine.pull(`${QUAY.host}/acme/silent:v1`);
  await until("the pull to be under way", 20_000, async () => (await received()) > 4 * MiB);
  await line.stall();
  await until("the silence to be noticed", 60_000, async () => (await sleep(1_000)) ?? (await count("retried")) > retried);
  const before = await received();
  await line.mend();
  expect(outcome(await pulled)).toBe("success");
  await registry.limit(0);
  // what nginx sent into the silence nobody received: only what it was asked for afterwards tells
  const parts = (await registry.hits(mark)).filter(({ status }) => status === 206);
  expect(parts.map(({ bytes }) => bytes)).toEqual([image.layers[1]!.bytes.length - before]);
  await expectKept("acme/silent");
});
