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

  it("lists the repositories under a name that is none itself", async () => {
    const operations = await open();
    const names = async (input: object) =>
      ((await operations.list(input, quiet)) as Extract<Listing, { kind: "repositories" }>).repositories.map(
        ({ repository }) => repository,
      );
    expect(await names({ of: "ghcr.io/acme" })).toEqual(["acme/app", "acme/base"]);
    expect(await names({ of: "ghcr.io/acme/" })).toEqual(["acme/app", "acme/base"]);
    expect(await operations.list({ of: "ghcr.io/acme", limit: 1 }, quiet)).toMatchObject({ next: "acme/app" });
    expect(await names({ of: "ghcr.io/acme", limit: 1, after: "acme/app" })).toEqual(["acme/base"]);
    expect(await operations.list({ of: "ghcr.io/nothing" }, quiet)).toEqual({
      kind: "tags",
      site: "ghcr.io",
      repository: "nothing",
      tags: [],
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

  it("forgets a tag, a digest, a repository, and what only they needed", async () => {
    const operations = await open();
    const removed = await operations.remove({ reference: "ghcr.io/acme/app:1" }, quiet);
    expect(removed).toMatchObject({ reference: "ghcr.io/acme/app:1", tags: ["1"], tagCount: 1, stayed: expect.any(Number) });
    await expect(operations.show({ reference: "ghcr.io/acme/app:1" }, quiet)).rejects.toMatchObject({ code: "NOT_HELD" });
    expect((await operations.show({ reference: "ghcr.io/acme/app:all" }, quiet)).parts[0]).toMatchObject({ held: true });
    const many = await operations.remove({ reference: "ghcr.io/many/tags" }, quiet);
    expect(many).toMatchObject({ reference: "ghcr.io/many/tags", tagCount: 250, links: 0, blobs: { count: 0, bytes: 0 } });
    await operations.remove({ reference: "ghcr.io/acme/app" }, quiet);
    await operations.remove({ reference: `ghcr.io/acme/base@${LAYER_DIGEST}` }, quiet);
    // what was a part of two and lost its link with the first is nobody's now
    expect(await operations.collect({ dryRun: true }, quiet)).toMatchObject({ blobs: { count: 1 } });
    await operations.collect({}, quiet);
    expect(await operations.list({}, quiet)).toMatchObject({ totals: { blobs: 0, bytes: 0 } });
    for (const reference of ["ghcr.io/acme/app", "ghcr.io/acme/nothing:1"])
      await expect(operations.remove({ reference }, quiet)).rejects.toMatchObject({ code: "NOT_HELD" });
  });

  it("reads everything back", async () => {
    const told: unknown[] = [];
    const verified = await (await open()).verify({}, { ...quiet, progress: (progress) => told.push(progress) });
    expect(verified).toEqual({
      checked: { count: 4, bytes: MANIFEST.length + INDEX.length + 5_014 },
      spoilt: [],
      spoiltCount: 0,
      dropped: 0,
      added: 0,
      recognised: 0,
      strange: [],
    });
    expect(told.length).toBeGreaterThan(0);
    expect(told[0]).toMatchObject({ unit: "bytes", done: expect.any(Number), total: expect.any(Number) });
  });

  it("collects what nothing needs, or only says what", async () => {
    const operations = await open();
    const dry = await operations.collect({ dryRun: true }, quiet);
    expect(dry).toEqual({
      dryRun: true,
      blobs: { count: 0, bytes: 0 },
      quarantine: { count: 0, bytes: 0 },
      links: 0,
      listings: 0,
      grants: 0,
    });
    expect(await operations.collect({}, quiet)).toEqual({ ...dry, dryRun: false });
  });

  it("turns a bypass on, for a time or without end, and off", async () => {
    const operations = await open();
    expect(await operations.bypass({}, quiet)).toMatchObject({ on: false, stays: [] });
    const on = await operations.bypassOn({ forMs: 60_000 }, quiet);
    expect(on).toMatchObject({ on: true, released: expect.arrayContaining(["ghcr.io"]) });
    expect(Math.abs(Date.parse(on.until!) - Date.parse(on.since!) - 60_000)).toBeLessThan(5_000);
    expect(await operations.bypassOn({}, quiet)).not.toHaveProperty("until");
    expect(await operations.bypass({}, quiet)).toMatchObject({ on: true });
    expect(await operations.bypassOff({}, quiet)).not.toHaveProperty("since");
  });

  it("knows of no mirror where there is none", async () => {
    expect(await (await open()).mirrorStatus({}, quiet)).toEqual({ entries: [], held: [] });
  });

  it("stops when it is told to", async () => {
    const operations = await open();
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(operations.verify({}, { ...quiet, signal })).rejects.toThrow("enough");
  });
};
