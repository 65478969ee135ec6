// A data folder on a small disk of its own: more is pulled than it takes, others fill it, and every pull goes on.
import { mkdir, rm, statfs, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import type { Status, Verified } from "../../src/admin/answers.ts";
import type { Skopeo } from "./engine.ts";
import { Image } from "./image.ts";
import { ADDRESS } from "./layover.ts";
import { must, outcome } from "./part.ts";
import { until } from "./until.ts";
import { OPEN, World } from "./world.ts";

const MIB = 1024 * 1024;
const DISK = 24 * MIB;
/** Together about twice what the disk takes. */
const IMAGES = 10;
const SIZE = 3 * MIB;

let world: World;
let skopeo: Skopeo;
const images: Image[] = [];

beforeAll(async () => {
  world = await World.start();
  await mkdir(world.layover.data, { recursive: true });
  await must(["mount", "-t", "tmpfs", "-o", `size=${DISK}`, "layover", world.layover.data]);
  for (let n = 0; n < IMAGES; n += 1) {
    images.push(await Image.make(SIZE));
    await world.open.put(images[n]!, `acme/app-${n}`, "v1");
  }
  await world.layover.start();
  skopeo = await world.skopeo();
});
afterAll(async () => {
  await world?.layover.stop();
  await must(["umount", world.layover.data]);
  await world.stop();
});

const status = async (): Promise<Status> => JSON.parse((await world.layover.command("status", "--json")).out) as Status;

let pulls = 0;
const pull = async (n: number): Promise<string> => {
  pulls += 1;
  const into = `${world.dir}/pulled-${pulls}`;
  const ran = await skopeo.run("copy", `docker://${OPEN}/acme/app-${n}:v1`, `oci:${into}:v1`);
  await rm(into, { recursive: true, force: true });
  return outcome(ran);
};

const notes = async (): Promise<string> => (await fetch(`http://${ADDRESS}/readyz`)).text();

test("more is pulled than the disk takes, and what was used last is held", async () => {
  onTestFailed(() => world.explain());
  for (let n = 0; n < IMAGES; n += 1) expect(await pull(n)).toBe("success");
  const { room, ready } = await status();
  expect(ready).toBe(true);
  expect(room.full).toBe(false);
  expect(room.held).toBeGreaterThan(DISK / 2);
  expect(room.free).toBeGreaterThan(DISK * 0.08);
  expect(room.lastSweep?.freed).toBeGreaterThan(0);
  const mark = await world.open.mark();
  expect(await pull(IMAGES - 1)).toBe("success");
  expect(await world.open.blobBytes(mark)).toBe(0);
});

test("what has gone comes again, whole, and nothing that is held is spoilt", async () => {
  onTestFailed(() => world.explain());
  const mark = await world.open.mark();
  expect(await pull(0)).toBe("success");
  await until("nginx to have written its log", 2_000, async () => (await world.open.blobBytes(mark)) >= images[0]!.size);
  expect(await world.open.blobBytes(mark)).toBe(images[0]!.size);
  const { code, out } = await world.layover.command("cache", "verify", "--json");
  expect({ code, ...(JSON.parse(out) as Verified) }).toMatchObject({ code: 0, spoiltCount: 0, dropped: 0, added: 0 });
});

test("while others fill the disk pulls go on and nothing is kept, which is said; afterwards it is kept again", async () => {
  onTestFailed(() => world.explain());
  const others = `${world.layover.data}/others`;
  // as the disk says it now; what Layover tells of it may be a second old
  const { bavail, bsize } = await statfs(world.layover.data);
  // what is held and what is free, but for a little: no image finds room, however much makes way for it
  await writeFile(others, Buffer.alloc(bavail * bsize - MIB));
  for (const n of [1, 2]) expect(await pull(n)).toBe("success");
  await writeFile(others, Buffer.alloc(DISK - 3 * MIB)).catch(() => undefined); // as much of it as goes
  for (const n of [3, 4, 3]) expect(await pull(n)).toBe("success");
  expect((await status()).ready).toBe(true);
  expect(await notes()).toContain("nothing new is kept");
  await rm(others);
  await until("the room to be noticed", 10_000, async () => {
    expect(await pull(5)).toBe("success");
    const mark = await world.open.mark();
    expect(await pull(5)).toBe("success");
    return (await world.open.blobBytes(mark)) === 0;
  });
  expect(await notes()).not.toContain("nothing new is kept");
  expect((await status()).room.full).toBe(false);
});
