// Whoever runs the machine: fetches ahead of the engines, looks through what is held, finds what the disk has spoilt, forgets.
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, onTestFailed, onTestFinished, test } from "vitest";
import type { Shown, Status, Verified, WarmAnswer } from "../../src/admin/answers.ts";
import type { Engine } from "./engine.ts";
import { Image } from "./image.ts";
import { ADDRESS } from "./layover.ts";
import { outcome, Part, type Ran, run } from "./part.ts";
import { USERS } from "./tokens.ts";
import { until } from "./until.ts";
import { GUARDED, OPEN, World } from "./world.ts";

const NAME = `${OPEN}/acme/app:v1`;
let world: World;
let engine: Engine;
let image: Image;

beforeAll(async () => {
  world = await World.start();
  image = await Image.make();
  await world.open.put(image, "acme/app", "v1");
  await world.guarded.put(await Image.make(2048), "alice/private", "v1");
  await world.layover.start({ freshFor: "1s" });
  engine = await world.engine("containerd");
});
afterAll(() => world?.stop());

const command = async <T>(...args: string[]): Promise<T & { code: number | null }> => {
  const { code, out } = await world.layover.command(...args, "--json");
  return { code, ...(JSON.parse(out) as T) };
};

const blobFile = async (digest: string): Promise<string> => {
  const hex = digest.slice("sha256:".length);
  const file = `${world.layover.data}/blobs/sha256/${hex.slice(0, 2)}/${hex}`;
  await stat(file);
  return file;
};

const pullAnew = async (): Promise<Ran> => {
  await engine.docker(["image", "rm", "-f", NAME]);
  return engine.pull(NAME);
};

test("an image that was fetched ahead costs the first engine no upstream blob byte", async () => {
  onTestFailed(() => world.explain());
  const warmed = await command<WarmAnswer>("warm", NAME);
  expect(warmed).toMatchObject({ code: 0, images: [{ reference: NAME, failures: [] }] });
  expect(warmed.images[0]!.fetched).toBe(image.size);
  const mark = await world.open.mark();
  expect(outcome(await engine.pull(NAME))).toBe("success");
  expect(await world.open.blobBytes(mark)).toBe(0);
});

test("a private image is fetched ahead with its owner's password, through the token server, and stays his", async () => {
  onTestFailed(() => world.explain());
  const login = `${world.dir}/login`;
  await writeFile(login, `alice:${USERS["alice"]}\n`, { mode: 0o600 });
  const name = `${GUARDED}/alice/private:v1`;
  expect((await command<WarmAnswer>("warm", name)).code).toBe(1);
  expect(await command<WarmAnswer>("warm", name, "--credentials", login)).toMatchObject({ code: 0, images: [{ failures: [] }] });
  expect((await world.ask(GUARDED, "/v2/alice/private/manifests/v1")).status).toBe(401);
});

test("neither the token nor a password is ever logged", async () => {
  const token = (await readFile(`${world.layover.data}/admin.token`, "utf8")).trim();
  const password = USERS["alice"]!;
  const log = world.layover.tail(Number.POSITIVE_INFINITY);
  expect(log).toContain("/api/v1/warm");
  for (const secret of [token, password, Buffer.from(`alice:${password}`).toString("base64")]) expect(log).not.toContain(secret);
});

test("what is held is shown, and how everything stands", async () => {
  onTestFailed(() => world.explain());
  const shown = await command<Shown>("cache", "show", NAME);
  expect(shown).toMatchObject({ code: 0, digest: image.manifest.digest, held: true });
  expect(shown.bytes.held).toBe(shown.bytes.named);
  expect((await world.layover.command("cache", "ls", `${OPEN}/acme/app`)).out).toMatch(/^TAG .*\nv1 {3}sha256:/);
  const status = await command<Status>("status");
  expect(status).toMatchObject({ code: 0, ready: true });
  expect(status.sites.map(({ site }) => site)).toEqual(expect.arrayContaining([OPEN, GUARDED]));
  expect((await world.layover.command("explain", NAME)).out).toMatch(/\nnow {9}\w+/);
});

