// The managed mirror, as builders and whoever looks after it see it: upstream moves its tags, and nothing moves here before a sync; a sync
// that fails or is killed shows nothing; every change can be backed out, with nobody upstream.
import { readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { CLIENTS } from "./clients/every.ts";
import type { Kind } from "./engine.ts";
import { Image, Index } from "./image.ts";
import { gone } from "./layover.ts";
import { outcome, type Ran } from "./part.ts";
import { until } from "./until.ts";
import { Upstream } from "./upstream.ts";
import { OPEN, QUAY, World } from "./world.ts";

const MiB = 1024 * 1024;
const APP = "acme/app";
const NAME = `${OPEN}/${APP}:v1`;
const NOTE = "application/vnd.lab.note";
let world: World;
let quay: Upstream;
let list: string;
let hooks: Server;
const told: { event: string; text: string }[] = [];

const entry = { source: `${OPEN}/${APP}`, tags: ["v*"], backup: "{{tag}}.{{run}}", keep: 2 };

const write = (entries: readonly object[]) => writeFile(list, JSON.stringify(entries));
const start = () =>
  world.layover.start(
    { freshFor: "1s" },
    {
      mirror: list,
      sites: { [OPEN]: { onMissing: "refuse" }, [QUAY.host]: {} },
      notify: [{ url: "http://127.0.0.9:8099/hook", on: ["change", "failure"] }],
    },
  );

beforeAll(async () => {
  world = await World.start();
  quay = await Upstream.make(world.authority, QUAY.host, QUAY.address, `${world.dir}/quay`, undefined, "referrers-registry");
  await quay.start();
  list = `${world.dir}/mirror.json`;
  hooks = createServer((req, res) => {
    let text = "";
    req.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    req.on("end", () => {
      told.push(JSON.parse(text) as (typeof told)[number]);
      res.end();
    });
  });
  await new Promise<void>((resolve) => hooks.listen(8099, "127.0.0.9", resolve));
  await write([entry]);
  await start();
});
afterAll(async () => {
  hooks?.close();
  await quay?.stop();
  await world?.stop();
});

const mirror = async (...args: string[]): Promise<Ran & { json: unknown }> => {
  const ran = await world.layover.command("mirror", ...args, "--json");
  return { ...ran, json: ran.out === "" ? undefined : JSON.parse(ran.out) };
};
const sync = async (...args: string[]): Promise<void> => {
  const { code, err, out } = await world.layover.command("mirror", "sync", ...args);
  expect(code, `${err}${out}`).toBe(0);
};
const tags = async (...args: string[]): Promise<string> => {
  const { code, err, out } = await world.layover.command("tags", ...args);
  expect(code, `${err}${out}`).toBe(0);
  return out;
};
/** What a builder that has nothing gets. */
const pulled = async (kind: Kind, name: string): Promise<string> => {
  const engine = await world.engine(kind);
  const ran = await engine.pull(name);
  expect(outcome(ran)).toBe("success");
  const { out } = await engine.docker(["image", "inspect", "-f", "{{index .RepoDigests 0}}", name]);
  await engine.stop();
  return out.trim().split("@")[1]!;
};
const crane = async (name: string): Promise<string> => (await world.client(CLIENTS.crane)).pull(name);
const put = async (tag: string, size = MiB): Promise<Image> => {
  const image = await Image.make(size);
  await world.open.put(image, APP, tag);
  return image;
};

describe("a tag that upstream moves", () => {
  let first: Image;
  let second: Image;

  test("is what the last sync found, for real builders, until the next sync", async () => {
    onTestFailed(() => world.explain());
    first = await put("v1");
    const refused = await (await world.engine("classic")).pull(NAME);
    expect(refused.code).not.toBe(0);
    expect(refused.err).toMatch(/not in this mirror/);
    await sync("--run", "1");
    expect(await pulled("classic", NAME)).toBe(first.manifest.digest);
    second = await put("v1");
    const mark = await world.open.mark();
    for (const kind of ["classic", "containerd"] as const) expect(await pulled(kind, NAME)).toBe(first.manifest.digest);
    expect((await world.open.hits(mark)).filter(({ path }) => path.includes("/manifests/v1"))).toEqual([]);
    expect(await mirror("check", "--exit-code")).toMatchObject({ code: 4 });
    await sync("--run", "2");
    expect(await mirror("check", "--exit-code")).toMatchObject({ code: 0 });
    for (const kind of ["classic", "containerd"] as const) expect(await pulled(kind, NAME)).toBe(second.manifest.digest);
    expect(await crane(`${NAME}.2`)).toBe(first.manifest.digest);
    await until("the change to be told", 10_000, async () => told.some(({ event }) => event === "change"));
  });

  test("goes back by one command with nobody upstream, and stays there whatever syncs say, until it is released", async () => {
    onTestFailed(() => world.explain());
    await world.disconnect();
    await tags("rollback", NAME);
    for (const kind of ["classic", "containerd"] as const) expect(await pulled(kind, NAME)).toBe(first.manifest.digest);
    await world.connect();
    await sync();
    expect(await crane(NAME)).toBe(first.manifest.digest);
    const history = await tags("history", NAME);
    expect(history).toMatch(/rollback.*sync.*sync/s);
    await world.layover.crash();
    await start();
    expect(await crane(NAME)).toBe(first.manifest.digest);
    await tags("unpin", NAME);
    await sync("--run", "3");
    expect(await pulled("classic", NAME)).toBe(second.manifest.digest);
  });
});

describe("a sync that is cut off", () => {
  test("by an outage leaves the old state, and goes on later", async () => {
    onTestFailed(() => world.explain());
    const before = await crane(NAME);
    const image = await put("v1", 24 * MiB);
    await world.open.limit(4 * MiB);
    const mark = await world.open.mark();
    const cut = world.layover.command("mirror", "sync");
    await until(
      "the sync to get on",
      20_000,
      async () => (await world.layover.command("status")).out.includes("layers") || (await world.open.mark()) > mark + 3,
    );
    await world.disconnect();
    expect((await cut).code).toBe(1);
    expect(await pulled("classic", NAME)).toBe(before);
    await world.connect();
    await world.open.limit(0);
    await sync("--run", "4");
    expect(await pulled("classic", NAME)).toBe(image.manifest.digest);
  });

  test("by kill -9 resumes, and asks for each byte once", async () => {
    onTestFailed(() => world.explain());
    const before = await crane(NAME);
    const image = await put("v1", 24 * MiB);
    await world.open.limit(8 * MiB);
    const mark = await world.open.mark();
    const cut = world.layover.command("mirror", "sync");
    await until("the sync to get on", 20_000, async () => (await world.open.hits(mark)).length > 3);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    const front = (await world.layover.front())!;
    process.kill(front, "SIGKILL");
    expect((await cut).code).not.toBe(0);
    await until("a new front end", 20_000, async () => (await gone(front)) && (await world.layover.ready()));
    expect(await crane(NAME)).toBe(before);
    await world.open.limit(0);
    await sync("--run", "5");
    expect(await crane(NAME)).toBe(image.manifest.digest);
    expect(await world.open.settledBlobBytes(mark, image.size)).toBeLessThan(image.size + 4 * MiB);
  });
});

test("backup names expire with what they stand for, and what is kept is there", async () => {
  onTestFailed(() => world.explain());
  const ls = await world.layover.command("tags", "ls", `${OPEN}/${APP}`, "--json");
  expect(ls.code).toBe(0);
  const names = [...ls.out.matchAll(/"tag": ?"([^"]+)"/g)].map(([, name]) => name);
  expect(names.toSorted((a = "", b = "") => (a < b ? -1 : 1))).toEqual(["v1", "v1.4", "v1.5"]);
  for (const name of ["v1.4", "v1.5"]) await crane(`${OPEN}/${APP}:${name}`);
  await expect(crane(`${OPEN}/${APP}:v1.2`)).rejects.toThrow(/not in this mirror|DENIED/);
});

test("every platform and what refers to it comes along to the last bit", async () => {
  onTestFailed(() => world.explain());
  const index = await Index.make(64 * 1024);
  await quay.putIndex(index, "acme/many", "v1");
  const regctl = await world.client(CLIENTS.regctl, world.direct);
  const note = await regctl.attach!(`${QUAY.host}/acme/many:v1`, NOTE);
  await write([entry, { source: `${QUAY.host}/acme/many:v1` }]);
  await until("the list to be followed", 10_000, async () => (await mirror("status")).out.includes("acme/many"));
  await sync();
  await quay.stop();
  const skopeo = await world.skopeo();
  const copy = `${world.dir}/many`;
  expect(outcome(await skopeo.run("copy", "--all", `docker://${QUAY.host}/acme/many:v1`, `dir:${copy}`))).toBe("success");
  expect(await readFile(`${copy}/manifest.json`)).toEqual(index.manifest.bytes);
  const there = await world.client(CLIENTS.regctl);
  expect(await there.referrers!(`${QUAY.host}/acme/many:v1`)).toEqual([note]);
  await quay.start();
});

test("a failing hook keeps a tag where it is", async () => {
  onTestFailed(() => world.explain());
  const before = await crane(NAME);
  const image = await put("v1");
  await write([{ ...entry, hooks: { pre: 'test "$LAYOVER_NEW_DIGEST" != "" && echo no && exit 3' } }]);
  await until("the list to be followed", 10_000, async () => !(await mirror("status")).out.includes("acme/many"));
  const stopped = await world.layover.command("mirror", "sync");
  expect(stopped.code, stopped.out).toBe(1);
  expect(await crane(NAME)).toBe(before);
  expect(await crane(`${OPEN}/${APP}@${image.manifest.digest}`)).toBe(image.manifest.digest);
  await until("the failure to be told", 10_000, async () => told.some(({ event }) => event === "failure"));
  await write([entry]);
});

test("a lost data folder is restored by one sync", async () => {
  onTestFailed(() => world.explain());
  await world.layover.stop();
  await rm(world.layover.data, { recursive: true });
  await start();
  await sync();
  const { out } = await world.layover.command("tags", "ls", `${OPEN}/${APP}`);
  expect(out).toContain("v1");
  await world.disconnect();
  expect(await pulled("classic", NAME)).toMatch(/^sha256:/);
});
