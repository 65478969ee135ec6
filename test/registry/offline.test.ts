// What offline means for rights: what was public stays so, what was granted ends as in any outage.
import { describe, expect, it } from "vitest";
import { blob, context, HOUR, manifest, readBlob, seen, stack } from "./stack.ts";

const ANN = "Basic ann";

const world = async () => {
  const made = stack({ offline: true });
  const { upstream, registry, setUp, cut } = made;
  upstream.repo("open/app", { isPublic: true });
  upstream.repo("ann/app", { readers: [ANN] });
  const layer = upstream.blob("open/app", Buffer.from("layer"));
  for (const name of ["open/app", "ann/app"]) upstream.manifest(name, "v1", { name, layers: [{ digest: layer }] });
  await readBlob(registry, blob("open/app", layer), context());
  const get = (name: string, credential?: string) => seen(registry.getManifest(manifest(name, "v1"), context(credential)));
  await get("open/app");
  await get("ann/app", ANN);
  setUp(false);
  cut();
  return { ...made, get, layer };
};

describe("offline", () => {
  it("what was public is served years later, and after a clock was turned back", async () => {
    const { get, pass, registry, layer } = await world();
    expect(await get("open/app")).toBe("hit");
    for (const hours of [30, 3 * 365 * 24, -20 * 365 * 24]) {
      pass(hours * HOUR);
      expect(await get("open/app")).toBe("stale");
      expect(await readBlob(registry, blob("open/app", layer), context("Basic anybody"))).toEqual(Buffer.from("layer"));
    }
  });

  it("what was granted is so for staleAccess", async () => {
    const { get, pass } = await world();
    pass(23 * HOUR);
    expect(await get("ann/app", ANN)).toBe("stale");
    expect(await get("ann/app")).not.toBe("stale");
    pass(2 * HOUR);
    expect(await get("ann/app", ANN)).not.toBe("stale");
  });
});