test("a real Prometheus scrapes it by the admin token, and finds nothing wrong with what it is told", async () => {
  onTestFailed(() => world.explain());
  const dir = `${world.dir}/prometheus`;
  await mkdir(dir);
  const target = {
    job_name: "layover",
    scrape_interval: "1s",
    authorization: { credentials_file: `${world.layover.data}/admin.token` },
    static_configs: [{ targets: [`${ADDRESS}:9180`] }],
  };
  await writeFile(`${dir}/prometheus.yml`, JSON.stringify({ scrape_configs: [target] }));
  const api = "http://127.0.0.1:9090";
  const argv = ["prometheus", `--config.file=${dir}/prometheus.yml`, `--storage.tsdb.path=${dir}/data`];
  const ready = async () => (await fetch(`${api}/-/ready`)).ok;
  const prometheus = await Part.start("prometheus", [...argv, "--web.listen-address=127.0.0.1:9090"], `${dir}/log`, ready);
  onTestFinished(() => prometheus.stop());
  const sampleOf = async (query: string) => {
    const answer = await fetch(`${api}/api/v1/query?query=${encodeURIComponent(query)}`);
    const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } };
    return data.result[0]?.value[1];
  };
  await until("a scrape", 15_000, async () => (await sampleOf('up{job="layover"}')) === "1");
  expect(await sampleOf("layover_ready")).toBe("1");
  expect(Number(await sampleOf('layover_flight_events_total{event="landed"}'))).toBeGreaterThan(0);
  expect(await sampleOf(`layover_upstream_up{site="${OPEN}"}`)).toBe("1");
  const curl = `curl -sS -H "Authorization: Bearer $(cat ${world.layover.data}/admin.token)" http://${ADDRESS}:9180/metrics`;
  const { code, out, err } = await run(["sh", "-c", `${curl} | promtool check metrics`]);
  expect({ code, out, err }).toEqual({ code: 0, out: "", err: "" });
});

test("a layer that the disk has spoilt is found, and healed by the next pull", async () => {
  onTestFailed(() => world.explain());
  expect(await command<Verified>("cache", "verify")).toMatchObject({ code: 0, spoiltCount: 0, dropped: 0 });
  const { parts } = await command<Shown>("cache", "show", NAME);
  const layer = parts.find(({ role }) => role === "layer")!;
  const file = await blobFile(layer.digest);
  const bytes = await readFile(file);
  bytes[bytes.length >> 1]! ^= 255;
  await writeFile(file, bytes);
  const verified = await command<Verified>("cache", "verify");
  expect(verified).toMatchObject({ code: 1, spoilt: [{ digest: layer.digest }] });
  const mark = await world.open.mark();
  expect(outcome(await pullAnew())).toBe("success");
  expect(await world.open.blobBytes(mark)).toBe(layer.size);
  expect(await command<Verified>("cache", "verify")).toMatchObject({ code: 0, spoiltCount: 0 });
});

test("what was forgotten comes from upstream again", async () => {
  onTestFailed(() => world.explain());
  expect(outcome(await world.layover.command("cache", "rm", NAME))).toBe("success");
  expect((await world.layover.command("cache", "show", NAME)).code).toBe(1);
  const mark = await world.open.mark();
  expect(outcome(await pullAnew())).toBe("success");
  expect(await world.open.blobBytes(mark)).toBe(image.size);
});

test("with Layover stopped, the store alone answers, and Layover starts on it again", async () => {
  onTestFailed(() => world.explain());
  await world.layover.stop();
  expect(await command<Shown>("cache", "show", NAME)).toMatchObject({ code: 0, held: true });
  expect(await command<Verified>("cache", "verify")).toMatchObject({ code: 0, spoiltCount: 0 });
  expect((await world.layover.command("status")).code).toBe(3);
  await world.layover.start();
  expect(outcome(await pullAnew())).toBe("success");
});
