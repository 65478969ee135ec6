import fc from "fast-check";
import { expect, it } from "vitest";
import { HostTable } from "../../src/lib/host-table.ts";

const label = fc.constantFrom("a", "b", "c", "a-1");
const name = fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."));
const pattern = fc.tuple(fc.boolean(), name).map(([isWildcard, plain]) => (isWildcard ? `*.${plain}` : plain));
const entry = fc.tuple(pattern, fc.boolean()).map(([key, isIn]) => [key, isIn ? { key } : (false as const)] as const);
const spelling = fc.tuple(name, fc.boolean(), fc.boolean()).map(([plain, upper, dot]) => ({
  plain,
  spelt: `${upper ? plain.toUpperCase() : plain}${dot ? "." : ""}`,
}));

/** Word for word what the configuration promises: exact, then the longest suffix of which something is left. */
const naive = (entries: Map<string, { key: string } | false>, asked: string) => {
  if (entries.has(asked)) return entries.get(asked) || undefined;
  const matching = [...entries.keys()].filter(
    (key) => key.startsWith("*.") && asked.endsWith(key.slice(1)) && asked !== key.slice(2),
  );
  const deepest = matching.toSorted((one, other) => other.length - one.length)[0];
  return deepest === undefined ? undefined : entries.get(deepest) || undefined;
};

it("finds what a naive reading of its entries finds", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 8 }), spelling, (entries, { plain, spelt }) => {
      expect(new HostTable(entries).find(spelt)?.key).toBe(naive(new Map(entries), plain)?.key);
    }),
    { numRuns: 3_000 },
  );
});

it("finds below a suffix what a host can be called, whatever comes", () => {
  const table = new HostTable([["*.x.example", { key: "x" }]]);
  const odd = fc.oneof(fc.string({ maxLength: 300 }), fc.string({ unit: "binary", maxLength: 20 }));
  fc.assert(
    fc.property(odd, (text) => {
      const isHost =
        `${text}.x.example`.length <= 253 &&
        /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i.test(text);
      expect(table.find(`${text}.x.example`) !== undefined).toBe(isHost);
    }),
  );
});

it.each(["x.example", ".x.example", "_443._https.a.x.example", "a\\.x.example", "a..x.example", "", ".", "a.x.example.."])(
  "finds nothing for %j",
  (asked) => expect(new HostTable([["*.x.example", { key: "x" }]]).find(asked)).toBeUndefined(),
);
