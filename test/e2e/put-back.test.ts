// Every client that pushes: what was pushed is held, so that the next pull asks upstream for no blob; and nothing that is held makes a
// pusher skip: what upstream has lost, and a tag that was moved behind Layover's back, are put back by the next push.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Client } from "./clients/client.ts";
import { CLIENTS, type ClientName, NAMES } from "./clients/every.ts";
import { Image } from "./image.ts";
import { GUARDED, OPEN, World } from "./world.ts";

const SIZE = 512 * 1024;
const PULL_ONLY: readonly ClientName[] = ["cri"];
let world: World;
let another: Client;
beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
  another = await world.client(CLIENTS.crane);
  await another.login("alice", GUARDED);
});
afterAll(() => world?.stop());

describe.each(NAMES.filter((name) => !PULL_ONLY.includes(name)))("%s", (name) => {
  let client: Client;
  beforeAll(async () => {
    client = await world.client(CLIENTS[name]);
  });
  afterAll(() => client?.stop());

  test.each([OPEN, GUARDED])("at %s", async (host) => {
    onTestFailed(() => world.explain());
    if (host === GUARDED) await client.login("alice", GUARDED);
    const upstream = host === OPEN ? world.open : world.guarded;
    const repository = `alice/${name}`;
    const reference = `${host}/${repository}:v1`;
    const image = await Image.make(SIZE);
    const push = async (): Promise<string | undefined> => {
      const digest = await client.push!(image, reference);
      expect(await upstream.whole(repository, "v1")).toBe(digest);
      const mark = await upstream.mark();
      expect(await another.pull(reference)).toBe(digest);
      expect(
        (await upstream.hits(mark)).filter(({ path }) => path.includes("/blobs/")),
        "what was pushed is held",
      ).toEqual([]);
      return digest;
    };
    const digest = await push();
    await upstream.put(await Image.make(SIZE), repository, "v1");
    expect(await push(), "after the tag was moved").toBe(digest);
    await upstream.lose(repository, "v1");
    expect(await upstream.whole(repository, "v1")).toBeUndefined();
    expect(await push(), "after all was lost").toBe(digest);
  });
});
