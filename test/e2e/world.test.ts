// The world by itself, without Layover: when this fails, nothing the other files say means anything.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Engine, Kind } from "./engine.ts";
import { Image } from "./image.ts";
import { DNS, lookup } from "./internet.ts";
import { outcome } from "./part.ts";
import { GUARDED, OPEN, World } from "./world.ts";

let world: World;
let image: Image;

beforeAll(async () => {
  world = await World.start();
  image = await Image.make();
  await world.open.put(image, "acme/app", "v1");
  await world.guarded.put(image, "alice/private", "v1");
});
afterAll(() => world?.stop());

test("the internet's DNS knows the registries' real addresses", async () => {
  expect(await lookup(DNS, OPEN)).toMatchObject([{ address: world.open.address }]);
  expect(await lookup(DNS, GUARDED)).toMatchObject([{ address: world.guarded.address }]);
});

describe.each<Kind>(["classic", "containerd"])("the %s engine", (kind) => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await world.engine(kind, world.direct);
  });

  test("pulls, and the registry's log counts the bytes", async () => {
    const mark = await world.open.mark();
    expect(outcome(await engine.pull(`${OPEN}/acme/app:v1`))).toBe("success");
    expect(await world.open.blobBytes(mark)).toBe(image.size);
  });

  test("pushes", async () => {
    await engine.docker(["tag", `${OPEN}/acme/app:v1`, `${OPEN}/acme/${kind}:v1`]);
    expect(outcome(await engine.push(`${OPEN}/acme/${kind}:v1`))).toBe("success");
    expect(await world.open.whole(`acme/${kind}`, "v1")).toBeDefined();
  });

  test("reads a private repository as its owner and as nobody else", async () => {
    expect(outcome(await engine.login("alice", GUARDED))).toBe("success");
    expect(outcome(await engine.login("bob", GUARDED))).toBe("success");
    expect(outcome(await engine.pull(`${GUARDED}/alice/private:v1`))).toMatch(/denied|unauthorized/i);
    expect(outcome(await engine.pull(`${GUARDED}/alice/private:v1`, "bob"))).toMatch(/denied|unauthorized/i);
    expect(outcome(await engine.pull(`${GUARDED}/alice/private:v1`, "alice"))).toBe("success");
  });

  test("runs what it has pulled", async () => {
    const ran = await engine.docker(["run", "--rm", "--network=none", `${OPEN}/acme/app:v1`, "sh", "-c", "exit 42"]);
    expect(ran).toMatchObject({ code: 42 });
  });
});

test("skopeo copies", async () => {
  const skopeo = await world.skopeo(world.direct);
  expect(outcome(await skopeo.run("copy", `docker://${OPEN}/acme/app:v1`, `oci:${world.dir}/copy:v1`))).toBe("success");
});
