// Logging in and out through Layover is as without it: the same story told straight to the registry and through its hijacked name, with
// nothing held and with all of it held, comes out the same, word for word of what the client prints.
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Client } from "./clients/client.ts";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { Htpasswd } from "./htpasswd.ts";
import { Image } from "./image.ts";
import { asMeant, pull, type Step, tell } from "./story.ts";
import { Upstream } from "./upstream.ts";
import { GUARDED, QUAY, World } from "./world.ts";

const SIZE = 256 * 1024;
const GRANT_FOR = 3_000;
let world: World;
let users: Htpasswd;
let basic: Upstream;
beforeAll(async () => {
  world = await World.start();
  users = await Htpasswd.make(`${world.dir}/htpasswd`);
  basic = await Upstream.make(world.authority, QUAY.host, QUAY.address, `${world.dir}/basic`, users, "docker-registry");
  await Promise.all([basic.start(), world.layover.start({ grantFor: `${GRANT_FOR / 1000}s` })]);
  for (const upstream of [world.guarded, basic])
    for (const repository of ["alice/private", "bob/private", "acme/public/app"])
      await upstream.put(await Image.make(SIZE), repository, "v1");
});
afterAll(async () => {
  await basic?.stop();
  await world?.stop();
});

/** A token server tells users apart; htpasswd lets each of them read all, and nobody anything. */
const STORIES: Readonly<Record<string, readonly Step[]>> = {
  [GUARDED]: [
    ["nobody pulls what is public", pull(GUARDED, "acme/public/app"), "success"],
    ["nobody pulls what is alice's", pull(GUARDED, "alice/private"), "refusal"],
    ["alice mistypes her password", (client) => client.login("alice", GUARDED, "guess"), "refusal"],
    ["alice logs in", (client) => client.login("alice", GUARDED), "success"],
    ["alice pulls what is hers", pull(GUARDED, "alice/private"), "success"],
    ["alice pulls what is bob's", pull(GUARDED, "bob/private"), "refusal"],
    ["alice pulls what is public", pull(GUARDED, "acme/public/app"), "success"],
    ["alice pulls what is not there", pull(GUARDED, "alice/nothing"), "refusal"],
    ["alice logs out", (client) => client.logout?.(GUARDED), "success"],
    ["nobody pulls what is alice's, again", pull(GUARDED, "alice/private"), "refusal"],
    ["bob logs in", (client) => client.login("bob", GUARDED), "success"],
    ["bob pulls what is his", pull(GUARDED, "bob/private"), "success"],
    ["bob pulls what is alice's", pull(GUARDED, "alice/private"), "refusal"],
    ["bob logs out", (client) => client.logout?.(GUARDED), "success"],
  ],
  [QUAY.host]: [
    ["nobody pulls", pull(QUAY.host, "alice/private"), "refusal"],
    ["alice mistypes her password", (client) => client.login("alice", QUAY.host, "guess"), "refusal"],
    ["alice logs in", (client) => client.login("alice", QUAY.host), "success"],
    ["alice pulls", pull(QUAY.host, "alice/private"), "success"],
    ["alice pulls what is not there", pull(QUAY.host, "alice/nothing"), "refusal"],
    ["alice logs out", (client) => client.logout?.(QUAY.host), "success"],
    ["nobody pulls, again", pull(QUAY.host, "alice/private"), "refusal"],
    ["bob logs in", (client) => client.login("bob", QUAY.host), "success"],
    ["bob pulls", pull(QUAY.host, "alice/private"), "success"],
    ["bob logs out", (client) => client.logout?.(QUAY.host), "success"],
  ],
};

describe.each([
  ["behind a token server", GUARDED, () => world.guarded],
  ["behind htpasswd", QUAY.host, () => basic],
])("%s", (_, host, upstream) => {
  test.each<ClientName>(["docker-20.10", "docker-29", "podman", "skopeo"])("%s", async (name) => {
    onTestFailed(() => world.explain());
    const story = STORIES[host]!;
    const straight = await tell(await world.client(CLIENTS[name], world.direct), story);
    asMeant(straight, story);
    expect(await tell(await world.client(CLIENTS[name]), story)).toEqual(straight);
    const mark = await upstream().mark();
    expect(await tell(await world.client(CLIENTS[name]), story), "all of it held").toEqual(straight);
    expect(await upstream().blobBytes(mark)).toBe(0);
  });
});

describe("who is struck off is out within grantFor, whatever is held, and nobody else is", () => {
  const CLIENT_NAMES: ClientName[] = ["docker-29", "podman", "skopeo"];

  test.each([
    ["of the token server", GUARDED, async () => world.tokens.drop("bob")],
    ["of the htpasswd file", QUAY.host, () => users.drop("bob")],
  ])("%s", async (_, host, strikeOff) => {
    onTestFailed(() => world.explain());
    const bobs = await Promise.all(CLIENT_NAMES.map((name) => world.client(CLIENTS[name])));
    const alices = await world.client(CLIENTS.skopeo);
    const reads = (client: Client, whose: string) => tell(client, [["pull", pull(host, `${whose}/private`), "success"]]);
    for (const client of bobs) {
      await client.login("bob", host);
      expect(await reads(client, "bob")).toEqual(["pull: success"]);
    }
    await alices.login("alice", host);
    expect(await reads(alices, "alice")).toEqual(["pull: success"]);
    await strikeOff();
    await sleep(GRANT_FOR);
    for (const client of bobs) expect(await reads(client, "bob")).not.toEqual(["pull: success"]);
    expect(await reads(alices, "alice")).toEqual(["pull: success"]);
  });
});
