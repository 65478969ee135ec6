// What a push under the hijacked name changes, everybody sees at once.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Engine, Kind } from "./engine.ts";
import { Image } from "./image.ts";
import { outcome } from "./part.ts";
import { GUARDED, World } from "./world.ts";

let world: World;
let engines: Record<Kind, Engine>;
const KINDS: Kind[] = ["classic", "containerd"];

beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
  engines = { classic: await world.engine("classic"), containerd: await world.engine("containerd") };
  for (const kind of KINDS) expect(outcome(await engines[kind].login("alice", GUARDED))).toBe("success");
});
afterAll(() => world?.stop());

describe.each(KINDS)("the %s engine", (kind) => {
  const other = KINDS.find((each) => each !== kind)!;

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
});
