// What the script does to a host and takes back, in each shell: with Docker's, the oldest and most used.
import {
  appendFileSync,
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { planOf } from "../../src/setup/clients.ts";
import { undoScript } from "../../src/setup/script.ts";
import type { Setup } from "../../src/setup/setup.ts";
import { textOf } from "../../src/setup/text.ts";
import { emptyFolder } from "../cli/command.ts";
import { hostOf, one, PLAIN, read, SETUP, SHELLS, scriptFor, sh, snapshot, two, visible } from "./host.ts";

const CA = SETUP.ca;
const dockerScript = (setup: Setup): string => scriptFor("docker", setup);
const dockerText = (setup: Setup): string => textOf("docker", planOf("docker", setup), "hijack", setup);
const RESOLVED = {
  "usr/local/share/ca-certificates/other.crt": "other\n",
  "etc/resolv.conf": "->../run/systemd/resolve/stub-resolv.conf",
  "run/systemd/resolve/stub-resolv.conf": "nameserver 127.0.0.53\n",
};

describe.each(SHELLS)("the script under %s", (...shell) => {
  it("does what a Docker host needs, twice as well as once, and takes it all back", async () => {
    const root = hostOf(PLAIN);
    const before = snapshot(root);
    const first = await sh(dockerScript(SETUP), ["--root", root], shell);
    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(read(root, "etc/docker/certs.d/registry-1.docker.io/ca.crt")).toBe(CA);
    expect(read(root, "etc/docker/certs.d/docker.io/ca.crt")).toBe(CA);
    expect(read(root, "etc/docker/certs.d/ghcr.io/layover.crt")).toBe(CA);
    expect(read(root, "usr/local/share/ca-certificates/layover-ca-1.crt")).toBe(one.pem);
    expect(read(root, "usr/local/share/ca-certificates/layover-ca-2.crt")).toBe(two.pem);
    expect(read(root, "etc/resolv.conf")).toBe(
      "# Made by the set-up of Layover; nobody may be asked beside it.\nnameserver 10.0.0.5\nsearch corp.example\noptions edns0\n",
    );
    const after = visible(root);
    expect(await sh(dockerScript(SETUP), ["--root", root], shell)).toMatchObject({ code: 0, stderr: "" });
    expect(visible(root)).toEqual(after);
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
      "# Made by the set-up of Layover.\n[Resolve]\nDNS=10.0.0.5:5353\nDomains=~registry-1.docker.io ~index.docker.io ~ghcr.io ~auth.docker.io\n",
    );
    expect(readlinkSync(join(root, "etc/resolv.conf"))).toBe("../run/systemd/resolve/stub-resolv.conf");
    expect(await sh(undoScript("docker"), ["--undo", "--root", root], shell)).toMatchObject({ code: 0, stderr: "" });
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
    expect((await sh(undoScript("docker"), ["--undo", "--root", emptyFolder()])).stdout).toContain("nothing to undo");
  });

  it("lets be heard what another door needs no more, such as a CA that is to leave the system's store", async () => {
    const root = hostOf(RESOLVED);
    await sh(dockerScript(SETUP), ["--root", root]);
    const { stdout } = await sh(dockerScript(SETUP), ["--root", root, "--door", "mirror"]);
    expect(stdout).toContain("removed: /usr/local/share/ca-certificates/layover-ca-1.crt");
    expect(stdout).toContain("to be run there: update-ca-certificates --fresh");
    expect(stdout).toContain("to be run there: systemctl restart systemd-resolved");
  });

  it("loses neither its record nor the user's lines when the disk fills up while it is undone", async () => {
    const root = hostOf({ "etc/hosts": "127.0.0.1 localhost\n" });
    const bin = hostOf({ grep: '#!/bin/sh\ncase $1 in -v*) /bin/grep "$@" | head -n 1; exit 2 ;; esac\nexec /bin/grep "$@"\n' });
    chmodSync(join(bin, "grep"), 0o755);
    const before = visible(root);
    await sh(dockerScript(SETUP), ["--root", root, "--door", "mirror"]);
    const line = "10.9.9.9 mine\n";
    appendFileSync(join(root, "etc/hosts"), line);
    const full = await sh(undoScript("docker"), ["--undo", "--root", root], ["sh"], { PATH: `${bin}:${process.env["PATH"]}` });
    expect(full).toMatchObject({ code: 1, stderr: expect.stringContaining("is the disk full?") });
    expect(read(root, "etc/hosts")).toContain(line);
    expect((await sh(undoScript("docker"), ["--undo", "--root", root])).code).toBe(0);
    expect(read(root, "etc/hosts")).toBe(`127.0.0.1 localhost\n${line}`);
    writeFileSync(join(root, "etc/hosts"), "127.0.0.1 localhost\n");
    expect(visible(root)).toEqual(before);
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
});
