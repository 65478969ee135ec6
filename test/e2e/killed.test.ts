// kill -9 in the middle of downloads, again and again: what was held is held, what was under way is taken up from the byte reached, and
// nothing is ever anything but what it is called. And what the disk itself spoils is healed by the next pull.
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import type { Verified } from "../../src/admin/answers.ts";
import { Image } from "./image.ts";
import { lookup } from "./internet.ts";
import { ADDRESS, DNS, gone } from "./layover.ts";
import { outcome } from "./part.ts";
import { until } from "./until.ts";
import { OPEN, World } from "./world.ts";

const MiB = 1024 * 1024;
const PACE = 8 * MiB;
/** What nginx has sent when its client dies, and nobody has written: at most so much each time. */
const LOST = 2 * MiB;
const KILLS = 6;
let world: World;
let held: Image;

beforeAll(async () => {
  world = await World.start();
  held = await Image.make(4 * MiB);
  await world.open.put(held, "acme/held", "v1");
  await world.layover.start({ freshFor: "1h" });
  expect(outcome(await (await world.engine("classic")).pull(`${OPEN}/acme/held:v1`))).toBe("success");
});
afterAll(() => world?.stop());

const verify = async (): Promise<Verified & { code: number | null }> => {
  const { code, out } = await world.layover.command("cache", "verify", "--json");
  return { code, ...(JSON.parse(out) as Verified) };
};

/** Bytes of what is under way. */
const received = async (): Promise<number> => {
  const spool = `${world.layover.data}/spool`;
  const sizes = (await readdir(spool)).map(async (name) => (await stat(`${spool}/${name}`)).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
};

const expectPull = async (name: string, bytes: number): Promise<void> => {
  const mark = await world.open.mark();
  expect(outcome(await (await world.engine("containerd")).pull(`${OPEN}/${name}:v1`))).toBe("success");
  expect(await world.open.settledBlobBytes(mark, bytes)).toBe(bytes);
};

test("killed again and again in the middle of a layer, it asks for each byte once", async () => {
  onTestFailed(() => world.explain());
  const image = await Image.make(24 * MiB);
  await world.open.put(image, "acme/killed", "v1");
  await world.open.limit(PACE);
  const mark = await world.open.mark();
  const layer = `/v2/acme/killed/blobs/${image.layers[1]!.digest}`;
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const before = await received();
    const torn = world.ask(OPEN, layer).catch(() => undefined);
    await until("the download to get on", 20_000, async () => (await received()) > before + 2 * MiB);
    if (kill % 3 === 0) {
      await world.layover.crash();
      await torn;
      await world.layover.start({ freshFor: "1h" });
    } else {
      const front = (await world.layover.front())!;
      process.kill(front, "SIGKILL");
      await torn;
      await until("a new front end", 20_000, async () => (await gone(front)) && (await world.layover.ready()));
    }
  }
  await world.open.limit(0);
  expect(await world.ask(OPEN, layer)).toEqual({ status: 200, digest: image.layers[1]!.digest });
  const bytes = await world.open.settledBlobBytes(mark, image.layers[1]!.bytes.length);
  console.log(`${bytes} bytes of ${image.layers[1]!.bytes.length} after ${KILLS} kills`);
  expect(bytes).toBeLessThan(image.layers[1]!.bytes.length + KILLS * LOST);
  expect(await verify()).toMatchObject({ code: 0, spoiltCount: 0, dropped: 0, strange: [] });
  await expectPull("acme/held", 0);
});

test("killed at any moment while many small images come, it loses nothing that was held", async () => {
  onTestFailed(() => world.explain());
  const skopeo = await world.skopeo();
  let copies = 0;
  const copy = async (name: string) =>
    outcome(await skopeo.run("copy", `docker://${OPEN}/${name}:v1`, `dir:${world.dir}/copy${++copies}`));
  const kept = ["acme/held"];
  for (let turn = 0; turn < 4; turn += 1) {
    const names = [0, 1, 2].map((n) => `acme/small${turn}-${n}`);
    for (const name of names) await world.open.put(await Image.make(MiB), name, "v1");
    const pulls = names.map(copy);
    await sleep(150 + turn * 100);
    const front = (await world.layover.front())!;
    process.kill(front, "SIGKILL");
    await Promise.all(pulls); // some succeed, some do not
    // names lead there later and later, as with any that dies again and again
    const leads = async () => (await lookup(DNS, OPEN))[0]?.address === ADDRESS;
    await until("a new front end", 30_000, async () => (await gone(front)) && (await world.layover.ready()) && (await leads()));
    // at most what was noted to come in that very moment is not there
    const { spoiltCount, strange, dropped } = await verify();
    expect({ spoiltCount, strange }).toEqual({ spoiltCount: 0, strange: [] });
    expect(dropped).toBeLessThanOrEqual(names.length * 4);
    const mark = await world.open.mark();
    for (const name of kept) expect(await copy(name)).toBe("success");
    expect(await world.open.blobBytes(mark)).toBe(0);
    for (const name of names) expect(await copy(name)).toBe("success");
    kept.push(...names);
  }
  expect(await verify()).toMatchObject({ code: 0, spoiltCount: 0, dropped: 0, added: 0, strange: [] });
});

const spoil = async (digest: string): Promise<void> => {
  const hex = digest.slice("sha256:".length);
  const file = `${world.layover.data}/blobs/sha256/${hex.slice(0, 2)}/${hex}`;
  const bytes = await readFile(file);
  bytes[bytes.length >> 1]! ^= 255;
  await writeFile(file, bytes);
};

test("what was spoilt on the disk while it was off is found by the first pull and healed by it, or by the next", async () => {
  onTestFailed(() => world.explain());
  await world.layover.stop();
  const parts = [held.layers[1]!, held.config, held.manifest];
  for (const { digest } of parts) await spoil(digest);
  await world.layover.start({ freshFor: "1h" });
  const mark = await world.open.mark();
  const engine = await world.engine("containerd");
  // of the large one most had been sent before it was known: an engine that goes on from there finds so in its turn, and begins anew
  // once it has thrown away what it had
  await until("the image", 30_000, async () => outcome(await engine.pull(`${OPEN}/acme/held:v1`)) === "success");
  const run = await engine.docker(["image", "inspect", "--format", "{{.Id}}", `${OPEN}/acme/held:v1`]);
  expect(run.out).toContain(held.manifest.digest);
  const asked = (await world.open.hits(mark)).filter(({ method, status }) => method === "GET" && status === 200);
  expect(new Set(asked.map(({ path }) => path.split("/").at(-1)))).toEqual(new Set(parts.map(({ digest }) => digest)));
  expect(await verify()).toMatchObject({ code: 0, spoiltCount: 0 });
  await expectPull("acme/held", 0);
});
