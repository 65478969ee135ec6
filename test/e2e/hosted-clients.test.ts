// Every client logs in to a registry of Layover's own, pushes to it, and another finds there what it says that it has pushed.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Client } from "./clients/client.ts";
import { CLIENTS, type ClientName, NAMES } from "./clients/every.ts";
import type { Network } from "./engine.ts";
import { Htpasswd } from "./htpasswd.ts";
import { Image } from "./image.ts";
import { World } from "./world.ts";

const HOST = "images.build.example";
const [NOTE, LATER] = ["application/vnd.lab.note", "application/vnd.lab.later"];

let world: World;
let behind: Network;
let judge: Client;
beforeAll(async () => {
  world = await World.start();
  const { file } = await Htpasswd.make(`${world.dir}/htpasswd`);
  await world.layover.start({}, { sites: { [HOST]: { kind: "local", users: file } } });
  behind = { ...world.behind, ca: { ...world.behind.ca!, hosts: [HOST] } };
  judge = await world.client(CLIENTS.crane, behind);
  await judge.login("bob", HOST);
});
afterAll(() => world?.stop());

/** The plug-in that a kubelet calls pulls alone. */
const PUSHERS = NAMES.filter((name) => name !== "cri");

describe.each<ClientName>(PUSHERS)("%s", (name) => {
  test("pushes", async () => {
    onTestFailed(() => world.explain());
    const client = await world.client<Client>(CLIENTS[name], behind);
    await client.login("alice", HOST);
    const reference = `${HOST}/acme/${name}:v1`;
    const digest = await client.push!(await Image.make(), reference);
    expect(await judge.pull(reference)).toBe(digest);
  });
});

describe.each<ClientName>(["regctl", "oras"])("%s", (name) => {
  test("attaches what another finds, by type", async () => {
    onTestFailed(() => world.explain());
    const [first, second] = [
      await world.client<Client>(CLIENTS[name], behind),
      await world.client<Client>(CLIENTS[name], behind),
    ];
    for (const client of [first, second]) await client.login("alice", HOST);
    const subject = `${HOST}/acme/referred-${name}:v1`;
    await (name === "regctl" ? first : judge).push!(await Image.make(), subject);
    const attached = [await first.attach!(subject, NOTE!), await first.attach!(subject, LATER!)];
    expect((await second.referrers!(subject)).toSorted()).toEqual(attached.toSorted());
    expect(await second.referrers!(subject, LATER)).toEqual([attached[1]]);
  });
});
