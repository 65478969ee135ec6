// Real processes at once, and one that is killed: what openCa promises beyond one process.
import { type ChildProcess, spawn } from "node:child_process";
import * as fs from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { openCa } from "../../src/tls/ca.ts";
import type { CaOptions } from "../../src/tls/plan.ts";
import { rotate } from "../../src/tls/rotate.ts";
import { caOptions, scratch } from "./scratch.ts";

const MODULE = new URL("../../src/tls/ca.ts", import.meta.url).href;
const ROTATE = new URL("../../src/tls/rotate.ts", import.meta.url).href;
// Waits for its stdin to end, so that all begin together.
const PROGRAM = `
  const { openCa } = await import(${JSON.stringify(MODULE)});
  const { rotate } = await import(${JSON.stringify(ROTATE)});
  const { overlap, ...options } = JSON.parse(process.argv[1]);
  console.log("ready");
  process.stdin.resume().on("end", async () => {
    if (overlap !== undefined) await rotate({ ...options, clock: Date.now }, overlap);
    const { origin, fingerprints, roots } = await openCa({ ...options, clock: Date.now });
    console.log(JSON.stringify({ origin, fingerprints, keyed: roots.every((root) => root.key !== undefined) }));
  });
`;

interface Opened {
  readonly origin: string;
  readonly fingerprints: readonly string[];
  readonly keyed: boolean;
}

/** `overlap`: it rotates before it opens. */
type Work = CaOptions & { readonly overlap?: number };

