// kill -9 at any moment of downloads: nothing corrupt, nothing committed lost, and after a start upstream is asked for what is missing only.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { drip } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { painted } from "../lib/pattern.ts";
import { BLOBS } from "./wired.ts";

const FILLER = fileURLToPath(new URL("./filler.ts", import.meta.url));
const SIZE = 600_000;
const ROUNDS = 10;

interface Filler {
  readonly said: () => string[];
  readonly until: (line: string) => Promise<void>;
  readonly ended: Promise<unknown>;
  readonly kill: () => Promise<void>;
}

const start = (...args: string[]): Filler => {
  const child = spawn(process.execPath, [FILLER, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  let heard = "";
  child.stdout.on("data", (chunk: Buffer) => {
    heard += chunk.toString();
  });
  const said = () => heard.split("\n").slice(0, -1);
  const until = async (line: string) => {
    while (!said().includes(line)) {
      if (child.exitCode !== null) throw new Error(`it ended before it said ${line}: ${heard}`);
      await Promise.race([once(child.stdout, "data"), ended]);
    }
  };
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  onTestFinished(kill);
  return { said, until, ended, kill };
};

const filesIn = (folder: string): { digest: string; path: string }[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => ({
      digest: name.includes("-") ? name.replace("-", ":") : name,
      path: join(parentPath, name),
    }));

describe("a process that is killed in the middle of downloads", { timeout: 60_000 }, () => {
  it("leaves what was right, and the next one asks for the rest of it", async () => {
    const folder = mkdtempSync(join(tmpdir(), "layover-killed-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const upstream = await faultUpstream();
    const blobs = Array.from({ length: 5 }, (_, n) =>
      upstream.content.putBlob("acme/app", painted(n + 1, SIZE + n), n === 0 ? "sha512" : "sha256"),
    );
    const bytesOf = new Map(blobs.map(({ digest, bytes }) => [digest, bytes]));
    const heldAs = new Map(blobs.map(({ digest }) => [digest.slice(digest.indexOf(":") + 1), digest]));
    const lift = upstream.fault(BLOBS, drip(16 * 1024, 10));
    const args = [folder, `${upstream.url.origin}/v2/acme/app/blobs`, ...bytesOf.keys()];

    /** What is there, each held against what it should be. */
    const inspect = () => {
      const left = new Map<string, number>();
      for (const { digest, path } of filesIn(join(folder, "spool"))) {
        const whole = bytesOf.get(digest);
        const bytes = readFileSync(path);
        // under a digest's name stands a beginning of what has that digest, and nothing else is left
        expect(whole?.subarray(0, bytes.length).equals(bytes)).toBe(true);
        left.set(digest, bytes.length);
      }
      const held = filesIn(join(folder, "blobs")).map(({ digest, path }) => {
        expect(readFileSync(path).equals(bytesOf.get(heldAs.get(digest)!)!)).toBe(true);
        return heldAs.get(digest)!;
      });
      return { left, held };
    };

    const committed = new Set<string>();
    const check = (said: readonly string[]) => {
      for (const line of said.filter((one) => one.startsWith("read "))) expect(bytesOf.has(line.slice(5))).toBe(true);
      for (const line of said.filter((one) => one.startsWith("committed "))) committed.add(line.slice(10));
      const state = inspect();
      for (const digest of committed) expect(state.held).toContain(digest);
      return state;
    };

    let resumed = 0;
    let before = new Map<string, number>();
    for (let round = 0; round < ROUNDS; round += 1) {
      upstream.clear();
      const filler = start(...args);
      await filler.until("open");
      await sleep(Math.random() * 120);
      await filler.kill();
      for (const [digest, size] of before) {
        const ranges = upstream.requests((one) => one.path.endsWith(digest)).map(({ range }) => range);
        // no request may have got out yet; one that did asks from the last byte that was there
        expect(ranges.every((range) => range === (size > 1 ? `bytes=${size - 1}-` : undefined))).toBe(true);
        resumed += ranges.length;
      }
      before = check(filler.said()).left;
    }
    expect(resumed).toBeGreaterThan(0);

    lift();
    upstream.clear();
    const { left, held } = inspect();
    const missing = blobs
      .filter(({ digest }) => !held.includes(digest))
      .reduce((sum, { digest, bytes }) => sum + bytes.length - Math.max(0, (left.get(digest) ?? 0) - 1), 0);
    const last = start(...args);
    await last.until("all");
    await last.ended;
    expect(check(last.said()).held.sort()).toEqual([...bytesOf.keys()].sort());
    expect(readdirSync(join(folder, "spool"))).toEqual([]);
    expect(upstream.bytes(BLOBS)).toBe(missing);
  });
});
