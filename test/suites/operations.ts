// What every way to ask Layover must answer alike: through a server, and of the store alone.
import { expect, it } from "vitest";
import type { Listing } from "../../src/admin/answers.ts";
import type { Call, Operations } from "../../src/admin/operations.ts";
import { digestOf } from "../../src/oci/digest.ts";
import { INDEX, LAYER_DIGEST, MANIFEST, REPO } from "../admin/stock.ts";

export const quiet: Call = { signal: new AbortController().signal, progress: () => undefined };

/** `open` gives the operations over a store that `stock` has filled. */
export const operationsSuite = (open: () => Promise<Operations>): void => {
  it("lists sites, configured or known", async () => {
    const listing = await (await open()).list({}, quiet);
    expect(listing).toMatchObject({ kind: "sites", totals: { blobs: 4, bytes: expect.any(Number) } });
    const sites = (listing as Extract<Listing, { kind: "sites" }>).sites;
    expect(sites).toContainEqual({ site: "ghcr.io", configured: true, known: true });
    expect(sites).toContainEqual({ site: "quay.io", configured: true, known: false });
  });

  it("lists repositories in pages", async () => {
    const operations = await open();
    const first = await operations.list({ of: "ghcr.io", limit: 2 }, quiet);
    expect(first).toMatchObject({
      kind: "repositories",
      site: "ghcr.io",
      repositories: [
        { repository: "acme/app", tags: 2, links: 3, held: 3, bytes: MANIFEST.length + INDEX.length + 5_000 },
        { repository: "acme/base", tags: 0, links: 1, held: 1, bytes: 5_000 },
      ],
      next: "acme/base",
    });
    const second = await operations.list({ of: "ghcr.io", limit: 2, after: "acme/base" }, quiet);
    expect(second).toEqual({
      kind: "repositories",
      site: "ghcr.io",
      repositories: [{ repository: "many/tags", tags: 250, links: 0, held: 0, bytes: 0 }],
    });
  });

  it("lists tags with what is held of them", async () => {
    const listing = await (await open()).list({ of: `ghcr.io/${REPO}` }, quiet);
    const times = { checkedAt: "2026-01-02T03:04:05.000Z", usedAt: "2026-01-02T03:04:05.000Z" };
    expect(listing).toEqual({
      kind: "tags",
      site: "ghcr.io",
      repository: REPO,
      tags: [
        { tag: "1", digest: digestOf(MANIFEST), held: true, bytes: MANIFEST.length + 5_000 + 14, ...times },
        { tag: "all", digest: digestOf(INDEX), held: true, bytes: INDEX.length + MANIFEST.length + 5_000 + 14, ...times },
      ],
    });
  });

  it("lists many tags, each once", async () => {
    const operations = await open();
    const names: string[] = [];
    for (let after: string | undefined; ; ) {
      const page = (await operations.list({ of: "ghcr.io/many/tags", after, limit: 100 }, quiet)) as Extract<
        Listing,
        { kind: "tags" }
      >;
      names.push(...page.tags.map(({ tag }) => tag));
      if (page.next === undefined) break;
      after = page.next;
    }
    expect(new Set(names).size).toBe(250);
    expect(names).toHaveLength(250);
  });

  it("shows an image, by tag and by digest", async () => {
    const operations = await open();
    const shown = await operations.show({ reference: "ghcr.io/acme/app:1" }, quiet);
    expect(shown).toMatchObject({
      reference: "ghcr.io/acme/app:1",
      tag: "1",
      digest: digestOf(MANIFEST),
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      held: true,
      size: MANIFEST.length,
      checkedAt: "2026-01-02T03:04:05.000Z",
      parts: [
        { role: "config", held: true },
        { role: "layer", digest: LAYER_DIGEST, size: 5_000, held: true },
        { role: "layer", size: 7_000, held: false },
      ],
      bytes: { held: MANIFEST.length + 14 + 5_000, named: MANIFEST.length + 14 + 12_000 },
      links: [{ site: "ghcr.io", repository: "acme/app" }],
      tags: ["ghcr.io/acme/app:1"],
      history: [
        { digest: digestOf(MANIFEST), at: "2026-01-02T03:04:05.000Z", reason: "pull" },
        { at: "2026-01-02T03:04:04.000Z", reason: "pull" },
      ],
    });
    const same = await operations.show({ reference: `ghcr.io/acme/app@${digestOf(MANIFEST)}` }, quiet);
    expect(same.parts).toEqual(shown.parts);
    expect(same.history).toEqual([]);
    expect("tag" in same).toBe(false);
  });

  it("shows an index with what is held of each platform", async () => {
    const shown = await (await open()).show({ reference: "ghcr.io/acme/app:all" }, quiet);
    expect(shown.parts).toMatchObject([
      {
        role: "manifest",
        platform: "linux/amd64",
        held: true,
        parts: [{ role: "config" }, { role: "layer" }, { role: "layer" }],
      },
      { role: "manifest", platform: "linux/arm/v7", held: false },
    ]);
    expect(shown.parts[1]).not.toHaveProperty("parts");
  });

  it("shows a layer, and who links it", async () => {
    const shown = await (await open()).show({ reference: `ghcr.io/acme/base@${LAYER_DIGEST}` }, quiet);
    expect(shown).toMatchObject({ held: true, size: 5_000, parts: [], bytes: { held: 5_000, named: 5_000 } });
    expect(shown.links.map(({ repository }) => repository)).toEqual(["acme/app", "acme/base"]);
  });

  it.each([
    ["ghcr.io/acme/nothing:1", "NOT_HELD"],
    ["ghcr.io/acme/app", "NOT_HELD"],
    [`ghcr.io/acme/app@sha256:${"9".repeat(64)}`, "NOT_HELD"],
    ["registry.example/acme/app", "UNKNOWN_SITE"],
    ["ghcr.io/ACME", "INVALID"],
  ])("shows nothing of %s: %s", async (reference, code) => {
    const operations = await open();
    await expect(operations.show({ reference }, quiet)).rejects.toMatchObject({ name: "AdminError", code });
  });
};
