// A push that the registry refuses, for it is too large or goes where it may not: the client is told so at once, in the registry's own words.
import { afterAll, beforeAll, expect, onTestFailed, test } from "vitest";
import type { Client } from "./clients/client.ts";
import { CLIENTS, type ClientName } from "./clients/every.ts";
import { Image } from "./image.ts";
import { asMeant, type Step, tell } from "./story.ts";
import { GUARDED, World } from "./world.ts";

const LARGEST = 2 * 1024 * 1024;
let world: World;
let small: Image;
let large: Image;

beforeAll(async () => {
  world = await World.start();
  await world.guarded.takeAtMost(LARGEST);
  await world.layover.start();
  [small, large] = [await Image.make(1024), await Image.make(8 * LARGEST)];
});
afterAll(() => world?.stop());

const push = (image: Image, repository: string) => (client: Client) => client.push!(image, `${GUARDED}/${repository}:v1`);

/** Why a push failed, without what had gone well before, which comes in no order. */
const reasons = (line: string): string[] =>
  [...new Set(line.match(/\b(?:401|403|413)\b(?! [KM]?i?B)|denied|unauthorized|insufficient|success$/gi))].toSorted();

test.each<ClientName>(["docker-20.10", "docker-29", "ctr", "podman", "buildah", "skopeo", "crane", "regctl", "oras"])(
  "%s",
  async (name) => {
    onTestFailed(() => world.explain());
    const story: Step[] = [
      ["nobody pushes", push(small, `alice/${name}`), "refusal"],
      ["alice logs in", (client) => client.login("alice", GUARDED), "success"],
      ["alice pushes to bob", push(small, `bob/${name}`), "refusal"],
      // it then goes on in parts, each of them small enough
      ["alice pushes what is too large", push(large, `alice/${name}`), name === "regctl" ? "success" : "refusal"],
    ];
    const straight = await tell(await world.client(CLIENTS[name], world.direct), story);
    asMeant(straight, story);
    const through = await tell(await world.client(CLIENTS[name]), story);
    asMeant(through, story);
    expect(through.map(reasons)).toEqual(straight.map(reasons));
    expect(through.map(reasons)).not.toContainEqual([]);
  },
);
