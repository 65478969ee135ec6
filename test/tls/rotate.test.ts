// One root takes over from another: who signs when, and what clients with the file of each time say.
import * as fs from "node:fs";
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { openCa, readCa } from "../../src/tls/ca.ts";
import { CaError } from "../../src/tls/ca-error.ts";
import { mintLeaf } from "../../src/tls/leaf.ts";
import type { CaOptions } from "../../src/tls/plan.ts";
import { anchorOf } from "../../src/tls/root.ts";
import { retire, rotate, switchTo } from "../../src/tls/rotate.ts";
import { ending, endingNote, signersOf, standingOf } from "../../src/tls/standing.ts";
import { caOptions, DAY, scratch, verify } from "./scratch.ts";

const NAMES = ["ghcr.io", "registry.gitlab.com", "layover"];
const read = (path: string): string => fs.readFileSync(path, "utf8");

/** A CA that was made, whose time can be turned. */
const made = async (more: Partial<CaOptions> = {}) => {
  const time = { now: Date.now() };
  const options = caOptions(scratch(), { names: NAMES, clock: () => time.now, ...more });
  const { bundle } = await openCa(options);
  return { options, time, bundle };
};
/** By whom it would be signed then; valid now, for openssl has no other time. */
const leaf = (options: CaOptions, name = "ghcr.io"): string =>
  mintLeaf(readCa(options).issuerFor(name)!, [name], Date.now()).chain;
const verdicts = (options: CaOptions, bundles: readonly string[], name = "ghcr.io"): boolean[] =>
  bundles.map((bundle) => verify(bundle, leaf(options, name), name).endsWith(": OK"));
const standings = (options: CaOptions): string[] => {
  const { roots } = readCa(options);
  const signers = signersOf(roots, options.names, options.clock());
  return roots.map((root) => standingOf(root, signers, options.clock()));
};

