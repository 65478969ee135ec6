// Lists that come in pages, whatever an upstream makes of them: all names where there is an end, and never for ever.
import fc from "fast-check";
import { expect, it } from "vitest";
import { everyName, type NamePage } from "../../src/mirror/names.ts";
import { isOciError, OciError } from "../../src/oci/error.ts";
import type { Listing } from "../../src/oci/registry.ts";

const page = (document: unknown, next?: string): Listing => ({
  mediaType: "application/json",
  bytes: Buffer.from(JSON.stringify(document)),
  provenance: { source: "miss" },
  metadata: next === undefined ? {} : { next },
});

it("brings every name once, in pages of any size", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(fc.string(), { maxLength: 60 }), fc.integer({ min: 1, max: 20 }), async (names, size) => {
      const ask = async ({ page: link = "at=0" }: NamePage) => {
        const at = Number(new URLSearchParams(link).get("at"));
        const next = at + size < names.length ? `/v2/a/tags/list?at=${at + size}` : undefined;
        // what comes between two pages moves names from one to the next
        return page({ tags: names.slice(Math.max(0, at - 1), at + size) }, next);
      };
      expect([...(await everyName("tags", ask))]).toEqual(names);
    }),
  );
});

it("ends, whatever is sent", async () => {
  const anything = fc.oneof(fc.jsonValue(), fc.record({ tags: fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue())) }));
  const link = fc.option(fc.oneof(fc.constantFrom("/v2/a?x=1", "/v2/a?x=2", "/v2/a"), fc.string()), { nil: undefined });
  const pages = fc.array(fc.tuple(anything, link), { minLength: 1, maxLength: 10 });
  await fc.assert(
    fc.asyncProperty(pages, async (given) => {
      let asked = 0;
      const ask = async () => {
        const [document, next] = given[asked % given.length]!;
        asked += 1;
        return page(document, next);
      };
      const names = await everyName("tags", ask).catch((error: unknown) => {
        if (!isOciError(error) || error.code !== "UPSTREAM_INVALID") throw error;
        return new Set<string>();
      });
      expect([...names].every((name) => typeof name === "string")).toBe(true);
      expect(asked).toBeLessThanOrEqual(40);
    }),
  );
});

it("asks without a page's size where none is taken, and gives on every other failure", async () => {
  const asked: NamePage[] = [];
  const names = await everyName("repositories", async (query) => {
    asked.push(query);
    if (query.n !== undefined) throw new OciError("PAGINATION_NUMBER_INVALID", "no");
    return page({ repositories: ["a"] });
  });
  expect([...names]).toEqual(["a"]);
  expect(asked).toEqual([{ n: 1_000 }, {}]);
  await expect(everyName("tags", () => Promise.reject(new OciError("DENIED", "no")))).rejects.toThrow("no");
});

it("remembers nothing that is no name, and ends where nothing else comes", async () => {
  let asked = 0;
  const endless = everyName("repositories", async () => {
    asked += 1;
    return page(
      { repositories: Array.from({ length: 50 }, (_, n) => `${asked}/${n}/${"x".repeat(10_000)}`) },
      `/v2/_catalog?last=${asked}`,
    );
  });
  await expect(endless).rejects.toMatchObject({
    code: "UPSTREAM_INVALID",
    message: expect.stringContaining("0 of them") as string,
  });
  expect(asked).toBeLessThan(10);
});
