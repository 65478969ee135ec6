// kill -9 at any moment of a sync: a tag is what it was or all of what it is to be, and the next sync fetches what is missing only.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import { readImage } from "../../src/mirror/image.ts";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import type { Tag } from "../../src/oci/reference.ts";
import { drip } from "../faults/behaviours.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { keeping } from "../store/keeping.ts";
import { REPO, SITE } from "./entry.ts";

const SYNCER = fileURLToPath(new URL("./syncer.ts", import.meta.url));
const BLOBS = /\/blobs\//;
const TAGS = ["v1", "v2", "v3"];
const LAYERS = [200_000, 150_000, 100_000];

const start = (...args: string[]) => {
  const child = spawn(process.execPath, [SYNCER, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  let heard = "";
  child.stdout.on("data", (chunk: Buffer) => {
    heard += chunk.toString();
  });
  const kill = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  onTestFinished(kill);
  const said = () => heard.split("\n").slice(0, -1);
  const until = async (begin: string) => {
    while (!said().some((line) => line.startsWith(begin))) {
      if (child.exitCode !== null) throw new Error(`it ended before it said ${begin}: ${heard}`);
      await Promise.race([once(child.stdout, "data"), ended]);
    }
  };
  return { said, until, ended, kill };
};

/** What each tag stands for, all of which is there. */
const inspect = async (folder: string): Promise<Map<string, Digest>> => {
  const kept = await keeping({ folder: join(folder, "data"), lockWait: 5_000 });
  await kept.reconciled;
  const tags = new Map<string, Digest>();
  for (const tag of TAGS) {
    const fact = await kept.facts.tag({ site: SITE, repo: REPO, tag: tag as Tag });
    if (fact?.digest === undefined) continue;
    tags.set(tag, fact.digest);
    const whole = async (digest: Digest) => {
      const bytes = await kept.blobs.readAll(digest, 1e7);
      expect(bytes === undefined ? "lost" : digestOf(bytes)).toBe(digest);
      return { bytes: bytes! };
    };
    const { blobs } = await readImage(fact.digest, "all", whole);
    for (const { digest } of blobs) await whole(digest);
  }
  await kept.close();
  return tags;
};

describe("a sync that is killed", { timeout: 90_000 }, () => {
  it("leaves every tag as it was or whole, and the next one goes on from there", async () => {
    const folder = mkdtempSync(join(tmpdir(), "layover-synced-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const upstream = await faultUpstream();
    const { content } = upstream;
    const seed = () => TAGS.map((tag) => content.seed({ repo: REPO, tag, layers: LAYERS, index: true }).top.digest);
    const before = seed();
    const first = start(folder, upstream.url.origin);
    await first.until("ended true");
    await first.ended;
    expect([...(await inspect(folder)).values()]).toEqual(before);

    const after = seed();
    const lift = upstream.fault(BLOBS, drip(4 * 1024, 20));
    upstream.clear();
    for (let round = 0; round < 6; round += 1) {
      const syncer = start(folder, upstream.url.origin);
      await syncer.until("at ");
      await sleep(40 + Math.random() * 300);
      await syncer.kill();
      const told = new Map(
        syncer.said().flatMap((line) => (line.startsWith("moved ") ? [line.split(" ").slice(1) as [string, string]] : [])),
      );
      const tags = await inspect(folder);
      for (const [i, tag] of TAGS.entries()) {
        expect([before[i], after[i]]).toContain(tags.get(tag));
        if (told.has(tag)) expect(tags.get(tag)).toBe(after[i]);
      }
    }
    lift();
    const last = start(folder, upstream.url.origin);
    await last.until("ended true");
    await last.ended;
    expect([...(await inspect(folder)).values()]).toEqual(after);
    expect(readdirSync(join(folder, "data", "spool"))).toEqual([]);
    // of what had reached the disk nothing was asked for again: no layer was sent twice from its beginning to its end
    const whole = upstream.requests(BLOBS).filter(({ range, bytes }) => range === undefined && LAYERS.includes(bytes));
    expect(new Set(whole.map(({ path }) => path)).size).toBe(whole.length);
    const resumed = upstream.requests(BLOBS).filter(({ range }) => range !== undefined);
    expect(resumed.length).toBeGreaterThan(0);
  });
});
