// A file that somebody else has named, in every way in which it could keep its reader.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readTextFile } from "../../src/lib/text-file.ts";

const folder = mkdtempSync(join(tmpdir(), "layover-text-"));
afterAll(() => rmSync(folder, { recursive: true }));

const MAX = 8 * 1024;

test("the text, as it is now", async () => {
  const file = join(folder, "text");
  for (const text of ["", "geheim: ä\n", "x".repeat(MAX)]) {
    writeFileSync(file, text);
    expect(await readTextFile(file, MAX)).toBe(text);
  }
});

test("what the kernel makes up while it is read", async () => {
  expect(await readTextFile("/proc/self/status", MAX)).toMatch(/^Name:/);
});

const hole = (file: string): void => {
  writeFileSync(file, "");
  truncateSync(file, 2 ** 40);
};

test.each<[string, string, (file: string) => void]>([
  ["nothing", "there is no such file", () => undefined],
  ["a folder", "is a folder", (file) => mkdirSync(file)],
  ["a pipe that nobody writes to", "is no regular file", (file) => execFileSync("mkfifo", [file])],
  ["a device without an end", "is no regular file", (file) => symlinkSync("/dev/zero", file)],
  ["a link to itself", "its symbolic links go in a circle", (file) => symlinkSync(file, file)],
  ["a byte too many", "is larger than 8 KiB", (file) => writeFileSync(file, "x".repeat(MAX + 1))],
  ["a hole of a terabyte", "is larger than 8 KiB", hole],
])("%s: %s", async (name, why, make) => {
  const file = join(folder, name);
  make(file);
  await expect(readTextFile(file, MAX)).rejects.toThrow(why);
});
