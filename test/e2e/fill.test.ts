// What becomes of a download in its middle: Layover killed, and started again; the disk full of somebody else's.
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import type { Status } from "../../src/admin/answers.ts";
import { Image } from "./image.ts";
import { must } from "./part.ts";
import { until } from "./until.ts";
import { OPEN, World } from "./world.ts";

const MIB = 1024 * 1024;
const DISK = 64 * MIB;
const SIZE = 16 * MIB;
const SLOW = 4 * MIB;

let world: World;

beforeAll(async () => {
  world = await World.start();
  await mkdir(world.layover.data, { recursive: true });
  await must(["mount", "-t", "tmpfs", "-o", `size=${DISK}`, "layover", world.layover.data]);
  await world.layover.start();
});
afterAll(async () => {
  await world?.layover.stop();
  await must(["umount", world.layover.data]);
  await world.stop();
});

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

/** The large layer of a new image, at a rate that leaves time to do something to it. */
const slowLayer = async (repo: string) => {
  const image = await Image.make(SIZE);
  await world.open.put(image, repo, "v1");
  await world.open.limit(SLOW);
  const { digest, bytes } = image.layers[1]!;
  return { digest, bytes, path: `/v2/${repo}/blobs/${digest}` };
};

test("killed in the middle of a download, it asks upstream for the rest only, once somebody who may have it comes", async () => {
  onTestFailed(() => world.explain());
  const { digest, bytes, path } = await slowLayer("acme/killed");
  const file = `${world.dir}/killed`;
  const cut = world.ask(OPEN, path, undefined, file).catch(() => "cut");
  await until("the download to be under way", 20_000, async () => (await sizeOf(file)) > 5 * MIB);
  await world.layover.crash();
  expect(await cut).toBe("cut");
  const spooled = `${world.layover.data}/spool/${digest.replace(":", "-")}`;
  const left = await readFile(spooled);
  expect(left.length).toBeGreaterThan(5 * MIB);
  expect(bytes.subarray(0, left.length).equals(left)).toBe(true);
  await world.layover.start();
  await world.open.limit(0);
  const mark = await world.open.mark();
  expect(await world.ask(OPEN, path)).toEqual({ status: 200, digest });
  // the last byte that was there is asked for again, so that even a download that was whole needs an answer
  const missing = bytes.length - left.length + 1;
  expect(await world.open.settledBlobBytes(mark, missing)).toBe(missing);
  expect(await sizeOf(spooled)).toBe(0);
});

test("a disk that is full in the middle of a download cuts none of its readers", async () => {
  onTestFailed(() => world.explain());
  const { digest, bytes, path } = await slowLayer("acme/full");
  const files = ["one", "two"].map((name) => `${world.dir}/full-${name}`);
  const mark = await world.open.mark();
  const asked = files.map((file) => world.ask(OPEN, path, undefined, file));
  for (const file of files) await until("the download to be under way", 20_000, async () => (await sizeOf(file)) > 2 * MIB);
  const others = `${world.layover.data}/others`;
  await writeFile(others, Buffer.alloc(DISK)).catch(() => undefined); // as much of it as goes
  for (const answer of asked) expect(await answer).toEqual({ status: 200, digest });
  const hits = (await world.open.hits(mark)).filter((hit) => hit.method === "GET" && hit.path.includes(digest));
  expect(hits.filter(({ status }) => status === 206).length).toBe(2);
  expect(await world.open.blobBytes(mark)).toBeLessThan(2 * bytes.length);
  const { flights, ready } = JSON.parse((await world.layover.command("status", "--json")).out) as Status;
  expect(ready).toBe(true);
  expect(flights.counts).toMatchObject({ "failed.full": 1, alone: 2 });
  await rm(others);
  await world.open.limit(0);
  expect(await world.ask(OPEN, path)).toEqual({ status: 200, digest });
});
