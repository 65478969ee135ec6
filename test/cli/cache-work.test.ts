// `layover cache verify | gc | rm` as scripts run them, and what a corrupt disk, a Ctrl-C and a server that dies make of them.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, ftruncateSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Collected, Verified } from "../../src/admin/answers.ts";
import { digestOf, hexOf } from "../../src/oci/digest.ts";
import { CONFIG, LAYER_DIGEST, MANIFEST, stock } from "../admin/stock.ts";
import { faultUpstream } from "../faults/upstream.ts";
import { Front, freePort, HOST } from "../front.ts";
import { emptyFolder, layover } from "./command.ts";

const SHIM = join(import.meta.dirname, "../../scripts/layover.mjs");
const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("LAYOVER_")));

const stocked = async (): Promise<string> => {
  const folder = emptyFolder();
  await stock(folder);
  const listen = { dns: [], https: ["127.0.0.1:0"], http: ["127.0.0.1:0"], admin: `127.0.0.1:${await freePort()}` };
  writeFileSync(join(folder, "layover.yaml"), JSON.stringify({ listen, resolvers: ["127.0.0.1:9"], log: { format: "json" } }));
  return folder;
};

const pathOf = (folder: string, digest: string): string => {
  const hex = digest.slice(digest.indexOf(":") + 1);
  return join(folder, "data/blobs/sha256", hex.slice(0, 2), hex);
};

const spoil = (folder: string, digest: string): void => {
  const bytes = readFileSync(pathOf(folder, digest));
  bytes[0] = bytes[0]! ^ 1;
  writeFileSync(pathOf(folder, digest), bytes);
};

/** As many bytes as take seconds to hash, and no room: a file of holes. */
const plantEndless = (folder: string): void => {
  const hex = "f".repeat(64);
  mkdirSync(join(folder, "data/blobs/sha256/ff"), { recursive: true });
  const file = openSync(pathOf(folder, `sha256:${hex}`), "w");
  ftruncateSync(file, 40 * 2 ** 30);
  closeSync(file);
};

describe("verify", () => {
  it("finds what the disk has spoilt, and the next request heals it", async () => {
    const upstream = await faultUpstream();
    const { layers } = upstream.content.seed({ repo: "acme/app", tag: "v1", layers: 300_000 });
    const front = new Front(upstream.url.origin, {});
    await front.start({ listen: { admin: `127.0.0.1:${await freePort()}` } });
    await layover(["warm", `${HOST}/acme/app:v1`], front.folder);
    const good = await layover(["cache", "verify"], front.folder);
    expect(good).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^3 blobs, 29\d KiB read: 0 corrupt, 0 gone, 0 found\n$/),
      stderr: "",
    });
    const { digest } = layers[0]!;
    spoil(front.folder, digest);
    const bad = await layover(["cache", "verify"], front.folder);
    expect(bad.code).toBe(1);
    expect(bad.stdout).toMatch(
      new RegExp(`^corrupt {2}${digest} {2}293 KiB {2}its bytes are others\n3 blobs, .*: 1 corrupt, 0 gone`),
    );
    const answer = await front.ask(`/v2/acme/app/blobs/${digest}`);
    expect({ status: answer.status, body: answer.body.equals(layers[0]!.bytes) }).toEqual({ status: 200, body: true });
    await expect.poll(async () => (await layover(["cache", "verify"], front.folder)).code, { timeout: 10_000 }).toBe(0);
  });

  it("does so without a server as well, once", async () => {
    const cwd = await stocked();
    spoil(cwd, LAYER_DIGEST);
    const first = await layover(["cache", "verify", "--json"], cwd);
    expect(first.code).toBe(1);
    expect(JSON.parse(first.stdout) as Verified).toMatchObject({
      spoiltCount: 1,
      spoilt: [{ digest: LAYER_DIGEST, size: 5_000 }],
    });
    expect(readdirSync(join(cwd, "data/quarantine"))).toEqual([expect.stringContaining(hexOf(LAYER_DIGEST))]);
    expect(await layover(["cache", "verify"], cwd)).toMatchObject({ code: 0 });
  });

  it("tells what has gone from the disk, even if it is put right as the store is opened", async () => {
    const cwd = await stocked();
    rmSync(pathOf(cwd, LAYER_DIGEST));
    const outcome = await layover(["cache", "verify", "--json"], cwd);
    expect(outcome.code).toBe(1);
    expect(JSON.parse(outcome.stdout) as Verified).toMatchObject({ spoiltCount: 0, dropped: 1 });
  });
});

