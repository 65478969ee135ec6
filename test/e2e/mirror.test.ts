// The mirror door: Layover's own name in each client's own configuration, or in front of an image's; DNS is the internet's.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Client } from "./clients/client.ts";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { Htpasswd } from "./htpasswd.ts";
import { Image } from "./image.ts";
import { Upstream } from "./upstream.ts";
import { GUARDED, HUB, OPEN, OWN_NAMES, World } from "./world.ts";

const SIZE = 1024 * 1024;
const [OWN] = OWN_NAMES;
const IMAGES = "images.build.example";
const KEPT = "kept.build.example";
/** `registry-mirrors` of Docker's are asked for the Hub's images alone. */
const MIRRORED: readonly (readonly [ClientName, host: string])[] = [
  ["docker-20.10", "docker.io"],
  ["docker-29", "docker.io"],
  ["docker-29-classic-store", "docker.io"],
  ["buildx-docker-driver", "docker.io"],
  ["docker-29", OPEN],
  ["buildx-docker-driver", OPEN],
  ["ctr", OPEN],
  ["cri", OPEN],
  ["buildctl", OPEN],
  ["podman", OPEN],
  ["skopeo", OPEN],
  ["cri", "docker.io"],
  ["buildctl", "docker.io"],
  ["podman", "docker.io"],
];
/** One of a kind. */
const SOME = MIRRORED.filter(([name, host]) => host === "docker.io" || name === "ctr" || name === "skopeo");
const HOSTS = ["docker.io", OPEN, GUARDED];
const DIRECT: readonly ClientName[] = [
  ...(["docker-20.10", "docker-29", "docker-29-classic-store", "ctr", "podman", "skopeo", "crane", "regctl", "oras"] as const),
];
/** Those that show a login to who asks for it with a request's own answer; the others ask `/v2/` alone whether there is anything to log in to. */
const ASKED: readonly ClientName[] = ["docker-29", "ctr", "crane", "regctl", "oras"];
const WRITTEN = [
  [`${OWN}/${OPEN}/acme/direct`, OPEN, "acme/direct"],
  [`${OWN_NAMES[1]}:443/single`, "docker.io", "library/single"],
] as const;
/** As one of all clients writes them as well: what they ask for by them is alike. */
const WRITTEN_TOO = [
  [`${OWN}/docker.io/acme/direct`, "docker.io", "acme/direct"],
  [`${OWN}/bare`, "docker.io", "library/bare"],
] as const;

let world: World;
let hub: Upstream;
const mirrored = new Map<string, Client>();
let settings: { name: readonly string[]; sites: Record<string, object> };

const upstreamOf = (host: string): Upstream => (host === "docker.io" ? hub : host === OPEN ? world.open : world.guarded);

const publish = async (host: string, repository: string): Promise<Image> => {
  const image = await Image.make(SIZE);
  await upstreamOf(host).put(image, repository, "v1");
  return image;
};

/** One of the name that runs through the whole file. */
const clientOf = async (name: ClientName): Promise<Client> => {
  const known = mirrored.get(name) ?? (await world.client<Client>(CLIENTS[name], world.mirroring(`https://${OWN}`, HOSTS)));
  mirrored.set(name, known);
  return known;
};

beforeAll(async () => {
  world = await World.start();
  hub = await Upstream.make(world.authority, HUB.host, HUB.address, `${world.dir}/hub`);
  await hub.start();
  const { file } = await Htpasswd.make(`${world.dir}/htpasswd`);
  settings = {
    name: OWN_NAMES,
    sites: { [IMAGES]: { kind: "local", access: "anonymous" }, [KEPT]: { kind: "local", users: file } },
  };
  await world.layover.start({}, settings);
});
afterAll(async () => {
  await hub?.stop();
  await world?.stop();
});

describe.each(MIRRORED)("%s, told of a mirror, for %s", (name, host) => {
  test("pulls by the image's own name, and a second one without a byte from upstream", async () => {
    onTestFailed(() => world.explain());
    const repository = `acme/${name}`;
    const image = await publish(host, repository);
    const [first, mark] = [await clientOf(name), await upstreamOf(host).mark()];
    expect(await first.pull(`${host}/${repository}:v1`)).toBe(image.manifest.digest);
    expect(await upstreamOf(host).settledBlobBytes(mark, image.size)).toBe(image.size);
    const second = await world.client<Client>(CLIENTS[name], world.mirroring(`https://${OWN}`, HOSTS));
    expect(await second.pull(`${host}/${repository}:v1`)).toBe(image.manifest.digest);
    await second.stop();
    expect(await upstreamOf(host).blobBytes(mark)).toBe(image.size);
  });
});

