// The script by itself, in a root of its own: the machine's real store is not touched.
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { makeRoot } from "../../src/tls/root.ts";
import { scratch } from "./scratch.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/trust-ca", import.meta.url));
const STORES = {
  debian: ["usr/share/ca-certificates", "usr/local/share/ca-certificates", "update-ca-certificates"],
  rhel: ["etc/pki/ca-trust/source/anchors", "etc/pki/ca-trust/source/anchors", "update-ca-trust extract"],
  suse: ["etc/pki/trust/anchors", "etc/pki/trust/anchors", "update-ca-certificates"],
  arch: ["etc/ca-certificates/trust-source/anchors", "etc/ca-certificates/trust-source/anchors", "trust extract-compat"],
} as const;

const pem = (...names: string[]): string =>
  names.map((name) => String(makeRoot({ names: [name], now: Date.now(), hostname: "box" }).certificate)).join("");

const world = (system: keyof typeof STORES) => {
  const root = scratch();
  const [marker, store, refresh] = STORES[system];
  fs.mkdirSync(join(root, marker), { recursive: true });
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync("sh", [SCRIPT, ...args], {
      encoding: "utf8",
      env: { ...process.env, DESTDIR: root },
    });
    return { status, stdout, stderr };
  };
  const file = (text: string): string => {
    fs.writeFileSync(join(root, "ca.crt"), text);
    return join(root, "ca.crt");
  };
  const stored = () => (fs.existsSync(join(root, store)) ? fs.readdirSync(join(root, store)).sort() : []);
  return { root, store: join(root, store), refresh, run, file, stored };
};

describe("trust-ca", () => {
  for (const system of Object.keys(STORES) as (keyof typeof STORES)[]) {
    it(`puts each certificate into ${system}'s store, follows a file that shrinks, and takes all out again`, () => {
      const { run, file, store, stored, refresh } = world(system);
      const two = pem("ghcr.io", "quay.io");
      const first = run(file(two));
      expect([first.status, first.stdout.includes(refresh)]).toEqual([0, true]);
      expect(stored()).toEqual(["layover-ca-1.crt", "layover-ca-2.crt"]);
      expect(
        stored()
          .map((name) => fs.readFileSync(join(store, name), "utf8"))
          .join(""),
      ).toBe(two);
      expect(run(file(two)).status).toBe(0);
      expect(run(file(`# a comment\r\n${pem("gcr.io").replaceAll("\n", "\r\n")}`)).status).toBe(0);
      expect(stored()).toEqual(["layover-ca-1.crt"]);
      fs.writeFileSync(join(store, "other.crt"), "someone else's");
      expect(run("--undo").status).toBe(0);
      expect(run("--undo")).toMatchObject({ status: 0, stdout: expect.stringContaining("nothing") });
      expect(stored()).toEqual(["other.crt"]);
    });
  }

  it("refuses what is no CA file, and leaves the store as it was", () => {
    const { run, file, stored } = world("debian");
    run(file(pem("ghcr.io")));
    const bad: [string, RegExp][] = [
      ["", /holds no PEM certificate/],
      ["hello", /holds no PEM certificate/],
      [`${pem("ghcr.io")}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n`, /private key/],
      [`${pem("ghcr.io")}-----BEGIN CERTIFICATE-----\nMIIB`, /cut short/],
      ["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", /cannot be read/],
    ];
    for (const [text, problem] of bad) {
      const { status, stderr } = run(file(text));
      expect([status, problem.test(stderr)]).toEqual([1, true]);
    }
    expect(run("/nowhere/ca.crt")).toMatchObject({ status: 1, stderr: expect.stringContaining("does not exist") });
    expect(run("--what").status).toBe(1);
    expect(run("a", "b").status).toBe(1);
    expect(run("--undo", "a").status).toBe(1);
    expect(stored()).toEqual(["layover-ca-1.crt"]);
  });

  it.skipIf(spawnSync("busybox", ["true"]).status !== 0)("does the same by Alpine's shell and tools alone", () => {
    const { root, file, stored } = world("debian"); // the layout is the same, and so is the name of the command
    const few = join(root, "few");
    fs.mkdirSync(few);
    spawnSync("busybox", ["--install", "-s", few]);
    const busybox = spawnSync("sh", ["-c", "command -v busybox"], { encoding: "utf8" }).stdout.trim();
    const alone = (...args: string[]) =>
      spawnSync(busybox, ["sh", SCRIPT, ...args], { encoding: "utf8", env: { PATH: few, DESTDIR: root } });
    expect(alone(file(pem("ghcr.io", "quay.io"))).stderr).toBe("");
    expect(stored()).toEqual(["layover-ca-1.crt", "layover-ca-2.crt"]);
    expect(alone("--undo").status).toBe(0);
    expect(stored()).toEqual([]);
  });

  it("says so where there is no store that it knows", () => {
    const root = scratch();
    const { status, stderr } = spawnSync("sh", [SCRIPT, "--undo"], { encoding: "utf8", env: { ...process.env, DESTDIR: root } });
    expect([status, stderr.includes("no trust store")]).toEqual([1, true]);
  });
});
