import { execFileSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { type DockerSetup, dockerScript, dockerText, undoScript } from "../../src/admin/setup-docker.ts";
import { emptyFolder, run } from "./command.ts";
import { makeRoot } from "./roots.ts";

const one = makeRoot(["ghcr.io"], { name: "One" });
const two = makeRoot(["quay.io"], { name: "Two" });
const CA = one.pem + two.pem;
const SETUP: DockerSetup = {
  names: ["registry-1.docker.io", "index.docker.io", "ghcr.io"],
  dns: { host: "10.0.0.5", port: 53 },
  answer: ["10.0.0.5"],
  ca: CA,
  fingerprints: [one.certificate.fingerprint256, two.certificate.fingerprint256],
  url: "http://layover",
};

/** Everything below a folder, byte for byte. */
const snapshot = (folder: string): Record<string, string> =>
  Object.fromEntries(
    (readdirSync(folder, { recursive: true }) as string[]).sort().map((name) => {
      const path = join(folder, name);
      const stats = lstatSync(path);
      const what = stats.isSymbolicLink() ? readlinkSync(path) : stats.isDirectory() ? "/" : readFileSync(path, "latin1");
      return [name, `${stats.mode.toString(8)} ${what}`];
    }),
  );

const hostOf = (files: Record<string, string>): string => {
  const root = emptyFolder();
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    if (content.startsWith("->")) symlinkSync(content.slice(2), join(root, name));
    else writeFileSync(join(root, name), content);
  }
  return root;
};
const PLAIN = {
  "etc/resolv.conf": "search corp.example\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions edns0",
  "etc/docker/certs.d/ghcr.io/ca.crt": "somebody else's\n",
  "usr/local/share/ca-certificates/other.crt": "other\n",
};
const RESOLVED = {
  "etc/resolv.conf": "->../run/systemd/resolve/stub-resolv.conf",
  "run/systemd/resolve/stub-resolv.conf": "nameserver 127.0.0.53\n",
};

const SHELLS = [["dash"], ["busybox", "sh"]].filter(([command = ""]) =>
  ["/bin", "/usr/bin"].some((folder) => existsSync(join(folder, command))),
);
const sh = (script: string, args: readonly string[], [command, ...first]: readonly string[] = ["sh"]) =>
  run(command!, [...first, "-s", "--", ...args], script);
const read = (root: string, file: string) => readFileSync(join(root, file), "utf8");

describe.each(SHELLS)("the script under %s", (...shell) => {
  it("does what a Docker host needs, twice as well as once, and takes it all back", async () => {
    const root = hostOf(PLAIN);
    const before = snapshot(root);
    const first = await sh(dockerScript(SETUP), ["--root", root], shell);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(read(root, "etc/docker/certs.d/registry-1.docker.io/ca.crt")).toBe(CA);
    expect(read(root, "etc/docker/certs.d/docker.io/ca.crt")).toBe(CA);
    expect(read(root, "etc/docker/certs.d/ghcr.io/layover.crt")).toBe(CA);
    expect(read(root, "usr/local/share/ca-certificates/layover.crt")).toBe(one.pem);
    expect(read(root, "usr/local/share/ca-certificates/layover-2.crt")).toBe(two.pem);
    expect(read(root, "etc/resolv.conf")).toBe(
      "# Made by the set-up of Layover; nobody may be asked beside it.\nnameserver 10.0.0.5\nsearch corp.example\noptions edns0\n",
    );
    const after = snapshot(root);
    expect(await sh(dockerScript(SETUP), ["--root", root], shell)).toMatchObject({ code: 0, stderr: "" });
    const { "var/lib/layover/setup-docker/new": _, ...again } = snapshot(root);
    const { "var/lib/layover/setup-docker/new": __, ...once } = after;
    expect(again).toEqual(once);
    expect(await sh(dockerScript(SETUP), ["--undo", "--root", root], shell)).toMatchObject({ code: 0, stderr: "" });
    expect(snapshot(root)).toEqual(before);
  });

  it("uses a drop-in where systemd-resolved is", async () => {
    const root = hostOf(RESOLVED);
    const before = snapshot(root);
    expect(await sh(dockerScript({ ...SETUP, dns: { host: "10.0.0.5", port: 5353 } }), ["--root", root], shell)).toMatchObject({
      code: 0,
      stderr: "",
    });
    expect(read(root, "etc/systemd/resolved.conf.d/layover.conf")).toBe(
      "# Made by the set-up of Layover.\n[Resolve]\nDNS=10.0.0.5:5353\nDomains=~registry-1.docker.io ~index.docker.io ~ghcr.io\n",
    );
    expect(readlinkSync(join(root, "etc/resolv.conf"))).toBe("../run/systemd/resolve/stub-resolv.conf");
    expect(await sh(undoScript(), ["--undo", "--root", root], shell)).toMatchObject({ code: 0, stderr: "" });
    expect(snapshot(root)).toEqual(before);
  });
});

