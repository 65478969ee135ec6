// Layover ill, bypassed, or one of a farm: real engines go to the real registry within the life of an answer, and come back by themselves.
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import type { Engine } from "./engine.ts";
import { Image } from "./image.ts";
import { DNS as INTERNET, lookup } from "./internet.ts";
import { ADDRESS, DNS, SCRIPT } from "./layover.ts";
import { must, outcome, Part } from "./part.ts";
import { until } from "./until.ts";
import { OPEN, World } from "./world.ts";

const MiB = 1024 * 1024;
const PACE = 4 * MiB;
const REAL = "10.77.0.7";
/** Of the farm's other front end. */
const OTHER = "10.77.0.10";
let world: World;
let engine: Engine;
let second: Engine;

beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
  [engine, second] = await Promise.all([world.engine("containerd"), world.engine("classic")]);
});
afterAll(() => world?.stop());

const leads = async (to: readonly string[], ms: number): Promise<void> => {
  const addresses = async () => (await lookup(DNS, OPEN)).map(({ address }) => address).toSorted();
  await until(`${OPEN} to lead to ${to.join()}`, ms, async () => (await addresses()).join() === to.toSorted().join());
};

const made = async (name: string, size = MiB): Promise<Image> => {
  const image = await Image.make(size);
  await world.open.put(image, `acme/${name}`, "v1");
  return image;
};

const pull = async (from: Engine, name: string): Promise<string> => outcome(await from.pull(`${OPEN}/acme/${name}:v1`));

/** Bytes of an image's blobs that left the real registry since then, for whomever; what else is under way does not count. */
const blobBytes = async (name: string, mark: number): Promise<number> => {
  const hits = (await world.open.hits(mark)).filter(({ path }) => path.startsWith(`/v2/acme/${name}/blobs/`));
  return hits.reduce((sum, { bytes }) => sum + bytes, 0);
};

/** Both engines get a new image, and this many times its blobs leave the real registry. */
const costs = async (name: string, times: number): Promise<void> => {
  const { size } = await made(name);
  const mark = await world.open.mark();
  expect([await pull(engine, name), await pull(second, name)]).toEqual(["success", "success"]);
  // nginx writes its log after an answer has ended
  await until("nginx's log", 2_000, async () => (await blobBytes(name, mark)) >= times * size).catch(() => undefined);
  expect(await blobBytes(name, mark)).toBe(times * size);
};

const received = async (data: string): Promise<number> => {
  const spool = `${data}/spool`;
  const sizes = await Promise.all((await readdir(spool)).map(async (file) => (await stat(`${spool}/${file}`)).size));
  return sizes.reduce((sum, size) => sum + size, 0);
};

/** A pull of which a good part has come through the front end with one of these data folders: which, and what becomes of the pull. */
const underWay = async (name: string, ...folders: string[]): Promise<{ through: number; ends: Promise<string> }> => {
  await made(name, 24 * MiB);
  await world.open.limit(PACE);
  const ends = pull(engine, name);
  const through = await until("the pull to get on", 20_000, async () => {
    const all = await Promise.all(folders.map(received));
    const found = all.findIndex((bytes) => bytes > 2 * MiB);
    return found < 0 ? undefined : { found };
  });
  return { through: through.found, ends };
};

test("the front end is killed in a pull and stays away: the next pull is the real registry's, and those after it are ours again", async () => {
  onTestFailed(() => world.explain());
  await leads([ADDRESS], 5_000);
  const { ends } = await underWay("killed", world.layover.data);
  const comeBack = world.layover.keepFrontAway();
  await leads([REAL], 3_000);
  await world.open.limit(0);
  console.log(`the pull that was cut: ${(await ends).slice(0, 200)}`);
  await costs("past-the-dead", 2);
  await comeBack();
  await leads([ADDRESS], 20_000);
  await costs("again-after-death", 1);
});

test("the front end hangs in a pull: names lead past it within seconds, and the pull goes on when it does", async () => {
  onTestFailed(() => world.explain());
  const { ends } = await underWay("hung", world.layover.data);
  const front = (await world.layover.front())!;
  process.kill(front, "SIGSTOP");
  await world.open.limit(0);
  await leads([REAL], 5_000);
  await costs("past-the-hanging", 2);
  process.kill(front, "SIGCONT");
  expect(await ends).toBe("success");
  await leads([ADDRESS], 40_000);
  await costs("again-after-hanging", 1);
});

