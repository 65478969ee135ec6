// The SQLite store: its suite, and files that are not what they should be.
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { digestOf } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import type { FactStore } from "../../src/store/facts.ts";
import { memoryFacts } from "../../src/store/memory-facts.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import { STEPS } from "../../src/store/sqlite-schema.ts";
import { StoreUnusable } from "../../src/store/unusable.ts";
import { factStoreSuite } from "../suites/facts.ts";
import { holdingsSuite } from "../suites/holdings.ts";
import { hostingSuite } from "../suites/hosting.ts";
import { mirroringSuite } from "../suites/mirroring.ts";

const file = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "layover-facts-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "facts.sqlite");
};

const sqlite = async () => {
  const facts = openSqlite(file());
  onTestFinished(() => facts.close());
  return facts;
};

for (const suite of [factStoreSuite, holdingsSuite, hostingSuite, mirroringSuite]) {
  suite("memory", async () => memoryFacts());
  suite("sqlite", sqlite);
}

const KEY = { site: "s.example", repo: "acme/app" as Repository, tag: "v1" as Tag };
const DIGESTS = ["a", "b"].map((text) => digestOf(Buffer.from(text)));

describe("facts in a file", () => {
  const key = fc.record({
    site: fc.constantFrom("s.example", "t.example"),
    repo: fc.constantFrom("acme" as Repository, "acme/app" as Repository),
    tag: fc.constantFrom("v1" as Tag, "v2" as Tag),
  });
  const digest = fc.constantFrom(...DIGESTS, undefined);
  const time = fc.nat(50);
  const subject = fc.constantFrom("x", "y");
  /** A question or an intention, as what is done to any store. */
  const step: fc.Arbitrary<(facts: FactStore) => Promise<unknown>> = fc.oneof(
    key.map((k) => (facts: FactStore) => facts.tag(k)),
    key.map((k) => (facts: FactStore) => facts.raiseTag(k)),
    key.map((k) => (facts: FactStore) => facts.tagHistory(k, 3)),
    key.map((k) => (facts: FactStore) => facts.releaseTag(k)),
    fc.tuple(key, time).map(
      ([k, at]) =>
        (facts: FactStore) =>
          facts.expireTag(k, at),
    ),
    fc.tuple(key, fc.constantFrom(...DIGESTS), time, fc.constantFrom("pin", "rollback", "backup"), fc.boolean()).map(
      ([k, to, at, kind, isNew]) =>
        (facts: FactStore) =>
          facts.holdTag(k, { digest: to, at, kind, ...(isNew && { onlyFree: true }) }),
    ),
    fc.tuple(key, fc.constantFrom(...DIGESTS), fc.constantFrom(...DIGESTS), time).map(
      ([k, root, kept, at]) =>
        (facts: FactStore) =>
          facts.mirroring.keep(k, root, [root, kept], at),
    ),
    fc.tuple(key, fc.constantFrom(...DIGESTS)).map(
      ([k, root]) =>
        (facts: FactStore) =>
          facts.mirroring.letGo(k, root),
    ),
    key.map((k) => (facts: FactStore) => facts.mirroring.kept(k)),
    fc.tuple(key, digest, time, fc.nat(2)).map(
      ([k, to, at, generation]) =>
        (facts: FactStore) =>
          facts.moveTag(k, { digest: to, at, reason: "pull" }, generation),
    ),
    fc.tuple(key, fc.constantFrom(...DIGESTS), time, fc.nat(2)).map(
      ([k, of, at, generation]) =>
        (facts: FactStore) =>
          facts.touchTag(k, of, at, generation),
    ),
    fc.tuple(key, fc.constantFrom(...DIGESTS), fc.constantFrom("a/b", "c/d", undefined)).map(
      ([k, of, mediaType]) =>
        (facts: FactStore) =>
          facts.addLink({ ...k, digest: of }, { mediaType }),
    ),
    fc.tuple(key, fc.constantFrom(...DIGESTS)).map(
      ([k, of]) =>
        (facts: FactStore) =>
          facts.link({ ...k, digest: of }),
    ),
    fc.tuple(key, subject, time).map(
      ([k, who, at]) =>
        (facts: FactStore) =>
          facts.putGrants([{ site: k.site, repo: k.repo, subject: who, grantedAt: at, expiresAt: at + 5 }]),
    ),
    fc.tuple(key, subject).map(
      ([k, who]) =>
        (facts: FactStore) =>
          facts.grant({ site: k.site, repo: k.repo, subject: who }),
    ),
    fc.tuple(key, subject, time).map(
      ([k, who, since]) =>
        (facts: FactStore) =>
          facts.anyGrant(k.site, who, since),
    ),
    time.map((before) => (facts: FactStore) => facts.sweepGrants(before)),
    fc.tuple(fc.constantFrom(...DIGESTS), time, fc.option(fc.subarray(DIGESTS), { nil: undefined })).map(
      ([of, at, parts]) =>
        (facts: FactStore) =>
          facts.holdings.hold({ digest: of, size: 3, at, ...(parts === undefined ? {} : { parts }) }),
    ),
    fc.constantFrom(...DIGESTS).map((of) => (facts: FactStore) => facts.holdings.release(of)),
    fc.tuple(fc.constantFrom(...DIGESTS), time).map((use) => (facts: FactStore) => facts.holdings.used([use])),
    fc.constantFrom(undefined).map(() => (facts: FactStore) => facts.holdings.totals()),
    time.map((usedAt) => (facts: FactStore) => facts.holdings.idle({ usedAt, digest: DIGESTS[0]! }, 5)),
    key.map(
      ({ site, repo }) =>
        (facts: FactStore) =>
          facts.inventory.tags(site, repo, { limit: 5 }),
    ),
    key.map(
      ({ site, repo }) =>
        (facts: FactStore) =>
          facts.inventory.links(site, repo, { limit: 5 }),
    ),
    key.map(
      ({ site }) =>
        (facts: FactStore) =>
          facts.inventory.repositories(site, { limit: 5 }),
    ),
    fc.nat(3).map((limit) => (facts: FactStore) => facts.inventory.looseLinks({ limit: limit + 1 })),
  );

  it("are those that a store in memory would have, and still after it is opened again", async () => {
    const folder = dirname(file());
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.array(step, { maxLength: 20 }), async (before, after) => {
        run += 1;
        const path = join(folder, `${run}.sqlite`);
        const model = memoryFacts();
        const first = openSqlite(path);
        for (const act of before) expect(await act(first)).toEqual(await act(model));
        await first.close();
        const second = openSqlite(path);
        for (const act of after) expect(await act(second)).toEqual(await act(model));
        await second.close();
      }),
      { numRuns: 40 },
    );
  });

  it("are not to be had from a store that is closed", async () => {
    const facts = openSqlite(file());
    await facts.raiseTag(KEY);
    await facts.close();
    await expect(facts.tag(KEY)).rejects.toThrow(/not open/);
    await expect(facts.raiseTag(KEY)).rejects.toThrow(/not open/);
  });

  it("are moved as a whole or not at all, and the store goes on", async () => {
    const path = file();
    const facts = openSqlite(path);
    onTestFinished(() => facts.close());
    const move = { digest: DIGESTS[0], at: 0.5, reason: "pull" } as const;
    await expect(facts.moveTag(KEY, move, 0)).rejects.toThrow(/INTEGER/);
    expect(await facts.tag(KEY)).toBeUndefined();
    expect(await facts.moveTag(KEY, { ...move, at: 1 }, 0)).toBe(true);
    expect(await facts.tagHistory(KEY, 10)).toHaveLength(1);
  });

  it("that are locked by somebody else are an error before long, and are read all the while", async () => {
    const path = file();
    const facts = openSqlite(path);
    onTestFinished(() => facts.close());
    expect(await facts.raiseTag(KEY)).toBe(1);
    const other = new DatabaseSync(path);
    other.exec("BEGIN IMMEDIATE");
    expect(await facts.tag(KEY)).toMatchObject({ generation: 1 });
    await expect(facts.raiseTag(KEY)).rejects.toThrow(/locked/);
    other.exec("ROLLBACK");
    other.close();
    expect(await facts.raiseTag(KEY)).toBe(2);
  });
});

