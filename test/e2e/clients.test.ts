// Every client through the hijack, with DNS and a CA as its whole set-up and with unchanged image names.
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import type { Client } from "./clients/client.ts";
import { CLIENTS, NAMES } from "./clients/every.ts";
import { Image, Index } from "./image.ts";
import { GUARDED, OPEN, World } from "./world.ts";

const SIZE = 2 * 1024 * 1024;
let world: World;
beforeAll(async () => {
  world = await World.start();
  await world.layover.start();
});
afterAll(() => world?.stop());

describe.each(NAMES)("%s", (name) => {
  let first: Client;
  let second: Client;
  let image: Image;
  let index: Index;
  const single = `${OPEN}/acme/${name}:single`;
  const multi = `${OPEN}/acme/${name}:multi`;

  beforeAll(async () => {
    [image, index] = [await Image.make(SIZE), await Index.make(SIZE)];
    await world.open.put(image, `acme/${name}`, "single");
    await world.open.putIndex(index, `acme/${name}`, "multi");
    first = await world.client(CLIENTS[name]);
    second = await world.client(CLIENTS[name]);
  });
  afterAll(async () => {
    await Promise.all([first?.stop(), second?.stop()]);
  });

  test("pulls an image, each blob once", async () => {
    onTestFailed(() => world.explain());
    const mark = await world.open.mark();
    expect(await first.pull(single)).toBe(image.manifest.digest);
    expect(await world.open.settledBlobBytes(mark, image.size)).toBe(image.size);
  });

  test("pulls its own platform's image of an index, and no other blob", async () => {
    onTestFailed(() => world.explain());
    const mark = await world.open.mark();
    expect([index.manifest.digest, index.wanted.manifest.digest]).toContain(await first.pull(multi));
    expect(await world.open.settledBlobBytes(mark, index.wanted.size)).toBe(index.wanted.size);
  });

  test("pulls both in a second place, and by digest, without a byte from upstream", async () => {
    onTestFailed(() => world.explain());
    const mark = await world.open.mark();
    expect(await second.pull(single)).toBe(image.manifest.digest);
    for (const reference of [multi, `${OPEN}/acme/${name}@${index.manifest.digest}`])
      expect([index.manifest.digest, index.wanted.manifest.digest]).toContain(await second.pull(reference));
    expect(await world.open.blobBytes(mark)).toBe(0);
  });

  test("logs in, pushes where it can, and pulls that in a second place", async () => {
    onTestFailed(() => world.explain());
    const repository = `alice/${name}`;
    const pushed = `${GUARDED}/${repository}:v1`;
    const another = await Image.make(SIZE);
    await expect(second.pull(pushed)).rejects.toThrow(/denied|unauthorized|authenti|forbidden|insufficient/i);
    for (const client of [first, second]) await client.login("alice", GUARDED);
    if (first.push) expect(await first.push(another, pushed)).toBe(await world.guarded.whole(repository, "v1"));
    else await world.guarded.put(another, repository, "v1");
    expect(await second.pull(pushed)).toBe(await world.guarded.whole(repository, "v1"));
  });
});
