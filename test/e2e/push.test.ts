// What a push under the hijacked name changes, everybody sees at once.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import type { Engine, Kind } from "./engine.ts";
import { Image } from "./image.ts";
import { outcome } from "./part.ts";
import { GUARDED, OPEN, World } from "./world.ts";

let world: World;
let engines: Record<Kind, Engine>;
const KINDS: Kind[] = ["classic", "containerd"];

beforeAll(async () => {
  world = await World.start();
  await world.layover.start({}, { sites: { [OPEN]: { readOnly: true } } });
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

test.each<ClientName>(["docker-20.10", "docker-29", "ctr", "buildctl", "podman", "skopeo", "crane", "regctl", "oras"])(
  "%s is told of a site that is to be read only, and pulls from it",
  async (name) => {
    onTestFailed(() => world.explain());
    const image = await Image.make(64 * 1024);
    await world.open.put(image, `acme/${name}`, "v1");
    const mark = await world.open.mark();
    const client = await world.client(CLIENTS[name]);
    await expect(client.push!(await Image.make(64 * 1024), `${OPEN}/acme/${name}:v2`)).rejects.toThrow(
      /read.?only|405|unsupported/i,
    );
    expect((await world.open.hits(mark)).filter(({ method }) => method !== "GET" && method !== "HEAD")).toEqual([]);
    expect(await client.pull(`${OPEN}/acme/${name}:v1`)).toBe(image.manifest.digest);
  },
);
