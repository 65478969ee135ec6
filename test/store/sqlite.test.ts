// The SQLite store: its suite, and files that are not what they should be.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { openSqlite } from "../../src/store/sqlite.ts";
import { StoreUnusable } from "../../src/store/unusable.ts";
import { factStoreSuite } from "../suites/facts.ts";

const file = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "layover-facts-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, "facts.sqlite");
};

factStoreSuite("sqlite", async () => {
  const facts = openSqlite(file());
  onTestFinished(() => facts.close());
  return facts;
});

describe("a file that cannot be used", () => {
  it("because a newer version wrote it, is left as it is", async () => {
    const path = file();
    await openSqlite(path).close();
    const database = new DatabaseSync(path);
    database.exec("PRAGMA user_version = 99");
    database.close();
    expect(() => openSqlite(path)).toThrow(/newer version/);
    expect(() => openSqlite(path)).toThrow(StoreUnusable);
  });

  it("because it is damaged, is left as it is", () => {
    const path = file();
    const noise = Buffer.alloc(8_192, "not a database ");
    writeFileSync(path, noise);
    expect(() => openSqlite(path)).toThrow(StoreUnusable);
    expect(readFileSync(path)).toEqual(noise);
  });

  it("because there is no such place, is named", () => {
    const path = file();
    writeFileSync(path, "");
    expect(() => openSqlite(join(path, "below/facts.sqlite"))).toThrow(/below/);
  });
});
