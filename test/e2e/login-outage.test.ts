// Logging in and pulling while the registry, its token server or both are away: who has been let in before is let in to what is held,
// as far as that can be known, and nobody else is.
import { afterAll, beforeAll, describe, onTestFailed, test } from "vitest";
import type { Client } from "./clients/client.ts";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { Htpasswd } from "./htpasswd.ts";
import { Image } from "./image.ts";
import { asMeant, pull, type Step, tell } from "./story.ts";
import { until } from "./until.ts";
import { Upstream } from "./upstream.ts";
import { GUARDED, QUAY, World } from "./world.ts";

const SIZE = 64 * 1024;
const PEOPLE: readonly ClientName[] = ["docker-20.10", "docker-29", "podman", "skopeo"];
/** Nothing that upstream has said is fresh any more. */
const LONG_AGO = { freshFor: "1s", publicFor: "1s", grantFor: "1s" };
let world: World;
let basic: Upstream;
const clients = {} as Record<ClientName, Client>;

beforeAll(async () => {
  world = await World.start();
  const users = await Htpasswd.make(`${world.dir}/htpasswd`);
  basic = await Upstream.make(world.authority, QUAY.host, QUAY.address, `${world.dir}/basic`, users, "docker-registry");
  await Promise.all([basic.start(), world.layover.start(LONG_AGO)]);
  for (const name of PEOPLE) clients[name] = await world.client(CLIENTS[name]);
  const bob = await world.client(CLIENTS.skopeo);
  for (const [upstream, host] of [
    [world.guarded, GUARDED],
    [basic, QUAY.host],
  ] as const) {
    for (const repository of ["alice/private", "bob/private", "acme/public/app"])
      await upstream.put(await Image.make(SIZE), repository, "v1");
    await bob.login("bob", host);
    await bob.pull(`${host}/bob/private:v1`);
    await bob.pull(`${host}/acme/public/app:v1`);
  }
});
afterAll(async () => {
  await basic?.stop();
  await world?.stop();
});

type End = Step[2];
/** How these end; all else is refused. `open`: nobody's pull of what is public. */
type Ends = { own: End; login: End; mistyped?: End; open: End };

const story = (host: string, { own, login, mistyped = "refusal", open }: Ends): Step[] => [
  ["alice pulls what is hers", pull(host, "alice/private"), own],
  ["alice pulls what is bob's", pull(host, "bob/private"), "refusal"],
  ["alice mistypes her password", (client) => client.login("alice", host, "guess"), mistyped],
  ["alice logs in", (client) => client.login("alice", host), login],
  ["alice logs out", (client) => client.logout?.(host), "success"],
  ["nobody pulls what is public", pull(host, "acme/public/app"), open],
  ["nobody pulls what is alice's", pull(host, "alice/private"), "refusal"],
];

const tellAll = (host: string, ends: Ends) => {
  test.each(PEOPLE)("%s", async (name) => {
    onTestFailed(() => world.explain());
    const told = story(host, ends);
    asMeant(await tell(clients[name], told), told);
  });
};

/** Alice's own image is held, and she is logged in, before anything goes away. */
const before = async (host: string) => {
  for (const name of PEOPLE) {
    await clients[name].login("alice", host);
    await clients[name].pull(`${host}/alice/private:v1`);
  }
};

/** Nobody is kept from going to a token server himself before it is sure that there is none: one that has just answered may be asked again. */
const challengeDropped = () =>
  until("the challenge to be dropped", 30_000, async () => (await world.ask(GUARDED, "/v2/")).status === 200);

describe("a registry with passwords of its own is away", () => {
  beforeAll(async () => {
    await before(QUAY.host);
    await basic.stop();
  });
  afterAll(() => basic.start());
  tellAll(QUAY.host, { own: "success", login: "success", open: "refusal" });
});

describe("a registry behind a token server is away", () => {
  beforeAll(async () => {
    await before(GUARDED);
    await world.guarded.stop();
  });
  afterAll(() => world.guarded.start());
  tellAll(GUARDED, { own: "refusal", login: "success", open: "success" });
});

describe("the token server is away", () => {
  beforeAll(async () => {
    await before(GUARDED);
    await world.tokens.stop();
    await challengeDropped();
  });
  afterAll(() => world.tokens.start());
  tellAll(GUARDED, { own: "refusal", login: "success", mistyped: "success", open: "success" });
});

describe("both are away", () => {
  beforeAll(async () => {
    await before(GUARDED);
    await Promise.all([world.tokens.stop(), world.guarded.stop()]);
    await challengeDropped();
  });
  afterAll(() => Promise.all([world.tokens.start(), world.guarded.start()]));
  // nobody can tell a password from another: the login is let pass, and is good for nothing
  tellAll(GUARDED, { own: "refusal", login: "success", mistyped: "success", open: "success" });
});

describe("a registry whose tokenKeys Layover has is away", () => {
  beforeAll(async () => {
    await world.layover.stop();
    await world.layover.start(LONG_AGO, { sites: { [GUARDED]: { tokenKeys: world.authority.certificate } } });
    await before(GUARDED);
    await world.guarded.stop();
  });
  afterAll(() => world.guarded.start());
  tellAll(GUARDED, { own: "success", login: "success", open: "success" });
});