const start = (options: Work) => {
  const child = spawn(process.execPath, ["--input-type=module", "-e", PROGRAM, JSON.stringify(options)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  let said = "";
  const ready = Promise.withResolvers<void>();
  const done = Promise.withResolvers<Opened>();
  child.stdout.on("data", (data: Buffer) => {
    said += String(data);
    if (said.startsWith("ready\n")) ready.resolve();
  });
  child.on("close", (code) => {
    if (code === 0) done.resolve(JSON.parse(said.split("\n")[1] ?? "") as Opened);
    else done.reject(new Error(`ended with ${code}: ${said}`));
  });
  return { child: child as ChildProcess, ready: ready.promise, done: done.promise };
};

const together = async (options: readonly Work[]): Promise<Opened[]> => {
  const children = options.map(start);
  await Promise.all(children.map(({ ready }) => ready));
  for (const { child } of children) child.stdin?.end();
  return Promise.all(children.map(({ done }) => done));
};

describe("processes that open the CA at once", () => {
  it("end up with one on the first start", async () => {
    const options = caOptions(scratch());
    const opened = await together([options, options, options]);
    expect(new Set(opened.map(({ fingerprints }) => fingerprints.join())).size).toBe(1);
    expect(opened.map(({ origin }) => origin).sort()).toEqual(["found", "found", "made"]);
    expect((await openCa(options)).fingerprints).toEqual(opened[0]?.fingerprints);
  });

  it("each add a root for a site of their own, and lose none", async () => {
    const options = caOptions(scratch(), { names: ["ghcr.io"] });
    await openCa(options);
    const opened = await together(["quay.io", "gcr.io"].map((name) => ({ ...options, names: ["ghcr.io", name] })));
    expect(opened.map(({ origin, keyed }) => [origin, keyed])).toEqual([
      ["extended", true],
      ["extended", true],
    ]);
    const ca = await openCa({ ...options, names: ["ghcr.io", "quay.io", "gcr.io"] });
    expect([ca.origin, ca.roots.length, ca.roots.every(({ key }) => key !== undefined)]).toEqual(["found", 3, true]);
  });

  it("rotate, add a site and rotate at once: every root is there, and one signs", async () => {
    const options = caOptions(scratch(), { names: ["ghcr.io"] });
    const [old] = (await openCa(options)).fingerprints;
    const grown = { ...options, names: ["ghcr.io", "quay.io"] };
    await together([{ ...options, overlap: 0 }, grown, { ...grown, overlap: 0 }]);
    const ca = await openCa(grown);
    expect([ca.origin, ca.fingerprints[0], ca.roots.every(({ key }) => key !== undefined)]).toEqual(["found", old, true]);
    expect(ca.fingerprints.length).toBeGreaterThanOrEqual(3);
    const last = Math.max(...ca.roots.map(({ from }) => from));
    expect(ca.issuerFor("ghcr.io")?.from).toBe(last);
    expect(ca.issuerFor("quay.io")).toBeDefined();
  });

  it("are killed while they rotate: what was there stays, and is whole", { timeout: 60_000 }, async () => {
    const options = caOptions(scratch(), { names: ["ghcr.io"] });
    const [old] = (await openCa(options)).fingerprints;
    const children = Array.from({ length: 8 }, () => start({ ...options, overlap: 0 }));
    for (const [i, { child, ready, done }] of children.entries()) {
      await ready;
      const ended = done.catch(() => undefined);
      child.stdin?.end();
      setTimeout(() => child.kill("SIGKILL"), i * 3);
      await ended;
      const ca = await openCa(options);
      expect([ca.origin, ca.fingerprints[0], ca.issuerFor("ghcr.io") !== undefined]).toEqual(["found", old, true]);
    }
    expect((await together([{ ...options, overlap: 0 }]))[0]?.keyed).toBe(true);
    expect(fs.readdirSync(dirname(options.keyFile)).sort()).toEqual(["ca.key", "ca.key.lock"]);
  });

  it("wait for the one that writes, and go on when it is killed", async () => {
    const options = caOptions(scratch());
    fs.mkdirSync(dirname(options.keyFile), { recursive: true });
    const hold = `const { DatabaseSync } = require("node:sqlite"); const lock = new DatabaseSync(process.argv[1]);
      lock.exec("BEGIN EXCLUSIVE"); console.log("held"); setInterval(() => lock, 1000);`;
    const holder = spawn(process.execPath, ["-e", hold, `${options.keyFile}.lock`], { stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => void holder.kill("SIGKILL"));
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    const opening = openCa(options);
    const probe = new DatabaseSync(`${options.keyFile}.lock`);
    expect(() => probe.exec("BEGIN EXCLUSIVE")).toThrow(/locked/);
    probe.close();
    expect(fs.existsSync(options.keyFile)).toBe(false);
    holder.kill("SIGKILL");
    expect((await opening).origin).toBe("made");
  });
});

describe.runIf(process.getuid?.() === 0)("a command that root gives in another user's folder", () => {
  const NOBODY = 65_534;
  const theirs = async () => {
    const options = caOptions(scratch(), { names: ["ghcr.io"] });
    const folders = [dirname(options.certificateFile), dirname(options.keyFile)];
    for (const folder of [dirname(folders[0]!), ...folders]) {
      fs.mkdirSync(folder, { recursive: true, mode: 0o700 });
      fs.chownSync(folder, NOBODY, NOBODY);
    }
    return options;
  };

  it("leaves all files to that user, who goes on with them", async () => {
    const options = await theirs();
    await openCa(options);
    await rotate(options, 0);
    const files = [options.certificateFile, options.keyFile, `${options.keyFile}.lock`];
    expect(files.map((file) => fs.statSync(file).uid)).toEqual([NOBODY, NOBODY, NOBODY]);
    process.seteuid!(NOBODY);
    try {
      await rotate(options, 0);
      expect((await openCa({ ...options, names: ["ghcr.io", "quay.io"] })).roots).toHaveLength(4);
    } finally {
      process.seteuid!(0);
    }
  });

  it("gives away nothing that a link in the lock's place leads to", async () => {
    const options = await theirs();
    const secret = `${scratch()}/secret`;
    fs.writeFileSync(secret, "", { mode: 0o600 });
    fs.symlinkSync(secret, `${options.keyFile}.lock`);
    await expect(openCa(options)).rejects.toThrow(/ca\.key\.lock: cannot be locked/);
    expect(fs.statSync(secret).uid).toBe(0);
  });
});