describe("the script", () => {
  it("replaces a resolv.conf that is a link to elsewhere, and puts the link back", async () => {
    const root = hostOf({
      "etc/resolv.conf": "->../run/resolvconf/resolv.conf",
      "run/resolvconf/resolv.conf": "nameserver 192.0.2.1\n",
    });
    const before = snapshot(root);
    await sh(dockerScript(SETUP), ["--root", root]);
    expect(lstatSync(join(root, "etc/resolv.conf")).isSymbolicLink()).toBe(false);
    expect(read(root, "run/resolvconf/resolv.conf")).toBe("nameserver 192.0.2.1\n");
    await sh(dockerScript(SETUP), ["--undo", "--root", root]);
    expect(snapshot(root)).toEqual(before);
  });

  it("leaves alone what somebody changed after it, and says where the old one is", async () => {
    const root = hostOf(PLAIN);
    await sh(dockerScript(SETUP), ["--root", root]);
    writeFileSync(join(root, "etc/resolv.conf"), "nameserver 192.0.2.9\n");
    const { code, stdout } = await sh(dockerScript(SETUP), ["--undo", "--root", root]);
    expect(code).toBe(1);
    expect(read(root, "etc/resolv.conf")).toBe("nameserver 192.0.2.9\n");
    const backup = /changed after us: \/etc\/resolv\.conf \(before us: (\S+),/.exec(stdout)?.[1];
    expect(readFileSync(backup!, "utf8")).toBe(PLAIN["etc/resolv.conf"]);
    expect(existsSync(join(root, "etc/docker/certs.d/docker.io/ca.crt"))).toBe(false);
  });

  it("takes a new CA on a second run, and goes back to what was before the first", async () => {
    const root = hostOf(PLAIN);
    const before = snapshot(root);
    await sh(dockerScript(SETUP), ["--root", root]);
    await sh(dockerScript({ ...SETUP, ca: two.pem, fingerprints: [two.certificate.fingerprint256] }), ["--root", root]);
    expect(read(root, "etc/docker/certs.d/docker.io/ca.crt")).toBe(two.pem);
    await sh(dockerScript(SETUP), ["--undo", "--root", root]);
    expect(snapshot(root)).toEqual(before);
  });

  it("can be undone when it was killed after it had recorded a change, and before it had made it", async () => {
    const root = hostOf(PLAIN);
    const before = snapshot(root);
    await sh(dockerScript(SETUP), ["--root", root]);
    writeFileSync(join(root, "etc/resolv.conf"), PLAIN["etc/resolv.conf"]);
    rmSync(join(root, "etc/docker/certs.d/docker.io/ca.crt"));
    expect((await sh(dockerScript(SETUP), ["--undo", "--root", root])).code).toBe(0);
    expect(snapshot(root)).toEqual(before);
  });

  it("refuses a CA that the user did not name, before it changes anything", async () => {
    const root = hostOf(PLAIN);
    const before = snapshot(root);
    const prints = SETUP.fingerprints.join(",").toLowerCase();
    for (const named of [SETUP.fingerprints[0]!, prints.replace(/^../, "00")]) {
      const { code, stderr } = await sh(dockerScript(SETUP), ["--root", root, "--fingerprint", named]);
      expect(code).toBe(1);
      expect(stderr).toContain("which is not the one that you named: nothing was changed");
    }
    const damaged = dockerScript(SETUP).replace(one.pem.slice(100, 110), "AAAAAAAAAA");
    expect((await sh(damaged, ["--root", root])).stderr).toContain("damaged");
    expect(snapshot(root)).toEqual(before);
    expect((await sh(dockerScript(SETUP), ["--root", root, "--fingerprint", prints])).code).toBe(0);
  });

  it("does nothing when it was cut short on its way", async () => {
    const script = dockerScript(SETUP);
    const root = hostOf(PLAIN);
    const before = snapshot(root);
    const cuts = [200, 0.2, 0.5, 0.8].map((part) => Math.floor(part > 1 ? part : part * script.length));
    for (const length of [...cuts, ...[3, 4, 8, 10].map((rest) => script.length - rest)]) {
      await sh(script.slice(0, length), ["--root", root]);
      expect(snapshot(root)).toEqual(before);
    }
  });

  it("leaves out what it is told to, and mentions what it cannot do", async () => {
    const root = hostOf({ ...PLAIN, "etc/docker/certs.d/docker.io/hosts.toml": "" });
    const { stdout } = await sh(dockerScript({ ...SETUP, dns: { host: "10.0.0.5", port: 5353 } }), [
      "--root",
      root,
      "--no-store",
    ]);
    expect(stdout).toContain("knows port 53 only");
    expect(stdout).toContain("/etc/docker/certs.d/docker.io/hosts.toml is read instead");
    expect(readdirSync(join(root, "usr/local/share/ca-certificates"))).toEqual(["other.crt"]);
    expect((await sh(dockerScript(SETUP), ["--bad"])).stderr).toContain("unknown option --bad");
    expect((await sh(undoScript(), ["--undo", "--root", emptyFolder()])).stdout).toContain("nothing to undo");
  });

  it("has nothing of a stranger's in it", () => {
    for (const wrong of [
      { names: ["a'; rm -rf /"] },
      { names: ["../x"] },
      { dns: { host: "1.2.3.4'", port: 53 } },
      { answer: ["$(id)"] },
      { fingerprints: ["AA'"] },
      { ca: "-----BEGIN CERTIFICATE-----\nPEM\n$(id)\n-----END CERTIFICATE-----\n" },
    ]) {
      expect(() => dockerScript({ ...SETUP, ...wrong })).toThrow(/not an? |expected/);
    }
    const text = dockerText({ ...SETUP, url: "http://x/$(id)" });
    expect(text).not.toContain("$(id)");
    expect(dockerScript({ ...SETUP, ca: `# $(id)\n${CA}$(id)` })).not.toContain("$(id)");
  });

  it("passes shellcheck where that is installed", (context) => {
    const tool = ["/usr/bin/shellcheck", "/usr/local/bin/shellcheck"].find((file) => existsSync(file));
    if (tool === undefined) return context.skip();
    execFileSync(tool, ["-s", "sh", "-"], { input: dockerScript(SETUP) });
  });
});

describe("the page", () => {
  it("says what to put where", async () => {
    const text = dockerText(SETUP)
      .replaceAll(one.certificate.fingerprint256, "<fingerprint 1>")
      .replaceAll(two.certificate.fingerprint256, "<fingerprint 2>");
    await expect(text).toMatchFileSnapshot("setup-docker.golden.txt");
  });

  it("leaves out the Hub's trap without the Hub, and curl without a door", () => {
    const text = dockerText({ ...SETUP, names: ["ghcr.io"], url: undefined });
    expect(text).not.toContain("classic");
    expect(text).not.toContain("curl");
    expect(text).not.toContain("docker.io");
  });
});