describe("a file of an older version", () => {
  it("is brought to today's schema with what is in it, and is read by no older one", async () => {
    const path = file();
    const database = new DatabaseSync(path);
    database.exec(STEPS[0]);
    database.exec(`PRAGMA user_version = 1;
      INSERT INTO links VALUES ('s.example', 'acme/app', '${DIGESTS[0]}', 'a/b');
      INSERT INTO tags VALUES ('s.example', 'acme/app', 'v1', '${DIGESTS[0]}', 5, 2, 0)`);
    database.close();
    const facts = openSqlite(path);
    onTestFinished(() => facts.close());
    expect(await facts.tag(KEY)).toEqual({ digest: DIGESTS[0], checkedAt: 5, generation: 2, doubted: false });
    expect(await facts.holdings.totals()).toEqual({ count: 0, bytes: 0 });
    expect(await facts.inventory.linkers(DIGESTS[0]!, { limit: 2 })).toHaveLength(1);
    expect(await facts.inventory.tagsOf(DIGESTS[0]!, { limit: 2 })).toEqual([KEY]);
  });
});

describe("a file that cannot be used", () => {
  it("because a newer version wrote it, is left as it is", async () => {
    const path = file();
    await openSqlite(path).close();
    const database = new DatabaseSync(path);
    database.exec("PRAGMA user_version = 99; PRAGMA journal_mode = DELETE");
    database.close();
    const before = readFileSync(path);
    expect(() => openSqlite(path)).toThrow(/newer version/);
    expect(() => openSqlite(path)).toThrow(StoreUnusable);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it("because it is damaged, is left as it is", () => {
    const path = file();
    const noise = Buffer.alloc(8_192, "not a database ");
    writeFileSync(path, noise);
    expect(() => openSqlite(path)).toThrow(StoreUnusable);
    expect(readFileSync(path)).toEqual(noise);
  });

  it("because it is cut short, is left as it is", async () => {
    const path = file();
    const facts = openSqlite(path);
    for (let n = 0; n < 300; n += 1) await facts.putPing(`${n}.example`, { status: 200, challenges: [], at: n });
    await facts.close();
    truncateSync(path, 8_192);
    const before = readFileSync(path);
    expect(() => openSqlite(path)).toThrow(/malformed/);
    expect(() => openSqlite(path)).toThrow(StoreUnusable);
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it("because there is no such place, is named", () => {
    const path = file();
    writeFileSync(path, "");
    expect(() => openSqlite(join(path, "below/facts.sqlite"))).toThrow(/below/);
  });
});
