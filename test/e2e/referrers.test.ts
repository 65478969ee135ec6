// What refers to an image (signatures, bills of materials) with the clients that know of it, at a registry that has the
// referrers API, and at one that has not, where clients keep an index under a tag instead.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Client } from "./clients/client.ts";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { Index } from "./image.ts";
import { Upstream } from "./upstream.ts";
import { OPEN, QUAY, World } from "./world.ts";

const [NOTE, LATER] = ["application/vnd.lab.note", "application/vnd.lab.later"];

let world: World;
let quay: Upstream;
beforeAll(async () => {
  world = await World.start();
  quay = await Upstream.make(world.authority, QUAY.host, QUAY.address, `${world.dir}/quay`, undefined, "referrers-registry");
  await quay.start();
  await world.layover.start();
});
afterAll(async () => {
  await quay?.stop();
  await world?.stop();
});

const related = async (client: Client, subject: string, type?: string) => (await client.referrers!(subject, type)).toSorted();

describe.each<ClientName>(["regctl", "oras"])("%s", (name) => {
  test.each([
    ["the referrers API", QUAY.host],
    ["the fallback tag", OPEN],
  ])("by %s: what is attached in one place is found in a second one, and with it what comes later", async (_, host) => {
    onTestFailed(() => world.explain());
    const upstream = host === OPEN ? world.open : quay;
    const repository = `acme/referred-${name}`;
    const subject = `${host}/${repository}:v1`;
    await upstream.putIndex(await Index.make(1024), repository, "v1");
    const [first, second] = [await world.client(CLIENTS[name]), await world.client(CLIENTS[name])];
    const direct = await world.client(CLIENTS[name], world.direct);
    expect(await related(second, subject)).toEqual([]);
    const note = await first.attach!(subject, NOTE!);
    expect(await related(second, subject)).toEqual([note]);
    const later = await first.attach!(subject, LATER!);
    for (const client of [first, second]) {
      expect(await related(client, subject)).toEqual([note, later].toSorted());
      expect(await related(client, subject, LATER)).toEqual(await related(direct, subject, LATER));
    }
    const asked = (await upstream.hits()).filter(({ path }) => path.startsWith(`/v2/${repository}/referrers/`));
    expect(new Set(asked.map(({ status }) => status))).toEqual(new Set([host === OPEN ? 404 : 200]));
  });
});
