// What happens when Layover itself fails: builders go direct while the front end is away, and nothing held is lost.
import { stat } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Verified } from "../../src/admin/answers.ts";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import type { Engine } from "./engine.ts";
import { Image } from "./image.ts";
import { lookup } from "./internet.ts";
import { ADDRESS, DNS, gone } from "./layover.ts";
import { outcome } from "./part.ts";
import { until } from "./until.ts";
import { OPEN, World } from "./world.ts";

const SLOW = 4 * 1024 * 1024;
let world: World;
let engine: Engine;
let held: Image;

beforeAll(async () => {
  world = await World.start();
  held = await Image.make();
  await world.open.put(held, "acme/held", "v1");
  await world.layover.start();
  engine = await world.engine("classic");
  expect(outcome(await engine.pull(`${OPEN}/acme/held:v1`))).toBe("success");
});
afterAll(() => world?.stop());

const address = async () => (await lookup(DNS, OPEN, 500))[0]?.address;
const hijacked = () =>
  until("hijacking to return", 30_000, async () => (await address()) === ADDRESS && (await world.layover.ready()));

/** A pristine engine pulls what is held, and nothing but questions reaches upstream. */
const expectHeld = async () => {
  const mark = await world.open.mark();
  const pristine = await world.engine("containerd");
  expect(outcome(await pristine.pull(`${OPEN}/acme/held:v1`))).toBe("success");
  expect(await world.open.blobBytes(mark)).toBe(0);
};

describe("the front end is killed and kept away", () => {
  let letGo: () => Promise<void>;
  beforeAll(() => {
    letGo = world.layover.keepFrontAway();
  });
  afterAll(() => letGo());

  test("within two seconds names have their real addresses, and pulls go direct", async () => {
    onTestFailed(() => world.explain());
    const began = Date.now();
    await until("the real address", 2_000, async () => (await address()) === world.open.address);
    console.log(`real address after ${Date.now() - began} ms`);
    const image = await Image.make();
    await world.open.put(image, "acme/direct", "v1");
    const mark = await world.open.mark();
    expect(outcome(await engine.pull(`${OPEN}/acme/direct:v1`))).toBe("success");
    expect(await world.open.blobBytes(mark)).toBe(image.size);
  });

  test("it comes back by itself, and so does hijacking", async () => {
    onTestFailed(() => world.explain());
    await letGo();
    const began = Date.now();
    await hijacked();
    console.log(`hijacked again after ${Date.now() - began} ms`);
    await expectHeld();
  });
});

test("a front end that hangs is no better than none", async () => {
  onTestFailed(() => world.explain());
  const front = await world.layover.front();
  expect(front).toBeDefined();
  process.kill(front!, "SIGSTOP");
  try {
    const began = Date.now();
    await until("the real address", 15_000, async () => (await address()) === world.open.address);
    console.log(`real address after ${Date.now() - began} ms`);
  } finally {
    if (!(await gone(front!))) process.kill(front!, "SIGCONT");
  }
  await hijacked();
});

test("killed as a whole in the middle of a pull, it serves what it held, and pulls the rest", async () => {
  onTestFailed(() => world.explain());
  const image = await Image.make();
  await world.open.put(image, "acme/torn", "v1");
  await world.open.limit(SLOW);
  const mark = await world.open.mark();
  const torn = engine.pull(`${OPEN}/acme/torn:v1`);
  // The small layer has come, so the large one is under way.
  await until("the pull to have begun", 20_000, async () => (await world.open.blobBytes(mark)) > 0);
  await world.layover.crash();
  await world.layover.start();
  await world.open.limit(0);
  await torn; // it may have failed, or tried again and succeeded
  await expectHeld();
  const pristine = await world.engine("classic");
  expect(outcome(await pristine.pull(`${OPEN}/acme/torn:v1`))).toBe("success");
});

test("when its parent alone is killed, the front end goes with it and both can start again", async () => {
  onTestFailed(() => world.explain());
  const front = await world.layover.front();
  world.layover.parent.kill("SIGKILL");
  await until("the orphan to end", 10_000, () => gone(front!));
  await world.layover.start();
  await expectHeld();
});

// docker 20.10 and crane try again by themselves, and get through; skopeo does not
test.each<ClientName>(["docker-20.10", "crane", "skopeo"])(
  "the front end is killed in the middle of a push by %s: what the client then says is so, and nothing half is held",
  async (name) => {
    onTestFailed(() => world.explain());
    await hijacked();
    const image = await Image.make(60 * 1024 * 1024);
    const client = await world.client(CLIENTS[name]);
    const push = (): Promise<string | undefined> => client.push!(image, `${OPEN}/acme/pushed-${name}:v1`).catch(() => undefined);
    const mark = await world.open.mark();
    const torn = push();
    await until("an upload to have begun", 20_000, async () =>
      (await world.open.hits(mark)).some(({ method }) => method === "POST"),
    );
    process.kill((await world.layover.front())!, "SIGKILL");
    const said = await torn;
    if (name !== "skopeo") expect(said).toBeDefined();
    expect(await world.open.whole(`acme/pushed-${name}`, "v1")).toBe(said);
    await hijacked();
    const digest = await push();
    expect(digest).toBeDefined();
    expect(await world.open.whole(`acme/pushed-${name}`, "v1")).toBe(digest);
    expect(await (await world.client(CLIENTS.crane)).pull(`${OPEN}/acme/pushed-${name}:v1`)).toBe(digest);
    const verified = JSON.parse((await world.layover.command("cache", "verify", "--json")).out) as Verified;
    expect(verified).toMatchObject({ spoiltCount: 0, strange: [] });
  },
);

test("SIGTERM lets what is under way end, and it exits 0", async () => {
  onTestFailed(() => world.explain());
  const image = await Image.make();
  await world.open.put(image, "acme/drained", "v1");
  await world.open.limit(SLOW);
  const { digest } = image.layers[1]!;
  const file = `${world.dir}/drained`;
  const answer = world.ask(OPEN, `/v2/acme/drained/blobs/${digest}`, undefined, file);
  await until("the download to be under way", 10_000, async () => (await stat(file)).size > 0);
  const began = Date.now();
  world.layover.parent.kill("SIGTERM");
  expect(await answer).toEqual({ status: 200, digest });
  expect(await world.layover.parent.exited).toEqual({ code: 0, signal: null });
  console.log(`drained in ${Date.now() - began} ms`);
  await world.open.limit(0);
  await world.layover.start();
  await expectHeld();
});
