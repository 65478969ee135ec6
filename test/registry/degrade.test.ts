// Stores that fail: the answer is upstream's, by the client's own right.
import { describe, expect, it } from "vitest";
import type { Registry } from "../../src/oci/registry.ts";
import { degrade } from "../../src/registry/degrade.ts";
import { witness } from "../../src/registry/witness.ts";
import { hot } from "../../src/store/hot.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { logged } from "../store/keeping.ts";
import { blob, context, manifest, readBlob, seen, stack } from "./stack.ts";
import { writer } from "./writer.ts";

const BYTES = Buffer.from("a layer");
const ALICE = "Basic alice";

const world = async () => {
  const blobs = memoryBlobs();
  const made = stack({}, blobs);
  made.upstream.repo("alice/app", { readers: [ALICE] });
  const layer = made.upstream.blob("alice/app", BYTES);
  made.upstream.manifest("alice/app", "v1", { layers: [{ digest: layer }] });
  await readBlob(made.registry, blob("alice/app", layer), context(ALICE));
  await made.registry.getManifest(manifest("alice/app", "v1"), context(ALICE));
  const broken = () => Promise.reject(new Error("EIO: i/o error"));
  return {
    ...made,
    layer,
    breakBlobs: () => Object.assign(blobs, { stat: broken, read: broken, readAll: broken, stage: broken }),
  };
};

describe("an ill store", () => {
  it("takes nothing from who may read, and gives nothing to who may not", async () => {
    const { registry, layer, breakBlobs } = await world();
    breakBlobs();
    expect(await readBlob(registry, blob("alice/app", layer), context(ALICE))).toEqual(BYTES);
    expect(await seen(registry.getBlob(blob("alice/app", layer), context(ALICE)))).toBe("uncached");
    expect(await seen(registry.getManifest(manifest("alice/app", "v1"), context(ALICE)))).toBe("uncached");
    expect(await seen(registry.getBlob(blob("alice/app", layer), context()))).toBe("UNAUTHORIZED");
    expect(await seen(registry.getManifest(manifest("alice/app", "v1"), context("Basic bob")))).toBe("UNAUTHORIZED");
  });

  it("that gives other bytes than it was given is not believed: upstream answers, or nobody", async () => {
    const memory = memoryBlobs();
    const made = stack({}, hot(memory));
    made.upstream.repo("alice/app", { readers: [ALICE] });
    const layer = made.upstream.blob("alice/app", BYTES);
    made.upstream.manifest("alice/app", "v1", { layers: [{ digest: layer }] });
    await readBlob(made.registry, blob("alice/app", layer), context(ALICE));
    await made.registry.getManifest(manifest("alice/app", "v1"), context(ALICE));
    Object.assign(memory, { readAll: async () => Buffer.from("a lier!") });
    expect(await readBlob(made.registry, blob("alice/app", layer), context(ALICE))).toEqual(BYTES);
    expect(await seen(made.registry.getManifest(manifest("alice/app", "v1"), context(ALICE)))).toBe("uncached");
    expect(await seen(made.registry.getBlob(blob("alice/app", layer), context("Basic bob")))).toBe("UNAUTHORIZED");
    made.cut();
    expect(await seen(made.registry.getBlob(blob("alice/app", layer), context(ALICE)))).toBe("UPSTREAM_UNREACHABLE");
  });

  it("is no news with every request", async () => {
    const { log, lines } = logged();
    const made = stack();
    made.upstream.repo("alice/app", { readers: [ALICE] });
    const query = blob("alice/app", made.upstream.blob("alice/app", BYTES));
    const broken = () => Promise.reject(new Error("database or disk is full"));
    const facts = { ...made.facts, addLink: broken };
    const seen = witness(made.upstream, { ...made, facts, log, granted: () => undefined });
    const ill = degrade(Object.assign(Object.create(made.upstream), { statBlob: broken }) as Registry, seen, log);
    for (let n = 0; n < 50; n += 1) expect((await ill.statBlob(query, context(ALICE))).descriptor.digest).toBe(query.digest);
    expect(lines).toEqual(["error the store fails; upstream answers instead", "error links could not be saved"]);
  });

  it("of facts does the same", async () => {
    const { registry, layer, facts } = await world();
    await facts.close();
    Object.assign(facts, { close: async () => undefined });
    expect(await readBlob(registry, blob("alice/app", layer), context(ALICE))).toEqual(BYTES);
    expect(await seen(registry.getManifest(manifest("alice/app", "v1"), context(ALICE)))).toBe("uncached");
    expect(await seen(registry.statManifest(manifest("alice/app", "v1"), context(ALICE)))).toBe("uncached");
    expect(await seen(registry.getBlob(blob("alice/app", layer), context()))).toBe("UNAUTHORIZED");
    expect(await seen(registry.getBlob(blob("alice/app", layer), context("Basic bob")))).toBe("UNAUTHORIZED");
  });

  it("that cannot forget a right keeps upstream's no from nobody, and gives nothing by that right", async () => {
    const { registry, layer, upstream, facts, cut } = await world();
    facts.removeGrant = () => Promise.reject(new Error("database or disk is full"));
    upstream.repo("alice/app").readers.clear();
    for (const way of ["statBlob", "getBlob"] as const)
      expect(await seen(registry[way](blob("alice/app", layer), context(ALICE)))).toBe("UNAUTHORIZED");
    cut();
    expect(await seen(registry.getBlob(blob("alice/app", layer), context(ALICE)))).toBe("UPSTREAM_UNREACHABLE");
  });

  it("takes no push from anybody", async () => {
    const made = await world();
    await made.facts.close();
    Object.assign(made.facts, { close: async () => undefined });
    let hasBeenSent = false;
    await writer(made).write("PUT", "/v2/alice/app/manifests/v1", {
      body: [Buffer.from("{}")],
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      async send() {
        hasBeenSent = true;
        return { status: 201 };
      },
    });
    expect(hasBeenSent).toBe(true);
  });
});
