// A disk that is full, and a store that is: pulls go on all the time, nothing half is kept, it is said once, and what comes when there is
// room again is kept. What makes way is what was used longest ago.
import { mkdir, readdir, rm, stat, statfs, writeFile } from "node:fs/promises";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Listing, Status, Verified } from "../../src/admin/answers.ts";
import { CLIENTS } from "./clients/every.ts";
import { Image } from "./image.ts";
import { ADDRESS } from "./layover.ts";
import { must, outcome } from "./part.ts";
import { until } from "./until.ts";
import { GUARDED, OPEN, World } from "./world.ts";

const MiB = 1024 * 1024;
const DISK = 96 * MiB;
const FULL = "nothing new is kept";
let world: World;

beforeAll(async () => {
  world = await World.start();
  await mkdir(world.layover.data, { recursive: true });
  await must(["mount", "-t", "tmpfs", "-o", `size=${DISK}`, "small disk", world.layover.data]);
});
afterAll(async () => {
  await world?.layover.stop();
  await must(["umount", world.layover.data]);
  await world?.stop();
});

const command = async <T>(...args: string[]): Promise<T> => {
  const ran = await world.layover.command(...args, "--json");
  if (ran.code !== 0) throw new Error(outcome(ran));
  return JSON.parse(ran.out) as T;
};
const status = () => command<Status>("status");
const put = async (name: string, size?: number): Promise<Image> => {
  const image = await Image.make(size);
  await world.open.put(image, name, "v1");
  return image;
};
const spool = () => readdir(`${world.layover.data}/spool`);
const readyz = async () => (await fetch(`http://${ADDRESS}/readyz`)).text();
const said = (what: string) => world.layover.tail(Number.POSITIVE_INFINITY).split(what).length - 1;

describe("others fill the disk", () => {
  beforeAll(() => world.layover.start({ freshFor: "1s" }));
  afterEach(() => rm(ballast(), { force: true }));

  const ballast = () => `${world.layover.data}/ballast`;
  /** Leaves so many bytes. */
  const fillUp = async (left: number): Promise<void> => {
    const { bavail, bsize } = await statfs(world.layover.data);
    const bytes = Buffer.alloc(bavail * bsize - left);
    await writeFile(ballast(), bytes).catch((error: NodeJS.ErrnoException) => {
      if (left > 0 || error.code !== "ENOSPC") throw error;
    });
  };

  test("an image for which there is no room is pulled all the same, and not kept", async () => {
    onTestFailed(() => world.explain());
    await put("acme/large");
    await fillUp(20 * MiB);
    for (const kind of ["classic", "containerd"] as const)
      expect(outcome(await (await world.engine(kind)).pull(`${OPEN}/acme/large:v1`))).toBe("success");
    expect(await spool()).toEqual([]);
    expect((await status()).room.full).toBe(true);
    expect((await status()).notes.join()).toContain(FULL);
    expect(await readyz()).toContain(FULL);
    expect(said(FULL)).toBe(1);
  });

  test.each([
    ["with too little room", 8 * MiB],
    ["with none", 0],
  ])("a push goes through %s, and is pulled then", async (what, left) => {
    onTestFailed(() => world.explain());
    await fillUp(left);
    const image = await Image.make();
    const repository = `acme/pushed-${left}`;
    for (const name of ["crane", "docker-29"] as const) {
      const client = await world.client(CLIENTS[name]);
      const digest = await client.push!(image, `${OPEN}/${repository}:${name}`);
      expect(await world.open.whole(repository, name), what).toBe(digest);
    }
    expect(await (await world.client(CLIENTS.crane)).pull(`${OPEN}/${repository}:crane`)).toBe(image.manifest.digest);
    expect(await spool()).toEqual([]);
  });

  test("when there is room again it is kept", async () => {
    onTestFailed(() => world.explain());
    const name = `${OPEN}/acme/large:v1`;
    const crane = await world.client(CLIENTS.crane);
    await until("the room to be seen", 5_000, async () => (await status()).room.left > 30 * MiB);
    await crane.pull(name);
    const mark = await world.open.mark();
    expect(outcome(await (await world.engine("classic")).pull(name))).toBe("success");
    expect(await world.open.blobBytes(mark)).toBe(0);
    expect(await status()).toMatchObject({ ready: true, notes: [], room: { full: false } });
    expect(said("there is room again")).toBe(1);
  });

  test("filled up to the last byte in the middle of a download, every reader gets the rest", async () => {
    onTestFailed(() => world.explain());
    const image = await put("acme/midway");
    await world.open.limit(6 * MiB);
    const clients = [await world.client(CLIENTS.skopeo), await world.client(CLIENTS.crane)];
    const engine = await world.engine("containerd");
    const pulls = [...clients.map((client) => client.pull(`${OPEN}/acme/midway:v1`)), engine.pull(`${OPEN}/acme/midway:v1`)];
    await until("the download to be under way", 20_000, async () => {
      const [name] = await spool();
      return name !== undefined && (await stat(`${world.layover.data}/spool/${name}`)).size > 4 * MiB;
    });
    await fillUp(0);
    const [one, two, three] = await Promise.all(pulls);
    expect([one, two]).toEqual([image.manifest.digest, image.manifest.digest]);
    expect(outcome(three as Awaited<ReturnType<typeof engine.pull>>)).toBe("success");
    await world.open.limit(0);
    expect(await spool()).toEqual([]);
    expect(await world.layover.ready()).toBe(true);
  });

  test("and nothing that is held is anything but what it is called", async () => {
    expect(await command<Verified>("cache", "verify")).toMatchObject({ spoiltCount: 0, dropped: 0, strange: [] });
  });
});

