// A mirrored tag that upstream has moved: no client is shown another digest before the sync, whatever it asks first, and as whoever it asks.
import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { Htpasswd } from "./htpasswd.ts";
import { Image } from "./image.ts";
import { USERS } from "./tokens.ts";
import { Upstream } from "./upstream.ts";
import { GUARDED, OPEN, QUAY, World } from "./world.ts";

/** One of each way to ask; buildx and the like ask as what is below them. */
const PULLERS = [
  ...(["docker-20.10", "docker-29", "docker-29-classic-store", "ctr", "buildctl"] as const),
  ...(["podman", "skopeo", "crane", "regctl", "oras"] as const),
] as const satisfies readonly ClientName[];

/** Hers to push to as well, where there is a login: who may is asked upstream before a push. */
const REPOSITORY = "alice/app";
let world: World;
let basic: Upstream;
const before = new Map<string, string>();

const sites = (): [string, Upstream][] => [
  [OPEN, world.open],
  [GUARDED, world.guarded],
  [QUAY.host, basic],
];
const put = async (upstream: Upstream): Promise<string> => {
  const image = await Image.make(32 * 1024);
  await upstream.put(image, REPOSITORY, "v1");
  return image.manifest.digest;
};

beforeAll(async () => {
  world = await World.start();
  const users = await Htpasswd.make(`${world.dir}/htpasswd`);
  basic = await Upstream.make(world.authority, QUAY.host, QUAY.address, `${world.dir}/basic`, users);
  await basic.start();
  const passwordFile = `${world.dir}/password`;
  await writeFile(passwordFile, USERS["alice"]!);
  const own = { credentials: { username: "alice", passwordFile } };
  await world.layover.start(
    { freshFor: "0s" },
    {
      mirror: sites().map(([host]) => ({ source: `${host}/${REPOSITORY}:v1` })),
      sites: { [OPEN]: {}, [GUARDED]: own, [QUAY.host]: own },
    },
  );
  for (const [host, upstream] of sites()) before.set(host, await put(upstream));
  const { code, err, out } = await world.layover.command("mirror", "sync");
  expect(code, `${err}${out}`).toBe(0);
  for (const [, upstream] of sites()) await put(upstream);
});
afterAll(async () => {
  await basic?.stop();
  await world?.stop();
});

test.each(PULLERS)("%s pulls what was synced, of registries that are open, with tokens, and with passwords", async (name) => {
  onTestFailed(() => world.explain());
  const client = await world.client(CLIENTS[name]);
  for (const [host] of sites()) {
    if (host !== OPEN) await client.login("alice", host);
    expect([host, await client.pull(`${host}/${REPOSITORY}:v1`)]).toEqual([host, before.get(host)]);
  }
  await client.stop();
});

test("nobody without the right has any of it by Layover's own credentials", async () => {
  for (const host of [GUARDED, QUAY.host])
    for (const path of ["manifests/v1", `manifests/${before.get(host)!}`, `blobs/${before.get(host)!}`, "tags/list"])
      expect([host, path, (await world.ask(host, `/v2/${REPOSITORY}/${path}`)).status]).toEqual([host, path, 401]);
});