describe("rotation", () => {
  it("publishes at once, signs after the overlap, and keeps the old one until it is retired", async () => {
    const { options, time, bundle: old } = await made();
    const { root, from } = await rotate(options, 30 * DAY);
    const both = readCa(options).bundle;
    const fresh = String(anchorOf(root).certificate);
    expect([from - time.now, both]).toEqual([30 * DAY, old + fresh]);
    expect(read(options.certificateFile)).toBe(both);
    expect(standings(options)).toEqual(["signs", "coming"]);
    expect(verdicts(options, [old, fresh, both])).toEqual([true, false, true]);

    time.now = from - 1;
    expect(verdicts(options, [old, fresh, both])).toEqual([true, false, true]);
    time.now = from;
    expect(verdicts(options, [old, fresh, both])).toEqual([false, true, true]);
    expect(standings(options)).toEqual(["going", "signs"]);
    // A clock that is set back goes back: both are trusted by whoever is up to date.
    time.now = from - DAY;
    expect(verdicts(options, [old, fresh, both])).toEqual([true, false, true]);
    expect(await retire(options)).toEqual([]);

    time.now = from + 1;
    expect((await retire(options)).map(({ name }) => name)).toHaveLength(1);
    expect([readCa(options).bundle, read(options.keyFile).match(/PRIVATE KEY-----\n# signs|# signs/g)]).toEqual([
      fresh,
      ["# signs"],
    ]);
    expect(read(options.keyFile).match(/BEGIN PRIVATE/g)).toHaveLength(1);
    expect((await openCa(options)).origin).toBe("found");
    expect((fs.statSync(options.keyFile).mode & 0o777).toString(8)).toBe("600");
  });

  it("at once, for a key that others know: whatever was to come before signs no more", async () => {
    const { options, time } = await made();
    const planned = await rotate(options, 30 * DAY);
    await expect(rotate(options, 30 * DAY)).rejects.toThrow(/is to sign from .*\n.*--now/);
    const { root } = await rotate(options, 0);
    const isNew = () => readCa(options).issuerFor("ghcr.io")?.name === root.name;
    expect(isNew()).toBe(true);
    time.now = planned.from + DAY;
    expect(isNew()).toBe(true);
    expect((await retire(options)).length).toBe(2);
    expect(readCa(options).fingerprints).toEqual([anchorOf(root).certificate.fingerprint256]);
  });

  it("is not planned for a time when the new root has ended", async () => {
    const { options, bundle } = await made();
    for (const overlap of [5 * 365 * DAY, 9e15]) {
      await expect(rotate(options, overlap)).rejects.toThrow(/ends on .*, before it would sign\n.*shorter time with --overlap/);
      const [print] = (await openCa(options)).fingerprints;
      await expect(switchTo(options, print!, overlap)).rejects.toThrow(/before it would sign/);
    }
    expect(readCa(options).bundle).toBe(bundle);
  });

  it("goes back to a root that is still there", async () => {
    const { options, time, bundle } = await made();
    await rotate(options, 0);
    const [old] = readCa(options).roots;
    time.now -= 3_600_000; // the clock was wrong meanwhile
    const { from } = await switchTo(options, anchorOf(old!).certificate.fingerprint256.slice(0, 14).toLowerCase(), 0);
    time.now = from;
    expect(verdicts(options, [bundle])).toEqual([true]);
    expect(standings(options)).toEqual(["signs", "going"]);
    await expect(switchTo(options, "00:11:22:33:44:55", 0)).rejects.toThrow(/no CA that can sign has a fingerprint/);
    await expect(switchTo(options, "", 0)).rejects.toThrow(/more than one CA has/);
  });

  it("covers what is wanted now, with one root for all that several did", async () => {
    const { options } = await made();
    const grown = { ...options, names: [...NAMES, "*.pkg.dev"], constraints: ["corp.example"] };
    await openCa(grown);
    const { root } = await rotate(grown, 0);
    for (const name of [...NAMES, "europe-docker.pkg.dev", "pkg.dev", "a.corp.example"])
      expect(readCa(grown).issuerFor(name)?.name).toBe(root.name);
    expect(readCa(grown).issuerFor("notpkg.dev")).toBeUndefined();
    expect((await retire(grown)).length).toBe(2);
  });

  it("leaves a site that was added meanwhile its own root", async () => {
    const { options, time } = await made();
    const { root, from } = await rotate(options, 30 * DAY);
    const grown = { ...options, names: [...NAMES, "quay.io"] };
    expect((await openCa(grown)).origin).toBe("extended");
    const own = readCa(grown).issuerFor("quay.io")?.name;
    time.now = from;
    expect([readCa(grown).issuerFor("ghcr.io")?.name, readCa(grown).issuerFor("quay.io")?.name]).toEqual([root.name, own]);
    expect(standings(grown)).toEqual(["going", "signs", "signs"]);
  });

  it("comes early when the old root ends before", async () => {
    const { options, time } = await made();
    time.now = readCa(options).notAfter - DAY;
    const { root } = await rotate(options, 30 * DAY);
    time.now += DAY;
    expect(readCa(options).issuerFor("ghcr.io")?.name).toBe(root.name);
    expect(standings(options)).toEqual(["expired", "signs"]);
  });

  it("mends a CA that has expired", async () => {
    const { options, time } = await made();
    time.now = readCa(options).notAfter + DAY;
    await expect(openCa(options)).rejects.toThrow(/expired on[\s\S]*ca rotate --now/);
    const { root } = await rotate(options, 0);
    expect((await openCa(options)).issuerFor("ghcr.io")?.name).toBe(root.name);
  });

  it("needs a CA, and a clock that has heard the time", async () => {
    await expect(rotate(caOptions(scratch()), 0)).rejects.toThrow(/no whole CA yet/);
    const { options, time } = await made();
    time.now = 0;
    await expect(rotate(options, 0)).rejects.toThrow(/clock says 1970/);
  });

  it("is ready for what old files hold: a root that signs itself", async () => {
    const { options, time } = await made();
    const { makeRoot } = await import("../cli/roots.ts");
    const old = makeRoot(NAMES, { name: "Layover CA box 20260101 abcd", until: 1_000 });
    fs.writeFileSync(options.certificateFile, old.pem);
    fs.writeFileSync(options.keyFile, old.key + old.pem);
    time.now = Date.now();
    expect((await openCa(options)).origin).toBe("found");
    expect(verdicts(options, [old.pem])).toEqual([true]);
    const grown = { ...options, names: [...NAMES, "quay.io"] };
    expect((await openCa(grown)).origin).toBe("extended");
    expect(verdicts(grown, [old.pem, readCa(grown).bundle])).toEqual([true, true]);
    const { root } = await rotate(grown, 0);
    expect((await retire(grown)).length).toBe(2);
    expect(readCa(grown).bundle).toBe(String(anchorOf(root).certificate));
  });
});

describe("a rotation that is cut short", () => {
  it("after its key was written has changed nothing for clients, and is made again", async () => {
    const { options, time, bundle } = await made();
    await rotate(options, 0);
    fs.writeFileSync(options.certificateFile, bundle);
    expect(verdicts(options, [bundle])).toEqual([true]);
    time.now += 1_000;
    const { root } = await rotate(options, 0);
    expect(readCa(options).issuerFor("ghcr.io")?.name).toBe(root.name);
    expect(readCa(options).fingerprints).toHaveLength(2);
  });

  it("in the middle of a file leaves the old one", async () => {
    const { options, bundle } = await made();
    fs.writeFileSync(`${options.keyFile}.new`, "-----BEGIN PRIV");
    await rotate(options, DAY);
    expect(readCa(options).bundle.startsWith(bundle)).toBe(true);
    expect(fs.readdirSync(dirname(options.keyFile)).sort()).toEqual(["ca.key", "ca.key.lock"]);
  });

  it("while it retires leaves keys without certificates, which sign nothing", async () => {
    const { options } = await made();
    const { root } = await rotate(options, 0);
    const key = read(options.keyFile);
    await retire(options);
    fs.writeFileSync(options.keyFile, key);
    const { roots } = readCa(options);
    expect(roots.map(({ name }) => name)).toEqual([root.name]);
  });
});

describe("the note in the key file", () => {
  it("is refused when it is no time, and says what to do", async () => {
    const { options } = await made();
    fs.writeFileSync(options.keyFile, `# signs from soon\n${read(options.keyFile)}`);
    expect(() => readCa(options)).toThrow(CaError);
    expect(() => readCa(options)).toThrow(/cannot be read: "soon"/);
  });

  it("holds for the key right below it, among whatever people wrote", async () => {
    const { options, time } = await made();
    await rotate(options, 30 * DAY);
    fs.writeFileSync(options.keyFile, `# ours\r\n${read(options.keyFile).replaceAll("\n", "\r\n")}# end\r\n`);
    expect(standings(options)).toEqual(["signs", "coming"]);
    time.now += 31 * DAY;
    expect(standings(options)).toEqual(["going", "signs"]);
    await retire(options);
    expect(read(options.keyFile)).toMatch(/^# ours\r\n# signs[\s\S]*# end\r\n$/);
  });
});

describe("the end", () => {
  it("is told ninety days before, unless a root that lasts is there to take over", async () => {
    const { options, time } = await made();
    const near = () => ending(readCa(options).roots, options.names, options.clock());
    const { notAfter } = readCa(options);
    time.now = notAfter - 91 * DAY;
    expect(near()).toEqual([]);
    time.now = notAfter - 89 * DAY;
    expect(near().map(endingNote)).toEqual([expect.stringMatching(/^the CA "Layover CA box .*" ends on .*ca rotate/)]);
    await rotate(options, 30 * DAY);
    expect(near()).toEqual([]);
  });
});