describe("more is pulled than may be kept", () => {
  const CAP = 40 * MiB;
  const RULES = [{ match: "acme/pinned:*", pin: true }];

  beforeAll(async () => {
    await world.layover.stop();
    await must(["find", world.layover.data, "-mindepth", "1", "-delete"]);
    await world.layover.start({ freshFor: "1s", rules: RULES }, { maxSize: `${CAP / MiB}MiB` });
  });

  const repositories = async (): Promise<string[]> => {
    const listing = await command<Listing>("cache", "ls", OPEN);
    return listing.kind === "repositories"
      ? listing.repositories.filter(({ held }) => held > 0).map(({ repository }) => repository)
      : [];
  };

  test("the oldest go, what is pinned and what is on its way stay, and every pull succeeds", async () => {
    onTestFailed(() => world.explain());
    const crane = await world.client(CLIENTS.crane);
    const pinned = await put("acme/pinned", 4 * MiB);
    expect(await crane.pull(`${OPEN}/acme/pinned:v1`)).toBe(pinned.manifest.digest);
    const slow = await Image.make(10 * MiB);
    await world.guarded.put(slow, "alice/slow", "v1");
    await world.guarded.limit(MiB);
    const skopeo = await world.client(CLIENTS.skopeo);
    await skopeo.login("alice", GUARDED);
    const slowly = skopeo.pull(`${GUARDED}/alice/slow:v1`);
    await until("the download to be under way", 20_000, async () => (await status()).room.growing > MiB);
    for (let turn = 1; turn <= 6; turn += 1) {
      const image = await put(`acme/app${turn}`, 7 * MiB);
      expect(await crane.pull(`${OPEN}/acme/app${turn}:v1`)).toBe(image.manifest.digest);
      const { room } = await status();
      expect(room.held + room.growing).toBeLessThanOrEqual(CAP);
    }
    const { flights } = await status();
    expect(flights.underWay).toHaveLength(1);
    expect(await slowly).toBe(slow.manifest.digest);
    const held = await repositories();
    expect(held).toEqual(expect.arrayContaining(["acme/pinned", "acme/app6"]));
    expect(held).not.toContain("acme/app1");
    const mark = await world.open.mark();
    for (const name of ["pinned", "app6"]) await crane.pull(`${OPEN}/acme/${name}:v1`);
    expect(await world.open.blobBytes(mark)).toBe(0);
    const asked = await world.guarded.mark();
    expect(await skopeo.pull(`${GUARDED}/alice/slow:v1`)).toBe(slow.manifest.digest);
    expect((await world.guarded.hits(asked)).filter(({ path }) => path.endsWith(slow.layers[1]!.digest))).toEqual([]);
    expect(await command<Verified>("cache", "verify")).toMatchObject({ spoiltCount: 0, dropped: 0, added: 0, strange: [] });
  });

  test("a layer larger than the cap goes by, which is said once; under a larger cap it is kept", async () => {
    onTestFailed(() => world.explain());
    const name = `${OPEN}/acme/huge:v1`;
    const { manifest } = await put("acme/huge", CAP + MiB);
    const crane = await world.client(CLIENTS.crane);
    for (let turn = 0; turn < 3; turn += 1) expect(await crane.pull(name)).toBe(manifest.digest);
    expect(said("larger than all that may be held")).toBe(1);
    expect(await status()).toMatchObject({ ready: true, notes: [], room: { full: false } });
    expect(await repositories()).toContain("acme/pinned");
    await world.layover.stop();
    await world.layover.start({ freshFor: "1s", rules: RULES }, { maxSize: `${(2 * CAP) / MiB}MiB` });
    await crane.pull(name);
    const mark = await world.open.mark();
    expect(outcome(await (await world.engine("classic")).pull(name))).toBe("success");
    expect(await world.open.blobBytes(mark)).toBe(0);
  });

  test("what is forgotten makes room", async () => {
    onTestFailed(() => world.explain());
    const before = (await status()).room;
    const ran = await world.layover.command("cache", "rm", `${OPEN}/acme/huge`);
    expect(outcome(ran)).toBe("success");
    const { held, left } = (await status()).room;
    expect(held).toBeLessThan(before.held - CAP);
    expect(left).toBeGreaterThan(before.left + CAP);
  });
});
