// A token that changes with every pull: with the registry's keys, and where its realm is under the hijacked name, real clients' pulls of
// what is held cost the registry no question, go on while it is away and token servers are not, and are still their owner's alone.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Client } from "./clients/client.ts";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { Image } from "./image.ts";
import { OwnRealm } from "./own-realm.ts";
import { Upstream } from "./upstream.ts";
import { GUARDED, QUAY, World } from "./world.ts";

const NAMES: ClientName[] = ["docker-20.10", "docker-29", "ctr", "podman", "skopeo", "crane"];
const images = new Map<string, Image>();
let world: World;
let quay: Upstream;
beforeAll(async () => {
  world = await World.start();
  const realm = new OwnRealm(world.tokens, QUAY.host, "/v2/auth");
  quay = await Upstream.make(world.authority, QUAY.host, QUAY.address, `${world.dir}/quay`, realm);
  await quay.start();
  await world.layover.start({ freshFor: "1h" }, { sites: { [GUARDED]: { tokenKeys: world.authority.certificate } } });
  for (const upstream of [world.guarded, quay]) {
    const image = await Image.make(256 * 1024);
    images.set(upstream.host, image);
    await upstream.put(image, "alice/private", "v1");
    const filler = await world.client(CLIENTS.skopeo);
    await filler.login("alice", upstream.host);
    await filler.pull(`${upstream.host}/alice/private:v1`);
  }
});
afterAll(async () => {
  await quay?.stop();
  await world?.stop();
});

const as = async (user: string, name: ClientName, host: string): Promise<Client> => {
  const client = await world.client(CLIENTS[name]);
  await client.login(user, host);
  return client;
};
const pull = (client: Client, host: string) => client.pull(`${host}/alice/private:v1`);
/** What was asked of the registry about the repository, but for what is asked without a token, which is answered with a challenge. */
const questions = async (upstream: Upstream, mark: number) =>
  (await upstream.hits(mark)).filter(({ path, status }) => path.includes("alice/private") && status !== 401);

describe.each([
  ["with the registry's keys", GUARDED, () => world.guarded],
  ["with the realm under the hijacked name", QUAY.host, () => quay],
])("%s", (_, host, upstream) => {
  test.each(NAMES)("%s pulls what is held without a question, and nobody else does", async (name) => {
    onTestFailed(() => world.explain());
    const mark = await upstream().mark();
    expect(await pull(await as("alice", name, host), host)).toBe(images.get(host)!.manifest.digest);
    expect(await questions(upstream(), mark)).toEqual([]);
    const bob = await as("bob", name, host);
    await expect(pull(bob, host)).rejects.toThrow(/denied|unauthorized|authenti|forbidden|insufficient/i);
    expect(await upstream().blobBytes(mark)).toBe(0);
  });

  describe("while the registry alone is away", () => {
    beforeAll(() => upstream().breakDown());
    afterAll(() => upstream().mend());

    test.each(NAMES)("%s pulls what is held, and nobody else does", async (name) => {
      onTestFailed(() => world.explain());
      expect(await pull(await as("alice", name, host), host)).toBe(images.get(host)!.manifest.digest);
      await expect(pull(await as("bob", name, host), host)).rejects.toThrow();
    });
  });
});
