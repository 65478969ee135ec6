// kill -9 at any moment of pushes: what was answered is there, whole and under its tag, and what was not leaves nothing for ever.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { type Digest, digestOf } from "../../src/oci/digest.ts";
import { ownContext } from "../../src/oci/own-context.ts";
import { partsOf } from "../../src/oci/parts.ts";
import type { Reference, Repository } from "../../src/oci/reference.ts";
import { localRegistry } from "../../src/registry/local.ts";
import { collect } from "../../src/store/collect.ts";
import { keeping, scratch } from "../store/keeping.ts";

const PUSHER = fileURLToPath(new URL("./pusher.ts", import.meta.url));
const ROUNDS = 4;
const DAY = 24 * 60 * 60_000;
const ctx = ownContext("test", new AbortController().signal);

/** What it said until it was killed, so long after its first image. */
const killed = async (folder: string, seed: number, after: number): Promise<string[]> => {
  const child = spawn(process.execPath, [PUSHER, folder, String(seed)], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  onTestFinished(() => void child.kill("SIGKILL"));
  let heard = "";
  child.stdout.on("data", (chunk: Buffer) => {
    heard += chunk.toString();
  });
  while (!heard.includes("tag ")) {
    if (child.exitCode !== null) throw new Error(`it ended by itself: ${heard}`);
    await Promise.race([once(child.stdout, "data"), ended]);
  }
  await sleep(after);
  child.kill("SIGKILL");
  await ended;
  return heard.split("\n").slice(0, -1);
};

it("keeps what was answered, and nothing half", { timeout: 60_000 }, async () => {
  const folder = scratch();
  const tags = new Map<string, Digest>();
  const blobs = new Set<string>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const line of await killed(folder, round, round * 31)) {
      const [what, repo, name, digest] = line.split(" ");
      if (what === "blob") blobs.add(`${repo} ${name}`);
      else if (what === "tag") tags.set(`${repo} ${name}`, digest as Digest);
      else tags.delete(`${repo} ${name}`);
    }
    const kept = await keeping({ folder });
    await kept.reconciled;
    const reads = localRegistry({ site: { host: "images.example" }, ...kept });
    expect(readdirSync(join(folder, "spool"))).toEqual([]);
    for (const key of blobs) {
      const [repo, digest] = key.split(" ") as [Repository, Digest];
      const bytes = await kept.blobs.readAll(digest, 100_000);
      expect(bytes && digestOf(bytes)).toBe(digest);
      expect((await reads.statBlob({ repo, digest }, ctx)).descriptor.size).toBe(40_000);
    }
    for (const [key, digest] of tags) {
      const [repo, reference] = key.split(" ") as [Repository, Reference];
      expect((await reads.getManifest({ repo, reference }, ctx)).descriptor.digest).toBe(digest);
    }
    await kept.close();
  }
  expect(tags.size).toBeGreaterThan(ROUNDS);
  const kept = await keeping({ folder });
  await kept.reconciled;
  // what no answered push had named: blobs without their manifest, and manifests without their link
  kept.pass(2 * DAY);
  await collect(kept, { listingsFor: 0, grantsFor: 0 }, () => undefined, new AbortController().signal);
  const needed = new Set<Digest>();
  for (const repo of ["acme/a", "acme/b"] as Repository[])
    for (const { digest, mediaType } of await kept.facts.inventory.links("images.example", repo, { limit: 9_999 })) {
      if (mediaType === undefined) continue;
      needed.add(digest);
      for (const part of partsOf((await kept.blobs.readAll(digest, 100_000))!)) needed.add(part);
    }
  expect(await kept.facts.holdings.totals()).toMatchObject({ count: needed.size });
});
