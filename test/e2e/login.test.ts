// Logging in and out through Layover is as without it: the same story told straight to the registry and through its hijacked name, with
// nothing held and with all of it held, comes out the same, word for word of what the client prints.
import { appendFile, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Client } from "./clients/client.ts";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import type { Network } from "./engine.ts";
import { Htpasswd } from "./htpasswd.ts";
import { Image } from "./image.ts";
import { asMeant, pull, type Step, tell } from "./story.ts";
import { Upstream } from "./upstream.ts";
import { GUARDED, HUB, QUAY, World } from "./world.ts";

const SIZE = 256 * 1024;
const HUB_NAME = "docker.io";
const GRANT_FOR = 3_000;
let world: World;
let users: Htpasswd;
let basic: Upstream;
let hub: Upstream;
/** The public CA and Layover's. */
let system: string;
beforeAll(async () => {
  world = await World.start();
  users = await Htpasswd.make(`${world.dir}/htpasswd`);
  basic = await Upstream.make(world.authority, QUAY.host, QUAY.address, `${world.dir}/basic`, users, "docker-registry");
  hub = await Upstream.make(world.authority, HUB.host, HUB.address, `${world.dir}/hub`, world.tokens);
  await Promise.all([basic.start(), hub.start(), world.layover.start({ grantFor: `${GRANT_FOR / 1000}s` })]);
  for (const upstream of [world.guarded, basic, hub])
    for (const repository of ["alice/private", "bob/private", "acme/public/app"])
      await upstream.put(await Image.make(SIZE), repository, "v1");
  system = `${world.dir}/system.pem`;
  for (const part of [world.authority.certificate, world.layover.certificate]) await appendFile(system, await readFile(part));
});
afterAll(async () => {
  await Promise.all([basic?.stop(), hub?.stop()]);
  await world?.stop();
});

/** A token server tells users apart. */
const byToken = (host: string): readonly Step[] => [
  ["nobody pulls what is public", pull(host, "acme/public/app"), "success"],
  ["nobody pulls what is alice's", pull(host, "alice/private"), "refusal"],
  ["alice mistypes her password", (client) => client.login("alice", host, "guess"), "refusal"],
  ["alice logs in", (client) => client.login("alice", host), "success"],
  ["alice pulls what is hers", pull(host, "alice/private"), "success"],
  ["alice pulls what is bob's", pull(host, "bob/private"), "refusal"],
  ["alice pulls what is public", pull(host, "acme/public/app"), "success"],
  ["alice pulls what is not there", pull(host, "alice/nothing"), "refusal"],
  ["alice logs out", (client) => client.logout?.(host), "success"],
  ["nobody pulls what is alice's, again", pull(host, "alice/private"), "refusal"],
  ["bob logs in", (client) => client.login("bob", host), "success"],
  ["bob pulls what is his", pull(host, "bob/private"), "success"],
  ["bob pulls what is alice's", pull(host, "alice/private"), "refusal"],
  ["bob logs out", (client) => client.logout?.(host), "success"],
];

/** htpasswd lets each of them read all, and nobody anything. */
const byPassword = (host: string): readonly Step[] => [
  ["nobody pulls", pull(host, "alice/private"), "refusal"],
  ["alice mistypes her password", (client) => client.login("alice", host, "guess"), "refusal"],
  ["alice logs in", (client) => client.login("alice", host), "success"],
  ["alice pulls", pull(host, "alice/private"), "success"],
  ["alice pulls what is not there", pull(host, "alice/nothing"), "refusal"],
  ["alice logs out", (client) => client.logout?.(host), "success"],
  ["nobody pulls, again", pull(host, "alice/private"), "refusal"],
  ["bob logs in", (client) => client.login("bob", host), "success"],
  ["bob pulls", pull(host, "alice/private"), "success"],
  ["bob logs out", (client) => client.logout?.(host), "success"],
];

/** Docker's older image store looks for the Hub's CA among the system's alone. */
const behindHub = (): Network => ({
  ...world.behind,
  ca: { certificate: world.layover.certificate, hosts: [HUB_NAME] },
  publicCa: system,
});

describe.each([
  ["behind a token server", byToken(GUARDED), () => world.guarded, () => world.behind],
  ["behind htpasswd", byPassword(QUAY.host), () => basic, () => world.behind],
  ["Docker Hub", byToken(HUB_NAME), () => hub, behindHub],
])("%s", (_, story, upstream, behind) => {
  test.each<ClientName>(["docker-20.10", "docker-29", "podman", "skopeo"])("%s", async (name) => {
    onTestFailed(() => world.explain());
    const straight = await tell(await world.client(CLIENTS[name], world.direct), story);
    asMeant(straight, story);
    expect(await tell(await world.client(CLIENTS[name], behind()), story)).toEqual(straight);
    const mark = await upstream().mark();
    expect(await tell(await world.client(CLIENTS[name], behind()), story), "all of it held").toEqual(straight);
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
