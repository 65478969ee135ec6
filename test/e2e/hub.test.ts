// Docker Hub, under the name that its images have: where each client looks for the CA of a host that it never names.
import { appendFile, copyFile, readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { CLIENTS, type ClientName, NAMES } from "./clients/every.ts";
import type { Network } from "./engine.ts";
import { Image } from "./image.ts";
import { DNS } from "./layover.ts";
import { Upstream } from "./upstream.ts";
import { HUB, World } from "./world.ts";

const NAME = "docker.io/acme/hub:v1";
const CERTS_D = ["docker.io", "index.docker.io", HUB.host];
const SYSTEM = "the system's store";
/** The one place that is enough: a folder of certs.d (a registry of buildkitd.toml), or the system's store. */
const PLACES: Record<ClientName, string> = {
  "docker-20.10": SYSTEM,
  "docker-20.10-build": SYSTEM,
  "docker-20.10-buildkit": "docker.io",
  "docker-29": "docker.io",
  "docker-29-classic-store": SYSTEM,
  ctr: "docker.io",
  cri: "docker.io",
  buildctl: "docker.io",
  "buildx-remote-driver": "docker.io",
  "buildx-docker-driver": "docker.io",
  podman: "docker.io",
  buildah: "docker.io",
  skopeo: "docker.io",
  crane: SYSTEM,
  regctl: HUB.host,
  oras: SYSTEM,
};

let world: World;
let hub: Upstream;
let image: Image;
let system: string;

beforeAll(async () => {
  world = await World.start();
  hub = await Upstream.make(world.authority, HUB.host, HUB.address, `${world.dir}/hub`);
  await hub.start();
  image = await Image.make(2 * 1024 * 1024);
  await hub.put(image, "acme/hub", "v1");
  await world.layover.start();
  system = `${world.dir}/system.pem`;
  await copyFile(world.authority.certificate, system);
  await appendFile(system, await readFile(world.layover.certificate));
});
afterAll(async () => {
  await hub?.stop();
  await world?.stop();
});

const trusting = (hosts: readonly string[], publicCa = world.authority.certificate): Network => ({
  dns: DNS,
  ca: { certificate: world.layover.certificate, hosts },
  publicCa,
});

test.each(NAMES.map((name) => [name, PLACES[name]] as const))("%s finds the CA in %s, and pulls", async (name, place) => {
  onTestFailed(() => world.explain());
  const client = await world.client(CLIENTS[name], place === SYSTEM ? trusting([], system) : trusting([place]));
  expect(await client.pull(NAME)).toBe(image.manifest.digest);
  await client.stop();
  expect(await hub.settledBlobBytes(0, image.size)).toBe(image.size); // of all these pulls together
});

describe("is not looked for in certs.d", () => {
  test.each<ClientName>(["docker-20.10", "docker-20.10-build", "docker-29-classic-store"])(
    "by %s, whatever it is called there",
    async (name) => {
      const client = await world.client(CLIENTS[name], trusting(CERTS_D));
      await expect(client.pull(NAME)).rejects.toThrow(/x509/);
      await client.stop();
    },
  );
});
