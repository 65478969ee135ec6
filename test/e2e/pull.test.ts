// The main job: unchanged image names, DNS at Layover, its CA in certs.d, and nothing twice over the line.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Engine, Kind, Skopeo } from "./engine.ts";
import { Image } from "./image.ts";
import { lookup } from "./internet.ts";
import { ADDRESS, DNS } from "./layover.ts";
import { outcome } from "./part.ts";
import { ADDRESS as TOKENS } from "./tokens.ts";
import { until } from "./until.ts";
import type { Upstream } from "./upstream.ts";
import { GUARDED, OPEN, World } from "./world.ts";

let world: World;
let engines: Record<Kind, Engine>;
let skopeo: Skopeo;

beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
  engines = { classic: await world.engine("classic"), containerd: await world.engine("containerd") };
  skopeo = await world.skopeo();
});
afterAll(() => world?.stop());

test("DNS gives Layover's address for what it stands in for, and real ones for the rest", async () => {
  onTestFailed(() => world.explain());
  const [hijacked] = await lookup(DNS, OPEN);
  expect(hijacked?.address).toBe(ADDRESS);
  expect(hijacked?.ttl).toBeLessThanOrEqual(30);
  expect(await lookup(DNS, GUARDED.toUpperCase())).toMatchObject([{ address: ADDRESS }]);
  expect(await lookup(DNS, "gitlab.com")).toMatchObject([{ address: TOKENS }]);
});

describe.each<[string, string, (world: World) => Upstream]>([
  [OPEN, "acme/app", ({ open }) => open],
  [GUARDED, "acme/public/app", ({ guarded }) => guarded],
])("%s", (host, repository, upstreamOf) => {
  describe.each<[Kind, Kind]>([
    ["classic", "containerd"],
    ["containerd", "classic"],
  ])("the %s engine first, then the %s one", (first, second) => {
    let image: Image;
    let upstream: Upstream;
    const name = `${host}/${repository}:${first}`;
    beforeAll(async () => {
      image = await Image.make();
      upstream = upstreamOf(world);
      await upstream.put(image, repository, first);
    });

    test("a cold pull moves every blob once", async () => {
      onTestFailed(() => world.explain());
      const mark = await upstream.mark();
      expect(outcome(await engines[first].pull(name))).toBe("success");
      await until("nginx to have written its log", 2_000, async () => (await upstream.blobBytes(mark)) >= image.size);
      expect(await upstream.blobBytes(mark)).toBe(image.size);
    });

    test("a second engine and skopeo cost no upstream blob bytes", async () => {
      onTestFailed(() => world.explain());
      const mark = await upstream.mark();
      expect(outcome(await engines[second].pull(name))).toBe("success");
      expect(outcome(await skopeo.run("copy", `docker://${name}`, `oci:${world.dir}/${host}-${first}:v1`))).toBe("success");
      expect(await upstream.blobBytes(mark)).toBe(0);
    });

    test("both hold the very image, and run it", async () => {
      onTestFailed(() => world.explain());
      for (const kind of [first, second]) {
        const { out } = await engines[kind].docker(["image", "inspect", "-f", "{{index .RepoDigests 0}}", name]);
        expect(out.trim()).toBe(`${host}/${repository}@${image.manifest.digest}`);
        const ran = await engines[kind].docker(["run", "--rm", "--network=none", name, "sh", "-c", "exit 42"]);
        expect(ran).toMatchObject({ code: 42 });
      }
    });
  });
});

test("two engines at the same time make one upstream download", async () => {
  onTestFailed(() => world.explain());
  const image = await Image.make();
  await world.open.put(image, "acme/together", "v1");
  await world.open.limit(4 * 1024 * 1024);
  const mark = await world.open.mark();
  const pulls = await Promise.all([engines.classic, engines.containerd].map((engine) => engine.pull(`${OPEN}/acme/together:v1`)));
  expect(pulls.map(outcome)).toEqual(["success", "success"]);
  await until("nginx to have written its log", 2_000, async () => (await world.open.blobBytes(mark)) >= image.size);
  expect(await world.open.blobBytes(mark)).toBe(image.size);
  await world.open.limit(0);
});
