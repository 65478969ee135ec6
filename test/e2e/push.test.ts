// A push under the hijacked name arrives upstream, whatever Layover holds.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Engine, Kind, Skopeo } from "./engine.ts";
import { Image } from "./image.ts";
import { outcome } from "./part.ts";
import { USERS } from "./tokens.ts";
import { GUARDED, OPEN, World } from "./world.ts";

let world: World;
let engines: Record<Kind, Engine>;
let skopeo: Skopeo;
const KINDS: Kind[] = ["classic", "containerd"];
const ALICE = `alice:${USERS["alice"]}`;

beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
  engines = { classic: await world.engine("classic"), containerd: await world.engine("containerd") };
  skopeo = await world.skopeo();
  for (const kind of KINDS) expect(outcome(await engines[kind].login("alice", GUARDED))).toBe("success");
});
afterAll(() => world?.stop());

describe.each(KINDS)("the %s engine", (kind) => {
  const other = KINDS.find((each) => each !== kind)!;

  test("pushes to the open registry", async () => {
    onTestFailed(() => world.explain());
    await engines[kind].load(await Image.make(), `${OPEN}/acme/${kind}:v1`);
    expect(outcome(await engines[kind].push(`${OPEN}/acme/${kind}:v1`))).toBe("success");
    expect(await world.open.whole(`acme/${kind}`, "v1")).toBeDefined();
  });

  test("pushes with credentials, and another engine pulls it", async () => {
    onTestFailed(() => world.explain());
    const name = `${GUARDED}/alice/${kind}:v1`;
    await engines[kind].load(await Image.make(), name);
    expect(outcome(await engines[kind].push(name, "alice"))).toBe("success");
    expect(await world.guarded.whole(`alice/${kind}`, "v1")).toBeDefined();
    expect(outcome(await engines[other].pull(name, "alice"))).toBe("success");
  });

  test("moves a tag, and nobody is given the old one afterwards", async () => {
    onTestFailed(() => world.explain());
    const name = `${GUARDED}/alice/moving-${kind}:v1`;
    for (const round of ["first", "second"]) {
      await engines[kind].load(await Image.make(1024 * 1024), name);
      expect(outcome(await engines[kind].push(name, "alice"))).toBe("success");
      const digest = await world.guarded.whole(`alice/moving-${kind}`, "v1");
      const pulled = await engines[other].pull(name, "alice");
      expect(outcome(pulled), round).toBe("success");
      expect(pulled.out, round).toContain(digest);
    }
  });

  test.each([
    [GUARDED, "alice", "alice"],
    [OPEN, "acme", undefined],
  ])("pushes to %s again what Layover holds and upstream has lost", async (host, owner, user) => {
    onTestFailed(() => world.explain());
    const upstream = host === OPEN ? world.open : world.guarded;
    const repository = `${owner}/lost-${kind}`;
    const name = `${host}/${repository}:v1`;
    await engines[kind].load(await Image.make(), name);
    expect(outcome(await engines[kind].push(name, user))).toBe("success");
    expect(outcome(await engines[other].pull(name, user))).toBe("success"); // now it is held
    const digest = await upstream.whole(repository, "v1");
    await upstream.wipe();
    expect(await upstream.whole(repository, "v1")).toBeUndefined();
    expect(outcome(await engines[kind].push(name, user))).toBe("success");
    expect(await upstream.whole(repository, "v1")).toBe(digest);
  });
});

describe("skopeo", () => {
  test("pushes what it was given, byte for byte", async () => {
    onTestFailed(() => world.explain());
    const image = await Image.make();
    await image.layout(`${world.dir}/layout`, "v1");
    const copy = () =>
      skopeo.run(
        "copy",
        "--preserve-digests",
        "--dest-creds",
        ALICE,
        `oci:${world.dir}/layout:v1`,
        `docker://${GUARDED}/alice/skopeo:v1`,
      );
    expect(outcome(await copy())).toBe("success");
    expect(await world.guarded.whole("alice/skopeo", "v1")).toBe(image.manifest.digest);
    expect(outcome(await skopeo.run("inspect", "--creds", ALICE, `docker://${GUARDED}/alice/skopeo:v1`))).toBe("success");
    await world.guarded.wipe();
    expect(outcome(await copy())).toBe("success");
    expect(await world.guarded.whole("alice/skopeo", "v1")).toBe(image.manifest.digest);
  });
});
