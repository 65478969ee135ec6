// A hit needs the same right as a miss: two users with a private repository each, and nobody.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Kind, Skopeo } from "./engine.ts";
import { Image } from "./image.ts";
import { outcome } from "./part.ts";
import { USERS } from "./tokens.ts";
import { GUARDED, World } from "./world.ts";

let world: World;
let skopeo: Skopeo;
const images: Record<string, Image> = {};
const REFUSED = /denied|unauthorized|authentication required|forbidden/i;
const BOTH = ["alice", "bob"];

beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
  skopeo = await world.skopeo();
  for (const user of BOTH) {
    images[user] = await Image.make(2 * 1024 * 1024);
    await world.guarded.put(images[user], `${user}/private`, "v1");
  }
});
afterAll(() => world?.stop());

let copies = 0;
const copy = async (owner: string, reader?: string) => {
  const creds = reader ? ["--src-creds", `${reader}:${USERS[reader]}`] : [];
  return outcome(
    await skopeo.run("copy", ...creds, `docker://${GUARDED}/${owner}/private:v1`, `oci:${world.dir}/copy${++copies}:v1`),
  );
};

describe.each(["before it is held", "and now that it is"])("skopeo, %s", () => {
  test.each(BOTH)("%s reads their own, the other and nobody do not", async (owner) => {
    onTestFailed(() => world.explain());
    const other = BOTH.find((user) => user !== owner)!;
    expect(await copy(owner, other)).toMatch(REFUSED);
    expect(await copy(owner)).toMatch(REFUSED);
    expect(await copy(owner, owner)).toBe("success");
    expect(await copy(owner, other)).toMatch(REFUSED);
    expect(await copy(owner)).toMatch(REFUSED);
  });
});

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

test("a wrong password logs nobody in", async () => {
  onTestFailed(() => world.explain());
  const wrong = await skopeo.run("inspect", "--creds", "alice:guess", `docker://${GUARDED}/alice/private:v1`);
  expect(outcome(wrong)).toMatch(REFUSED);
});

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
