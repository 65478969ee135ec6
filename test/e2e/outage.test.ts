// Upstream, token server and resolver are gone: what is held pulls by tag and by digest, and without delay.
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { CLIENTS } from "./clients/every.ts";
import type { Engine, Kind, Skopeo } from "./engine.ts";
import { Image } from "./image.ts";
import { outcome, type Ran } from "./part.ts";
import { USERS } from "./tokens.ts";
import { GUARDED, OPEN, World } from "./world.ts";

const QUICK = 15_000;
// As in an outage that lasts: nothing that upstream has said is fresh any more.
const LONG_AGO = { freshFor: "1s", publicFor: "1s", grantFor: "1s" };
let world: World;
let skopeo: Skopeo;
/** Public images by name; they share no blob, so that each has to come through. */
let images: ReadonlyMap<string, Image>;

beforeAll(async () => {
  world = await World.start();
  const [open, guarded] = [await Image.make(), await Image.make()];
  await world.open.put(open, "acme/app", "v1");
  await world.guarded.put(guarded, "acme/public/app", "v1");
  images = new Map([
    [`${OPEN}/acme/app`, open],
    [`${GUARDED}/acme/public/app`, guarded],
  ]);
  await world.guarded.put(await Image.make(1024), "alice/private", "v1");
  await world.layover.start(LONG_AGO);
  skopeo = await world.skopeo();
  const engine = await world.engine("classic");
  for (const name of images.keys()) expect(outcome(await engine.pull(`${name}:v1`))).toBe("success");
  const alices = await skopeo.run(
    "copy",
    "--src-creds",
    `alice:${USERS["alice"]}`,
    `docker://${GUARDED}/alice/private:v1`,
    `oci:${world.dir}/held:v1`,
  );
  expect(outcome(alices)).toBe("success");
});
afterAll(() => world?.stop());

const expectQuick = (what: string, ran: Ran) => {
  console.log(`${what}: ${ran.ms} ms`);
  expect(outcome(ran)).toBe("success");
  expect(ran.ms).toBeLessThan(QUICK);
};

const pulls = (outage: string) => {
  test.each<Kind>(["classic", "containerd"])("a pristine %s engine pulls by tag and by digest", async (kind) => {
    onTestFailed(() => world.explain());
    const engine: Engine = await world.engine(kind);
    for (const [name, { manifest }] of images) {
      const pinned = `${name}@${manifest.digest}`;
      expectQuick(`${outage}, ${kind}, ${name} by tag`, await engine.pull(`${name}:v1`, undefined, 60_000));
      await engine.docker(["image", "rm", "-f", `${name}:v1`]);
      expectQuick(`${outage}, ${kind}, ${name} by digest`, await engine.pull(pinned, undefined, 60_000));
      expect(await engine.docker(["run", "--rm", "--network=none", pinned, "sh", "-c", "exit 42"])).toMatchObject({ code: 42 });
    }
  });

  const OTHERS = (["ctr", "cri", "podman"] as const).flatMap((client) => [[client, "tag"] as const, [client, "digest"] as const]);
  test.each(OTHERS)("a pristine %s pulls by %s", async (client, by) => {
    onTestFailed(() => world.explain());
    const puller = await world.client(CLIENTS[client]);
    for (const [name, { manifest }] of images) {
      const began = Date.now();
      expect(await puller.pull(by === "tag" ? `${name}:v1` : `${name}@${manifest.digest}`)).toBe(manifest.digest);
      console.log(`${outage}, ${client}, ${name} by ${by}: ${Date.now() - began} ms`);
      expect(Date.now() - began).toBeLessThan(QUICK);
    }
  });

  test("nobody reads a private image that is held", async () => {
    onTestFailed(() => world.explain());
    const ran = await skopeo.run("copy", `docker://${GUARDED}/alice/private:v1`, `oci:${world.dir}/stolen:v1`);
    expect(outcome(ran)).not.toBe("success");
    const { status } = await world.ask(GUARDED, "/v2/alice/private/manifests/v1");
    expect(status).toBeGreaterThanOrEqual(400);
  });

  test("Layover says that it is ready", async () => {
    expect(await world.layover.ready()).toBe(true);
  });
};

describe("everything refuses connections", () => {
  beforeAll(() => world.disconnect());
  afterAll(() => world.connect());
  pulls("refused");

  test("Layover starts, too", async () => {
    onTestFailed(() => world.explain());
    await world.layover.stop();
    const began = Date.now();
    await world.layover.start(LONG_AGO);
    console.log(`ready after ${Date.now() - began} ms`);
    const { status } = await world.ask(OPEN, "/v2/acme/app/manifests/v1");
    expect(status).toBe(200);
  });
});

test("upstream answers 502: the tag is served as it was", async () => {
  onTestFailed(() => world.explain());
  await world.open.breakDown();
  const ran = await skopeo.run("copy", `docker://${OPEN}/acme/app:v1`, `oci:${world.dir}/stale:v1`);
  await world.open.mend();
  expectQuick("502, skopeo", ran);
});

describe("nothing answers any more", () => {
  beforeAll(async () => {
    await world.tokens.stop();
    for (const part of [world.internet, world.open, world.guarded]) part.freeze();
  });
  afterAll(async () => {
    for (const part of [world.internet, world.open, world.guarded]) part.thaw();
    await world.tokens.start();
  });
  pulls("silent");
});

describe("everything is there, and Layover is to be offline", () => {
  let marks: readonly number[];
  /** What was asked of the internet's DNS about hosts that only Layover would ask for: builders are given its own address. */
  const lookups = async () => {
    const text = await readFile(`${world.dir}/dnsmasq.log`, "utf8");
    return text
      .split("\n")
      .filter((line) => line.includes("query") && [OPEN, GUARDED].some((host) => line.includes(` ${host} `)));
  };
  let before: string[];

  beforeAll(async () => {
    await world.layover.stop();
    await world.open.put(await Image.make(1024), "acme/later", "v1");
    marks = [await world.open.mark(), await world.guarded.mark()];
    before = await lookups();
    expect(before.length).toBeGreaterThan(0);
    await world.layover.start({ ...LONG_AGO, staleIfError: "1s", offline: true });
  });
  pulls("offline");

  test("what is not held is no more, at once", async () => {
    const began = Date.now();
    expect((await world.ask(OPEN, "/v2/acme/later/manifests/v1")).status).toBe(404);
    expect(Date.now() - began).toBeLessThan(2_000);
  });

  test("nobody was asked anything", async () => {
    expect([await world.open.hits(marks[0]), await world.guarded.hits(marks[1])]).toEqual([[], []]);
    expect(await lookups()).toEqual(before);
  });
});
