// A hit needs the same right as a miss: two users with a private repository each, at one engine and with a token of their own.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { CLIENTS } from "./clients/every.ts";
import type { Kind } from "./engine.ts";
import { Image } from "./image.ts";
import { outcome } from "./part.ts";
import { GUARDED, World } from "./world.ts";

let world: World;
const images: Record<string, Image> = {};
const REFUSED = /denied|unauthorized|authentication required|forbidden/i;
const BOTH = ["alice", "bob"];

beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
  for (const user of BOTH) {
    images[user] = await Image.make(2 * 1024 * 1024);
    await world.guarded.put(images[user], `${user}/private`, "v1");
    const skopeo = await world.client(CLIENTS.skopeo);
    await skopeo.login(user, GUARDED);
    await skopeo.pull(`${GUARDED}/${user}/private:v1`);
  }
});
afterAll(() => world?.stop());

test.each<Kind>(["classic", "containerd"])(
  "the %s engine: each user reads their own held image, and no other's",
  async (kind) => {
    onTestFailed(() => world.explain());
    const engine = await world.engine(kind);
    const mark = await world.guarded.mark();
    for (const user of BOTH) expect(outcome(await engine.login(user, GUARDED))).toBe("success");
    for (const owner of BOTH) {
      const name = `${GUARDED}/${owner}/private:v1`;
      const other = BOTH.find((user) => user !== owner)!;
      expect(outcome(await engine.pull(name, other))).toMatch(REFUSED);
      expect(outcome(await engine.pull(name))).toMatch(REFUSED);
      expect(outcome(await engine.pull(name, owner))).toBe("success");
      expect(outcome(await engine.pull(name, other))).toMatch(REFUSED);
      expect(outcome(await engine.pull(name))).toMatch(REFUSED);
    }
    expect(await world.guarded.blobBytes(mark)).toBe(0);
  },
);

describe("bob's own token, which is a good one", () => {
  const token = () => world.tokens.mint([{ type: "repository", name: "bob/private", actions: ["pull"] }], "bob");
  const alices = () => [images["alice"]!.manifest.digest, images["alice"]!.layers[1]!.digest] as const;

  test("reads bob's repository", async () => {
    onTestFailed(() => world.explain());
    const { digest } = images["bob"]!.layers[1]!;
    expect(await world.ask(GUARDED, `/v2/bob/private/blobs/${digest}`, token())).toEqual({ status: 200, digest });
  });

  test("reads neither manifest nor blob of alice's by digest", async () => {
    onTestFailed(() => world.explain());
    const [manifest, blob] = alices();
    expect(await world.ask(GUARDED, `/v2/alice/private/manifests/${manifest}`, token())).toMatchObject({ status: 401 });
    expect(await world.ask(GUARDED, `/v2/alice/private/blobs/${blob}`, token())).toMatchObject({ status: 401 });
  });

  test("reads nothing of alice's through bob's own repository", async () => {
    onTestFailed(() => world.explain());
    const [manifest, blob] = alices();
    expect(await world.ask(GUARDED, `/v2/bob/private/manifests/${manifest}`, token())).toMatchObject({ status: 404 });
    expect(await world.ask(GUARDED, `/v2/bob/private/blobs/${blob}`, token())).toMatchObject({ status: 404 });
  });
});