test("on somebody's word engines go past it, while a pull that is under way ends well, and back", async () => {
  onTestFailed(() => world.explain());
  const { ends } = await underWay("bypassed", world.layover.data);
  expect(await world.layover.command("bypass", "on")).toMatchObject({ code: 0 });
  await leads([REAL], 3_000);
  // before the registry is quick again, which takes a restart of it: clients that go there themselves would find it shut
  expect(await ends).toBe("success");
  await world.open.limit(0);
  await costs("in-a-bypass", 2);
  expect(await world.layover.command("bypass", "off")).toMatchObject({ code: 0 });
  await leads([ADDRESS], 3_000);
  await costs("after-a-bypass", 1);
});

test("it is told to end in a pull: who holds an old answer is served, DNS leads past it at once, and the pull ends well", async () => {
  onTestFailed(() => world.explain());
  const { ends } = await underWay("told-to-end", world.layover.data);
  const stopped = world.layover.stop("SIGTERM");
  await leads([REAL], 1_000);
  // as a builder would whose resolver still has the answer of before
  expect((await world.ask(OPEN, "/v2/acme/after-a-bypass/manifests/v1")).status).toBe(200);
  expect(await ends).toBe("success");
  await world.open.limit(0);
  await stopped;
});

/** One half of a farm, which shares a CA; each front end has a store of its own. */
const half = async (name: string, only: "dns" | "front", settings: object, ready: () => Promise<boolean>): Promise<Part> => {
  const dir = `${world.dir}/${name}`;
  await mkdir(dir, { recursive: true });
  const { certificate } = world.layover;
  const config = {
    answer: [ADDRESS, OTHER],
    resolvers: [INTERNET],
    data: `${dir}/data`,
    ca: { certificate, key: certificate.replace("certs/ca.crt", "keys/ca.key") },
    trust: world.authority.certificate,
    log: { level: "info", format: "json" },
    ...settings,
  };
  await writeFile(`${dir}/layover.yaml`, JSON.stringify(config));
  const argv = [process.execPath, SCRIPT, "serve", "--only", only, "--config", `${dir}/layover.yaml`];
  return Part.start(name, argv, `${dir}/log`, ready, { cwd: dir });
};

const readyAt = async (address: string): Promise<boolean> => (await fetch(`http://${address}/readyz`)).ok;

test("of two front ends behind a DNS of their own one dies, hangs, is cut off: pulls go on through the other", async () => {
  const front = (name: string, address: string) => {
    const listen = { dns: [], https: `${address}:443`, http: `${address}:80`, admin: [] };
    return half(name, "front", { listen }, () => readyAt(address));
  };
  const fronts = [await front("one", ADDRESS), await front("other", OTHER)];
  const listen = { dns: [`${DNS}:53`], https: "0.0.0.0:443", http: "0.0.0.0:80", admin: [] };
  const dns = await half("dns", "dns", { listen }, async () => (await lookup(DNS, OPEN)).length > 0);
  onTestFailed(() => console.error(dns.tail(), fronts.map((part) => part.tail(10)).join("\n")));
  try {
    await leads([ADDRESS, OTHER], 5_000);
    const { through, ends } = await underWay("farmed", `${world.dir}/one/data`, `${world.dir}/other/data`);
    const [dead, left] = through === 0 ? [0, 1] : [1, 0];
    const address = [ADDRESS, OTHER][left]!;
    fronts[dead]!.kill("SIGKILL");
    await leads([address], 4_500);
    await world.open.limit(0);
    console.log(`the pull through the one that died: ${(await ends).slice(0, 200)}`);
    await costs("through-the-other", 1);

    fronts[left]!.kill("SIGSTOP");
    await leads([REAL], 4_500);
    await costs("past-both", 2);
    fronts[left]!.kill("SIGCONT");
    await leads([address], 20_000);
    await costs("through-the-other-again", 1);

    // no answer to a SYN, not even a refusal
    await must(["iptables", "-I", "INPUT", "-d", address, "-p", "tcp", "--syn", "-j", "DROP"]);
    await leads([REAL], 4_500);
    await must(["iptables", "-D", "INPUT", "-d", address, "-p", "tcp", "--syn", "-j", "DROP"]);
    await leads([address], 30_000);
  } finally {
    await Promise.all([dns, ...fronts].map((part) => part.stop("SIGKILL")));
  }
});
