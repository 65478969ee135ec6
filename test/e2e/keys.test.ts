// `tokenKeys`: a private image that is held costs no question, although every pull brings a token that nobody has seen before.
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { Image } from "./image.ts";
import { pull, tell } from "./story.ts";
import { GUARDED, World } from "./world.ts";

const PRIVATE = "alice/private";
let world: World;
let image: Image;

beforeAll(async () => {
  world = await World.start();
  image = await Image.make(64 * 1024);
  await world.guarded.put(image, PRIVATE, "v1");
  await world.layover.start({}, { sites: { [GUARDED]: { tokenKeys: world.tokens.signer } } });
  const first = await world.client(CLIENTS.skopeo);
  await first.login("alice", GUARDED);
  await first.pull(`${GUARDED}/${PRIVATE}:v1`);
});
afterAll(() => world?.stop());

test.each<ClientName>(["docker-20.10", "docker-29", "ctr", "podman", "skopeo", "crane"])("%s", async (name) => {
  onTestFailed(() => world.explain());
  const [alices, bobs] = [await world.client(CLIENTS[name]), await world.client(CLIENTS[name])];
  await alices.login("alice", GUARDED);
  await bobs.login("bob", GUARDED);
  const [mark, tokens] = [await world.guarded.mark(), world.tokens.asked];
  for (let turn = 0; turn < 2; turn += 1) expect(await alices.pull(`${GUARDED}/${PRIVATE}:v1`)).toBe(image.manifest.digest);
  expect(world.tokens.asked).toBeGreaterThan(tokens);
  // some ask once without a token, only to be sent for one
  const hits = (await world.guarded.hits(mark)).filter(
    ({ path, status }) => path.startsWith(`/v2/${PRIVATE}/`) && status !== 401,
  );
  expect(hits).toEqual([]);
  expect(await tell(bobs, [["pull", pull(GUARDED, PRIVATE), "refusal"]])).not.toEqual(["pull: success"]);
});
