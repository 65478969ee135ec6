// Builds behind the hijack: FROM an unchanged name, a cache that is kept at a registry, and the result pushed.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { type Builder, buildkit, buildxDocker, buildxRemote } from "./clients/builds.ts";
import type { Start } from "./clients/client.ts";
import { dockerBuildClassic, dockerBuildKit } from "./clients/docker-build.ts";
import { Image } from "./image.ts";
import { GUARDED, OPEN, World } from "./world.ts";

const BUILDERS: [string, Start<Builder>][] = [
  ["buildctl", buildkit],
  ["buildx-remote", buildxRemote],
  ["buildx-docker", buildxDocker],
  ["docker-20.10-build", dockerBuildClassic],
  ["docker-20.10-buildkit", dockerBuildKit],
];
// Its result is another one each time that it is run.
const recipeFrom = (base: string): string => `FROM ${base}\nRUN echo ran $(cat /proc/sys/kernel/random/uuid) | tee /made\n`;
const RAN = /ran [0-9a-f]{8}-/;

let world: World;
beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
});
afterAll(() => world?.stop());

describe.each(BUILDERS)("%s", (name, start) => {
  const base = `${OPEN}/acme/base-${name}:v1`;
  const [to, cache] = [`${GUARDED}/alice/${name}`, `${GUARDED}/alice/cache-${name}:v1`];
  let image: Image;
  const builder = async (): Promise<Builder> => {
    const started = await world.client(start);
    await started.login("alice", GUARDED);
    return started;
  };
  beforeAll(async () => {
    image = await Image.make(2 * 1024 * 1024);
    await world.open.put(image, `acme/base-${name}`, "v1");
  });

  test("builds FROM an image, exports its cache and pushes; a second place imports it and runs nothing", async () => {
    onTestFailed(() => world.explain());
    const mark = await world.open.mark();
    const first = await (await builder()).build({ dockerfile: recipeFrom(base), to: `${to}:first`, cacheTo: cache });
    expect(first.log).toContain(image.manifest.digest);
    expect(first.log).toMatch(RAN);
    expect(await world.guarded.whole(`alice/${name}`, "first")).toBe(first.digest);
    expect(await world.open.settledBlobBytes(mark, image.size)).toBe(image.size);

    const later = await world.open.mark();
    const second = await (await builder()).build({ dockerfile: recipeFrom(base), to: `${to}:second`, cacheFrom: cache });
    expect(second.log).not.toMatch(RAN);
    expect(await world.guarded.whole(`alice/${name}`, "second")).toBe(second.digest);
    expect(await world.open.blobBytes(later)).toBe(0);
    const layers = async (tag: string) => {
      const { bytes } = await world.guarded.straight("GET", `/v2/alice/${name}/manifests/${tag}`);
      return (JSON.parse(bytes.toString()) as { layers: unknown }).layers;
    };
    expect(await layers("second")).toEqual(await layers("first"));
  });
});
