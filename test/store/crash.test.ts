// What a process leaves behind that is killed, or whose disk is full, and who may have the folder after it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import type { Repository, Tag } from "../../src/oci/reference.ts";
import { openDisk } from "../../src/store/disk.ts";
import { openSqlite } from "../../src/store/sqlite.ts";
import { StoreUnusable } from "../../src/store/unusable.ts";
import { verifyBlobs } from "../../src/store/verify.ts";
import { keeping } from "./keeping.ts";

const CRASHER = fileURLToPath(new URL("./crasher.ts", import.meta.url));
const KEEPER = fileURLToPath(new URL("./keeper.ts", import.meta.url));

const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), "layover-crash-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
};

interface Crasher {
  readonly child: ChildProcess;
  /** The lines so far. */
  readonly said: () => string[];
  /** Until it has said something that begins so. */
  readonly until: (start: string) => Promise<void>;
  readonly kill: () => Promise<void>;
}

const crasher = (command: string, args: readonly string[]): Crasher => {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  let heard = "";
  child.stdout.on("data", (chunk: Buffer) => {
    heard += chunk.toString();
  });
  const said = () => heard.split("\n").slice(0, -1);
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  onTestFinished(kill);
  const until = async (start: string) => {
    while (!said().some((line) => line.startsWith(start))) {
      if (child.exitCode !== null) throw new Error(`it ended before it said ${start}: ${heard}`);
      await Promise.race([once(child.stdout, "data"), ended]);
    }
  };
  return { child, said, until, kill };
};

const start = (...args: string[]) => crasher(process.execPath, [CRASHER, ...args]);

interface Step {
  readonly step: string;
  readonly n: string;
  readonly digest: Digest;
}

const stepsOf = (lines: readonly string[]): Step[] =>
  lines.map((line) => {
    const [step = "", n = "", digest = ""] = line.split(" ");
    return { step, n, digest: digest as Digest };
  });

/** Opens what was left, at once, and holds it against what had been said. */
const inspect = async (path: string, steps: readonly Step[]): Promise<{ held: number; tags: number }> => {
  const store = await openDisk({ folder: path, lockWait: 0 });
  const facts = openSqlite(join(path, "facts.sqlite"));
  const tagOf = async (n: string) => (await facts.tag({ site: "s", repo: "r" as Repository, tag: `t${n}` as Tag }))?.digest;
  try {
    for (const { digest } of steps.filter(({ step }) => step === "committed"))
      expect(digestOf((await store.readAll(digest, 1e6)) ?? Buffer.from("lost"))).toBe(digest);
    for (const { n, digest } of steps.filter(({ step }) => step === "moved")) expect(await tagOf(n)).toBe(digest);
    const files = readdirSync(join(path, "blobs"), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    for (const { name } of files) {
      const digest = `sha256:${name}` as Digest;
      expect(digestOf((await store.readAll(digest, 1e6))!)).toBe(digest);
    }
    expect(readdirSync(join(path, "spool"))).toEqual([]);
    const tags = await Promise.all([...new Set(steps.map(({ n }) => n))].map(tagOf));
    return { held: files.length, tags: tags.filter((digest) => digest !== undefined).length };
  } finally {
    await store.close();
    await facts.close();
  }
};

describe("kill -9", () => {
  it.each([
    { stop: "appended 2", held: 2, tags: 2 },
    { stop: "verified 2", held: 2, tags: 2 },
    { stop: "committed 2", held: 3, tags: 2 },
    { stop: "moved 2", held: 3, tags: 3 },
  ])("after $stop leaves exactly that", async ({ stop, ...left }) => {
    const path = folder();
    const child = start("fill", path, stop);
    await child.until(stop);
    await child.kill();
    expect(readdirSync(join(path, "spool")).length).toBeGreaterThan(0);
    expect(await inspect(path, stepsOf(child.said()))).toEqual(left);
  });

  it("at any moment loses nothing that had returned, and shows nothing by halves", async () => {
    for (const lines of [1, 23, 60]) {
      const path = folder();
      const child = start("fill", path);
      while (child.said().length < lines) await once(child.child.stdout!, "data");
      await child.kill();
      await inspect(path, stepsOf(child.said()));
    }
  });
});

describe("kill -9 of a store that is full", () => {
  it("again and again leaves nothing spoilt, nothing lost that was held last, and an account that is right", async () => {
    const path = folder();
    for (let round = 0; round < 6; round += 1) {
      const child = crasher(process.execPath, [KEEPER, path, `round ${round}`]);
      await child.until(`held ${3 + 7 * round}`);
      // somewhere in the midst of the next one
      await new Promise((resolve) => setTimeout(resolve, round * 3));
      await child.kill();
      const last = child.said().at(-1)!.split(" ").slice(2) as Digest[];
      const kept = await keeping({ folder: path, maxSize: 2_000_000 });
      await kept.reconciled;
      for (const digest of last) expect(await kept.blobs.stat(digest)).toBeDefined();
      const report = await verifyBlobs(kept, () => undefined, new AbortController().signal);
      expect(report).toMatchObject({ spoiltCount: 0, dropped: 0, added: 0 });
      const files = readdirSync(join(path, "blobs"), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
      const { held, count, growing } = await kept.state();
      const left = readdirSync(join(path, "spool"));
      const bytes = [
        ...files.map(({ parentPath, name }) => join(parentPath, name)),
        ...left.map((name) => join(path, "spool", name)),
      ].reduce((sum, file) => sum + statSync(file).size, 0);
      expect({ held, count, growing }).toEqual({ held: bytes, count: files.length, growing: 0 });
      expect(held).toBeLessThanOrEqual(2_000_000);
      await kept.close();
    }
  }, 60_000);
});

describe("a folder that another process has", () => {
  it("is refused, and had at once when that one is killed", async () => {
    const path = folder();
    const child = start("fill", path, "appended 0");
    await child.until("appended 0");
    await expect(openDisk({ folder: path, lockWait: 0 })).rejects.toThrow(StoreUnusable);
    // nothing of the other's was swept
    expect(readdirSync(join(path, "spool")).length).toBe(2);
    const waiting = openDisk({ folder: path, lockWait: 10_000 });
    await child.kill();
    await (await waiting).close();
  });
});

describe("a disk that is full in the middle of a body", () => {
  // EFBIG by the limit of the shell takes the part that fits, as ENOSPC does, and needs no root
  it("ends that body alone, and says to its reader what all that is there hashes to", async () => {
    const path = folder();
    const child = crasher("/bin/sh", ["-c", 'ulimit -f 64; exec "$0" "$@"', process.execPath, CRASHER, "full", path]);
    await child.until("{");
    const { size, ...outcome } = JSON.parse(child.said()[0]!) as { size: number };
    expect(size).toBeGreaterThan(10_000);
    expect(outcome).toEqual({
      failure: "StoreFull",
      afterwards: ["Error", "Error", "Error"],
      told: true,
      isAll: true,
      kept: "small enough",
    });
    expect(existsSync(join(path, "spool"))).toBe(true);
    expect(readdirSync(join(path, "spool"))).toEqual([]);
  });
});