describe.each<ClientName>(["docker-29", "cri", "podman"])("%s, over plain HTTP", (name) => {
  test("pulls through the mirror", async () => {
    onTestFailed(() => world.explain());
    const repository = `acme/plain-${name}`;
    const image = await publish("docker.io", repository);
    const mark = await hub.mark();
    for (let nth = 0; nth < 2; nth += 1) {
      const client = await world.client<Client>(CLIENTS[name], world.mirroring(`http://${OWN}`, ["docker.io"]));
      expect(await client.pull(`docker.io/${repository}:v1`)).toBe(image.manifest.digest);
      await client.stop();
    }
    expect(await hub.settledBlobBytes(mark, image.size)).toBe(image.size);
  });
});

describe.each(DIRECT)("%s", (name) => {
  let client: Client;
  beforeAll(async () => {
    client = await world.client<Client>(CLIENTS[name], { ...world.mirroring(`https://${OWN}`, []) });
  });
  afterAll(() => client?.stop());

  test.each(name === "docker-29" ? [...WRITTEN, ...WRITTEN_TOO] : WRITTEN)("pulls %s", async (written, host, repository) => {
    onTestFailed(() => world.explain());
    const image = await publish(host, `${repository}-${name}`);
    const mark = await upstreamOf(host).mark();
    expect(await client.pull(`${written}-${name}:v1`)).toBe(image.manifest.digest);
    expect(await upstreamOf(host).settledBlobBytes(mark, image.size)).toBe(image.size);
  });

  test("pushes to a hosted site by its name behind Layover's, and pulls that under the site's own", async () => {
    onTestFailed(() => world.explain());
    const reference = `${OWN}/${IMAGES}/acme/${name}:v1`;
    const digest = await client.push!(await Image.make(SIZE), reference);
    const { status } = await world.ask(IMAGES, `/v2/acme/${name}/manifests/${digest}`);
    expect(status).toBe(200);
  });

  test("writes to no other", async () => {
    const reference = `${OWN}/${OPEN}/acme/pushed-${name}:v1`;
    await expect(client.push!(await Image.make(SIZE), reference)).rejects.toThrow();
    expect(await world.open.whole(`acme/pushed-${name}`, "v1")).toBeUndefined();
  });

  // the last, as the login stays
  test(`${ASKED.includes(name) ? "logs in to" : "has no login for"} a hosted site that has users`, async () => {
    onTestFailed(() => world.explain());
    const push = async () => client.push!(await Image.make(SIZE), `${OWN}/${KEPT}/acme/${name}:v1`);
    await expect(push()).rejects.toThrow();
    await client.login("alice", OWN);
    if (ASKED.includes(name)) expect(await push()).toMatch(/^sha256:/);
    else await expect(push()).rejects.toThrow(/auth|denied/i);
  });
});

describe("what the mirror does not give, clients get from the registry itself:", () => {
  const pulls = async (name: ClientName, host: string, repository: string) => {
    const image = await publish(host, repository);
    const [client, mark] = [await clientOf(name), await upstreamOf(host).mark()];
    const began = Date.now();
    expect(await client.pull(`${host}/${repository}:v1`)).toBe(image.manifest.digest);
    console.info(`${name} went round the mirror in ${Date.now() - began} ms`);
    expect(await upstreamOf(host).settledBlobBytes(mark, image.size)).toBe(image.size);
  };

  test.each<ClientName>(["cri", "ctr", "podman", "skopeo", "buildctl"])(
    "a private image, %s with its own login",
    async (name) => {
      onTestFailed(() => world.explain());
      const repository = `alice/${name}`;
      const image = await publish(GUARDED, repository);
      const client = await world.client<Client>(CLIENTS[name], world.mirroring(`https://${OWN}`, HOSTS));
      const reference = `${GUARDED}/${repository}:v1`;
      await expect(client.pull(reference)).rejects.toThrow();
      await client.login("alice", GUARDED);
      expect(await client.pull(reference)).toBe(image.manifest.digest);
      await client.stop();
      expect((await world.ask(OWN, `/v2/${GUARDED}/${repository}/manifests/v1`)).status).toBe(404);
    },
  );

  describe("with the mirror's upstreams away", () => {
    beforeAll(async () => {
      await world.layover.stop();
      const away = { upstream: "https://127.0.0.9" };
      await world.layover.start({}, { ...settings, sites: { ...settings.sites, [HUB.host]: away, [OPEN]: away } });
    });
    test.each(MIRRORED)("%s, %s", async (name, host) => {
      onTestFailed(() => world.explain());
      await pulls(name, host, `acme/away-${name}`);
    });
  });

  describe("with the mirror not knowing them", () => {
    beforeAll(async () => {
      await world.layover.stop();
      await world.layover.start({}, { ...settings, sites: { ...settings.sites, [HUB.host]: false, [OPEN]: false } });
    });
    test.each(SOME)("%s, %s", async (name, host) => {
      onTestFailed(() => world.explain());
      await pulls(name, host, `acme/unknown-${name}`);
    });
  });

  describe("with the mirror gone", () => {
    beforeAll(() => world.layover.stop());
    test.each(SOME)("%s, %s", async (name, host) => {
      await pulls(name, host, `acme/gone-${name}`);
    });
  });
});
