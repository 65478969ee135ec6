// A small disk that a hosted site fills: pushes are refused and say why, mirrors go by uncached, and nothing that was pushed goes.
import { mkdir, readdir } from "node:fs/promises";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import type { Status, Verified } from "../../src/admin/answers.ts";
import type { Client } from "./clients/client.ts";
import { CLIENTS } from "./clients/every.ts";
import { Image } from "./image.ts";
import { ADDRESS } from "./layover.ts";
import { must } from "./part.ts";
import { OPEN, World } from "./world.ts";

const MIB = 1024 * 1024;
const DISK = 48 * MIB;
const HOST = "images.build.example";
const IMAGES = 8;

let world: World;
let crane: Client;
beforeAll(async () => {
  world = await World.start();
  await mkdir(world.layover.data, { recursive: true });
  await must(["mount", "-t", "tmpfs", "-o", `size=${DISK}`, "small disk", world.layover.data]);
  await world.layover.start({}, { sites: { [HOST]: { kind: "local", access: "anonymous" } } });
  crane = await world.client(CLIENTS.crane, { ...world.behind, ca: { ...world.behind.ca!, hosts: [HOST, OPEN] } });
});
afterAll(async () => {
  await world?.layover.stop();
  await must(["umount", world.layover.data]);
  await world?.stop();
});

const command = async <T>(...args: string[]): Promise<T> => JSON.parse((await world.layover.command(...args, "--json")).out) as T;

test("is filled, refuses more, and goes on with all else", { timeout: 120_000 }, async () => {
  onTestFailed(() => world.explain());
  await world.open.put(await Image.make(8 * MIB), "acme/mirrored", "v1");
  await crane.pull(`${OPEN}/acme/mirrored:v1`);
  const pushed = new Map<string, string>();
  let refusal = "";
  for (let n = 0; n < IMAGES && refusal === ""; n += 1) {
    const reference = `${HOST}/acme/app:v${n}`;
    await crane.push!(await Image.make(8 * MIB), reference).then(
      (digest) => void pushed.set(reference, digest),
      (error: unknown) => (refusal = String(error)),
    );
  }
  expect(refusal).toMatch(/STORE_FULL|507/);
  expect(pushed.size).toBeGreaterThan(2);
  const { room, notes } = await command<Status>("status");
  expect([room.full, notes.join()]).toEqual([true, expect.stringContaining("nothing new is kept")]);
  expect(await (await fetch(`http://${ADDRESS}/readyz`)).text()).toContain("nothing new is kept");
  // of the layers that came beside the one that was refused its client may still go on with some
  expect((await readdir(`${world.layover.data}/spool`)).length).toBeLessThan(3);
  // the mirror's copy has made way, and is fetched past the store
  await crane.pull(`${OPEN}/acme/mirrored:v1`);
  for (const [reference, digest] of pushed) expect(await crane.pull(reference)).toBe(digest);
  expect(await command<Verified>("cache", "verify")).toMatchObject({ spoiltCount: 0, dropped: 0, added: 0 });
});