describe("gc and rm", () => {
  it("say what would go, and what went", async () => {
    const cwd = await stocked();
    const gc = async (...args: string[]) =>
      JSON.parse((await layover(["cache", "gc", "--json", ...args], cwd)).stdout) as Collected;
    const removed = await layover(["cache", "rm", "ghcr.io/many/tags"], cwd);
    expect(removed).toEqual({
      code: 0,
      stdout: "ghcr.io/many/tags: 250 tags and 0 digests forgotten; 0 blobs gone, 0 B\n",
      stderr: "",
    });
    expect(await layover(["cache", "rm", "ghcr.io/many/tags"], cwd)).toMatchObject({
      code: 1,
      stderr: "layover: nothing is known of ghcr.io/many/tags\n",
    });
    // an index of the repository names the image: its tag goes alone
    expect((await layover(["cache", "rm", "ghcr.io/acme/app:1"], cwd)).stdout).toMatch("1 tags and 0 digests forgotten; 0 blobs");
    await layover(["cache", "rm", "ghcr.io/acme/app"], cwd);
    // its config, which nobody has asked for in this repository
    expect(await gc("--dry-run")).toMatchObject({ dryRun: true, blobs: { count: 1, bytes: CONFIG.length } });
    expect(await gc()).toMatchObject({ dryRun: false, blobs: { count: 1 } });
    expect((await layover(["cache", "gc"], cwd)).stdout).toBe(
      "gone: 0 blobs, 0 B; 0 in quarantine, 0 B; 0 links, 0 listings, 0 grants\n",
    );
  });
});

const begin = (args: readonly string[], cwd: string) => {
  const child = spawn(process.execPath, [SHIM, ...args], { cwd, env: clean, stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (piece) => (stdout += String(piece)));
  child.stderr.on("data", (piece) => (stderr += String(piece)));
  const closed = once(child, "close");
  return { child, said: () => stdout, outcome: async () => ({ code: (await closed)[0] as number | null, stdout, stderr }) };
};

const served = async (cwd: string) => {
  const serve = begin(["serve"], cwd);
  await expect.poll(serve.said, { timeout: 15_000 }).toContain('"msg":"ready"');
  return serve;
};

const frontOf = ({ pid }: ChildProcess): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ")[0]);

/** Whether a verify is under way at the server. */
const verifying = async (cwd: string): Promise<boolean> => (await layover(["status"], cwd)).stdout.includes("under way   verify");

describe("long work", () => {
  it("whose server dies ends with 3 and says so; the server comes back well", async () => {
    const cwd = await stocked();
    plantEndless(cwd);
    const { child } = await served(cwd);
    const verify = begin(["cache", "verify"], cwd);
    await expect.poll(() => verifying(cwd), { timeout: 15_000 }).toBe(true);
    process.kill(frontOf(child), "SIGKILL");
    expect(await verify.outcome()).toEqual({
      code: 3,
      stdout: "",
      stderr: expect.stringMatching(/^layover: the Layover at http:\/\/127\.0\.0\.1:\d+ went away before it had answered\n$/),
    });
    await expect.poll(async () => (await layover(["status"], cwd)).code, { timeout: 15_000 }).toBe(0);
  }, 60_000);

  it("is left by Ctrl-C, and the server stops it; there is one at a time", async () => {
    const cwd = await stocked();
    plantEndless(cwd);
    await served(cwd);
    const verify = begin(["cache", "verify"], cwd);
    const status = async () => (await layover(["status"], cwd)).stdout;
    // within one blob as well
    await expect.poll(status, { timeout: 15_000 }).toMatch(/under way {3}verify, begun .*: [\d.]+ [MG]iB of 40\.0 GiB/);
    expect(await layover(["cache", "verify"], cwd)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^layover: verify is under way since .*Z: [^\n]* of 40\.0 GiB \(\d+ %\) {2}sha256:[^\n]*\n$/),
    });
    verify.child.kill("SIGINT");
    expect(await verify.outcome()).toEqual({ code: 130, stdout: "", stderr: "layover: stopped\n" });
    await expect.poll(() => verifying(cwd), { timeout: 5_000 }).toBe(false);
  }, 60_000);

  it("is left by Ctrl-C without a server as well, and gives the store back", async () => {
    const cwd = await stocked();
    plantEndless(cwd);
    const verify = begin(["cache", "verify"], cwd);
    await expect.poll(() => layover(["cache", "ls"], cwd), { timeout: 15_000 }).toMatchObject({ code: 3 });
    verify.child.kill("SIGINT");
    expect(await verify.outcome()).toEqual({ code: 130, stdout: "", stderr: "layover: stopped\n" });
    expect(await layover(["cache", "show", `ghcr.io/acme/app@${digestOf(MANIFEST)}`], cwd)).toMatchObject({ code: 0 });
  }, 60_000);
});
