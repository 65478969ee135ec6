// The way back, as builders meet it: upstream has moved a tag, one command moves it back for all who pull it by its unchanged name, with
// upstream or without, and another lets it go on.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { CLIENTS } from "./clients/every.ts";
import type { Engine, Kind } from "./engine.ts";
import { Image } from "./image.ts";
import { outcome } from "./part.ts";
import { GUARDED, OPEN, World } from "./world.ts";

/** As where nothing that upstream has said is fresh any more; rights are asked for with every pull. */
const LONG_AGO = { freshFor: "1s", publicFor: "1s", grantFor: "1s" };
const REPOSITORIES = [`${OPEN}/acme/app`, `${GUARDED}/acme/public/app`];
const KINDS = ["classic", "containerd"] as const satisfies readonly Kind[];

let world: World;
let engines: Record<Kind, Engine>;
let before: Image;
let after: Image;

const put = async (image: Image): Promise<void> => {
  await world.open.put(image, "acme/app", "v1");
  await world.guarded.put(image, "acme/public/app", "v1");
};

beforeAll(async () => {
  world = await World.start();
  [before, after] = [await Image.make(), await Image.make()];
  await put(before);
  await world.layover.start(LONG_AGO);
  engines = { classic: await world.engine("classic"), containerd: await world.engine("containerd") };
});
afterAll(() => world?.stop());

const expectPulled = async (image: Image, tag = "v1", kinds: readonly Kind[] = KINDS): Promise<void> => {
  await Promise.all(kinds.map((kind) => expectPulledBy(engines[kind], image, tag)));
};

const expectPulledBy = async (engine: Engine, image: Image, tag: string): Promise<void> => {
  for (const repository of REPOSITORIES) {
    const name = `${repository}:${tag}`;
    expect([engine.kind, name, outcome(await engine.pull(name, undefined, 60_000))]).toEqual([engine.kind, name, "success"]);
    const { out } = await engine.docker(["image", "inspect", "-f", "{{index .RepoDigests 0}}", name]);
    expect(out.trim()).toBe(`${repository}@${image.manifest.digest}`);
    // it forgets it all: what it pulls next is what it is given
    await engine.docker(["image", "rm", "-f", name]);
  }
};

const tags = async (...args: string[]): Promise<string[]> => {
  const [verb = "", ...rest] = args;
  const said = [];
  for (const repository of REPOSITORIES) {
    const ran = await world.layover.command("tags", verb, `${repository}:v1`, ...rest);
    if (ran.code !== 0) throw new Error(outcome(ran));
    said.push(ran.out);
  }
  return said;
};

test("what upstream has moved is pulled as it is", async () => {
  onTestFailed(() => world.explain());
  await expectPulled(before);
  await put(after);
  await sleep(1_100);
  await expectPulled(after);
});

test("one command moves it back, for engines that were there and pristine ones", async () => {
  onTestFailed(() => world.explain());
  for (const history of await tags("history")) expect(history.match(/all of it/g)).toHaveLength(2);
  for (const said of await tags("rollback")) expect(said).toContain(before.manifest.digest.slice(0, 19));
  await expectPulled(before);
  engines.classic = await world.engine("classic");
  await expectPulled(before, "v1", ["classic"]);
});

test("it stays so when upstream forgets what it was, when Layover is killed, and when upstream is away", async () => {
  onTestFailed(() => world.explain());
  await world.open.lose("acme/app", before.manifest.digest);
  await world.guarded.lose("acme/public/app", before.manifest.digest);
  await sleep(1_100);
  await expectPulled(before);
  await world.layover.crash();
  await world.layover.start(LONG_AGO);
  await world.disconnect();
  engines.containerd = await world.engine("containerd");
  await expectPulled(before);
  const name = `${REPOSITORIES[0]}@${before.manifest.digest}`;
  const ran = await engines.containerd.docker(["run", "--rm", "--network=none", name, "sh", "-c", "exit 42"]);
  expect(ran).toMatchObject({ code: 42 });
  await engines.containerd.docker(["image", "rm", "-f", name]);
  await world.connect();
});

test("a name of one's own leads to what it was, unknown to upstream", async () => {
  onTestFailed(() => world.explain());
  for (const repository of REPOSITORIES) {
    const ran = await world.layover.command("tags", "pin", `${repository}:v1.20261124`, before.manifest.digest);
    expect(outcome(ran)).toBe("success");
  }
  await expectPulled(before, "v1.20261124");
});

test("it goes on with upstream once it is let go", async () => {
  onTestFailed(() => world.explain());
  for (const said of await tags("unpin")) expect(said).toContain("upstream is asked when somebody asks for it next");
  const crane = await world.client(CLIENTS.crane);
  for (const repository of REPOSITORIES) expect(await crane.pull(`${repository}:v1`)).toBe(after.manifest.digest);
  await expectPulled(after);
});
