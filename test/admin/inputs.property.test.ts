// What the operations of the managed mirror, of bundles and of tags are given over the wire, right in its shape and odd in all else: each is
// answered with what is wrong with it, and none as a fault of ours.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { OperationName } from "../../src/admin/operations.ts";
import { ROUTES } from "../../src/admin/routes.ts";
import { Front, HOST } from "../front.ts";
import { SITES } from "../suites/bundles.ts";
import { ask, bearer } from "./asking.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const odd = fc.constantFrom(
  "",
  " ",
  "\0",
  "\ud800",
  "\u202e",
  "é",
  "𝒳",
  "%2e%2e",
  "../..",
  "@",
  ":",
  "/",
  "\\",
  "$(id)",
  "{{tag}}",
  "\r\nX: y",
);
const name = fc.oneof(
  fc.constantFrom(HOST, "images.test", "offline.test", "none.test", "localhost:5000", "docker.io", "__proto__"),
  fc.string({ unit: "binary", maxLength: 20 }),
  odd,
);
const reference = fc
  .tuple(
    name,
    fc.constantFrom("/acme/app", "/", "/A", "//", `/${"x/".repeat(200)}y`),
    odd,
    fc.constantFrom(":1", `@${DIGEST}`, "@sha256:1", ":", ""),
  )
  .map((parts) => parts.join(""));
const text = fc.oneof(
  reference,
  name,
  fc.constantFrom(DIGEST, "1", "0", "9999", "sha512:", "abcdef", "x".repeat(1_000), "x".repeat(1_001)),
);
const texts = fc.oneof(
  fc.array(text, { maxLength: 5 }),
  fc.constantFrom(1_000, 1_001).map((length) => Array.from({ length }, () => "x")),
);
const digests = fc.oneof(
  fc.array(fc.oneof(fc.constant(DIGEST), text), { maxLength: 3 }),
  fc.constantFrom(1_000, 1_001, 3_001).map((length) => Array.from({ length }, () => DIGEST)),
);
const anything = fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.jsonValue() });
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });

const POSTED = {
  mirrorCheck: { entries: maybe(texts) },
  mirrorSync: { entries: maybe(texts), run: maybe(text), missingOnly: maybe(fc.boolean()), waitMs: maybe(fc.integer()) },
  exportPlan: { references: texts, platforms: maybe(texts), referrers: maybe(fc.boolean()) },
  importCheck: { references: maybe(texts), digests: maybe(digests) },
  importManifest: { reference: text, mediaType: maybe(text), lacks: maybe(digests) },
  importTag: { reference: text, digest: fc.oneof(fc.constant(DIGEST), text) },
  tagPin: { reference: text, to: maybe(text), force: maybe(fc.boolean()) },
  tagRollback: { reference: text, to: maybe(text), force: maybe(fc.boolean()) },
  tagUnpin: { reference: text },
} as const satisfies Partial<Record<OperationName, object>>;
const ASKED = {
  tagList: { of: text, after: maybe(text), limit: maybe(text) },
  tagHistory: { reference: text },
  tagDiff: { reference: text, from: maybe(text), to: maybe(text) },
} as const satisfies Partial<Record<OperationName, object>>;

const RUNS = { numRuns: 40 };

/** The last line: what is long is answered by several. */
const errorIn = (answer: string): string | undefined =>
  (JSON.parse(answer.trimEnd().split("\n").at(-1)!) as { error?: { code: string } }).error?.code;

const start = async (): Promise<Front> => {
  const front = new Front("http://127.0.0.1:9", {}, SITES);
  await front.start({ more: { mirror: [{ source: `${HOST}/acme/app`, tags: "1" }] } });
  return front;
};

describe("the input of", () => {
  const path = (operation: keyof typeof POSTED | keyof typeof ASKED) => ROUTES[operation].path;

  it.each(Object.keys(POSTED) as (keyof typeof POSTED)[])("%s may be anything", async (operation) => {
    const front = await start();
    const headers = { ...bearer(front), "content-type": "application/json" };
    await fc.assert(
      fc.asyncProperty(
        fc.record({ ...POSTED[operation], more: anything } as Record<string, fc.Arbitrary<unknown>>),
        async (input) => {
          const { text: answer, whole } = await ask(front, path(operation), {
            method: "POST",
            headers,
            body: JSON.stringify(input),
          });
          expect(whole).toBe(true);
          expect(errorIn(answer)).not.toBe("INTERNAL");
          expect(answer.length).toBeLessThan(200_000);
        },
      ),
      RUNS,
    );
  });

  it.each(Object.keys(ASKED) as (keyof typeof ASKED)[])("%s may be anything", async (operation) => {
    const front = await start();
    const headers = bearer(front);
    await fc.assert(
      fc.asyncProperty(fc.record(ASKED[operation] as Record<string, fc.Arbitrary<string | undefined>>), async (input) => {
        const given = Object.entries(input).filter(([, value]) => value !== undefined) as [string, string][];
        const { text: answer } = await ask(front, `${path(operation)}?${new URLSearchParams(given).toString()}`, { headers });
        expect(errorIn(answer)).not.toBe("INTERNAL");
      }),
      RUNS,
    );
  });

  it("none of them is heard without the token", async () => {
    const front = await start();
    for (const { method, path: at } of Object.values(ROUTES))
      expect([at, (await ask(front, at, { method })).status]).toEqual([at, 401]);
  });
});
