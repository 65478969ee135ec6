// Every client's script, by every door, on a host of its own: done, done again, taken back byte for byte; and clients beside each other.
import { chmodSync, existsSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CLIENT_NAMES, CLIENTS, type ClientName } from "../../src/setup/clients.ts";
import { undoScript } from "../../src/setup/script.ts";
import type { Door } from "../../src/setup/step.ts";
import { hostOf, PLAIN, read, SETUP, SHELLS, scriptFor, sh, snapshot, visible } from "./host.ts";

const PAIRS = CLIENT_NAMES.flatMap((name) => (Object.keys(CLIENTS[name].doors) as Door[]).map((door) => [name, door] as const));
const apply = (root: string, name: ClientName, ...args: string[]) => sh(scriptFor(name), ["--root", root, ...args]);
const undo = (root: string, name: string, ...args: string[]) => sh(undoScript(name), ["--undo", "--root", root, ...args]);

describe.each(SHELLS)("under %s", (...shell) => {
  it.each(PAIRS)("%s by the %s door is done, done again, and taken back", async (name, door) => {
    const root = hostOf({ ...PLAIN, "etc/hosts": "127.0.0.1 localhost" });
    const before = snapshot(root);
    const script = scriptFor(name);
    const first = await sh(script, ["--root", root, "--door", door], shell);
    expect(first.stderr).toBe("");
    const after = visible(root);
    const again = await sh(script, ["--root", root, "--door", door], shell);
    expect(again).toMatchObject({ code: 0, stderr: "" });
    expect(visible(root)).toEqual(after);
    expect(await sh(undoScript(name), ["--undo", "--root", root], shell)).toMatchObject({ stderr: "" });
    expect(snapshot(root)).toEqual(before);
    if (name !== "kaniko") expect(after).not.toEqual(before);
  });
});

describe("clients beside each other", () => {
  it("share what both need, and it stays until the last is undone", async () => {
    const root = hostOf(PLAIN);
    const before = snapshot(root);
    await apply(root, "docker");
    await apply(root, "podman");
    const shared = "etc/docker/certs.d/registry-1.docker.io/ca.crt";
    expect(existsSync(join(root, "etc/containers/certs.d"))).toBe(false); // Docker's folders are there: others would hide them
    const { stdout } = await undo(root, "docker");
    expect(stdout).toContain(`stays, since another client needs it: /${shared}`);
    expect(read(root, shared)).toBe(SETUP.ca);
    expect(read(root, "etc/resolv.conf")).toContain("nameserver 10.0.0.5");
    expect(existsSync(join(root, "usr/local/share/ca-certificates/layover-ca-1.crt"))).toBe(false); // Docker's alone
    expect((await undo(root, "podman")).code).toBe(0);
    expect(snapshot(root)).toEqual(before);
  });

  it("podman's CA goes where podman looks first", async () => {
    const root = hostOf({ ...PLAIN, "etc/containers/certs.d/ghcr.io/client.cert": "x" });
    await apply(root, "podman");
    expect(read(root, "etc/containers/certs.d/ghcr.io/ca.crt")).toBe(SETUP.ca);
    expect(read(root, "etc/containers/certs.d/docker.io/ca.crt")).toBe(SETUP.ca);
    const beside = hostOf(PLAIN); // Docker's folder for ghcr.io is there, and holds what a new one would hide
    await apply(beside, "podman");
    expect(read(beside, "etc/docker/certs.d/ghcr.io/layover.crt")).toBe(SETUP.ca);
  });
});

describe("another set-up of the same client", () => {
  it("by another door takes back what the first needed", async () => {
    const root = hostOf({ ...PLAIN, "etc/hosts": "127.0.0.1 localhost\n" });
    const before = snapshot(root);
    await apply(root, "docker");
    await apply(root, "docker", "--door", "mirror");
    expect(read(root, "etc/resolv.conf")).toBe(PLAIN["etc/resolv.conf"]);
    expect(read(root, "etc/hosts")).toBe("127.0.0.1 localhost\n10.0.0.5 layover # Layover\n");
    expect(existsSync(join(root, "etc/docker/certs.d/registry-1.docker.io"))).toBe(false);
    expect(JSON.parse(read(root, "etc/docker/daemon.json"))).toEqual({ "registry-mirrors": ["https://layover"] });
    await apply(root, "docker");
    expect(existsSync(join(root, "etc/docker/certs.d/docker.io/hosts.toml"))).toBe(false);
    await undo(root, "docker");
    expect(snapshot(root)).toEqual(before);
  });

  it("for fewer names takes back the others", async () => {
    const root = hostOf(PLAIN);
    await apply(root, "docker");
    await sh(scriptFor("docker", { ...SETUP, names: ["ghcr.io"] }), ["--root", root]);
    expect(existsSync(join(root, "etc/docker/certs.d/docker.io"))).toBe(false);
    expect(read(root, "etc/docker/certs.d/ghcr.io/layover.crt")).toBe(SETUP.ca);
  });

  it("follows Layover to another address, in /etc/hosts too", async () => {
    const root = hostOf({ "etc/hosts": "127.0.0.1 localhost" });
    const before = snapshot(root);
    await apply(root, "k3s");
    await sh(scriptFor("k3s", { ...SETUP, answer: ["10.0.0.9"] }), ["--root", root]);
    expect(read(root, "etc/hosts")).toBe("127.0.0.1 localhost\n10.0.0.9 layover # Layover\n");
    await undo(root, "k3s");
    expect(snapshot(root)).toEqual(before);
  });
});

describe("what is the user's", () => {
  const OWN = {
    "etc/docker/daemon.json": '{ "log-driver": "journald" }\n',
    "etc/docker/certs.d/ghcr.io/hosts.toml": 'server = "https://ghcr.io"\n',
  };

  it("stays as it is where it cannot be merged, and what belongs into it is said", async () => {
    const root = hostOf(OWN);
    const { code, stdout } = await apply(root, "docker", "--door", "mirror");
    expect(code).toBe(2);
    for (const [file, content] of Object.entries(OWN)) {
      expect(read(root, file)).toBe(content);
      expect(stdout).toContain(`TO DO: /${file} is yours already`);
    }
    expect(stdout).toContain('"registry-mirrors": ["https://layover"]');
    writeFileSync(join(root, "etc/docker/daemon.json"), '{ "registry-mirrors": ["https://layover"], "log-driver": "journald" }');
    expect((await apply(root, "docker", "--door", "mirror")).stdout).toContain("has it already: /etc/docker/daemon.json");
    await undo(root, "docker");
    expect(read(root, "etc/docker/certs.d/ghcr.io/hosts.toml")).toBe(OWN["etc/docker/certs.d/ghcr.io/hosts.toml"]);
  });

  it("is kept beside our line in /etc/hosts, also what came after it", async () => {
    const root = hostOf({ "etc/hosts": "127.0.0.1 localhost" });
    await apply(root, "podman", "--door", "mirror");
    writeFileSync(join(root, "etc/hosts"), `${read(root, "etc/hosts")}192.0.2.7 printer\n`);
    expect((await apply(root, "podman", "--door", "mirror")).stdout).toContain("/etc/hosts knows layover already");
    expect((await undo(root, "podman")).code).toBe(0);
    expect(read(root, "etc/hosts")).toBe("127.0.0.1 localhost\n192.0.2.7 printer\n");
  });

  it("keeps its mode, and a file that we made and somebody changed stays", async () => {
    const root = hostOf(PLAIN);
    chmodSync(join(root, "etc/resolv.conf"), 0o640);
    await apply(root, "system");
    expect(statSync(join(root, "etc/resolv.conf")).mode & 0o777).toBe(0o640);
    writeFileSync(join(root, "etc/layover/ca.crt"), "mine\n");
    const { code, stdout } = await undo(root, "system");
    expect(code).toBe(1);
    expect(stdout).toContain("left alone, since it was changed after us: /etc/layover/ca.crt");
    expect(read(root, "etc/layover/ca.crt")).toBe("mine\n");
    rmSync(join(root, "etc/layover/ca.crt"));
    expect((await undo(root, "system")).code).toBe(0);
    expect(existsSync(join(root, "var/lib/layover-setup"))).toBe(false);
  });

  it("is refused where a file's format takes no additions, before anything is changed", async () => {
    const root = hostOf({ "etc/containers/registries.conf": "[registries.search]\nregistries = ['docker.io']\n" });
    const before = snapshot(root);
    const { code, stderr } = await apply(root, "podman", "--door", "mirror");
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("is of version 1") });
    expect(snapshot(root)).toEqual(before);
  });
});

describe("hosts of other kinds", () => {
  it.each([
    ["/etc/pki/trust/anchors", "update-ca-certificates"],
    ["/etc/pki/ca-trust/source/anchors", "update-ca-trust extract"],
    ["/etc/ca-certificates/trust-source/anchors", "trust extract-compat"],
    ["/usr/local/share/ca-certificates", "update-ca-certificates"],
  ])("with a store in %s", async (folder, command) => {
    const root = hostOf({ [`${folder.slice(1)}/other.crt`]: "other\n" });
    const before = snapshot(root);
    const { code, stdout } = await apply(root, "system");
    expect(code).toBe(0);
    expect(stdout).toContain(`to be run there: ${command}\n`);
    expect(read(root, `${folder}/layover-ca-2.crt`)).toContain("BEGIN CERTIFICATE");
    expect((await undo(root, "system")).stdout).toContain(`to be run there: ${command}`);
    expect(snapshot(root)).toEqual(before);
  });

  it("without one say so, where it is needed", async () => {
    const root = hostOf({ "etc/resolv.conf": "" });
    expect(await apply(root, "system")).toMatchObject({
      code: 2,
      stdout: expect.stringContaining("TO DO: no certificate store"),
    });
    expect(await apply(root, "docker")).toMatchObject({ code: 0, stdout: expect.stringContaining("no certificate store") });
  });

  it("with NetworkManager have it told, and keep their search domains", async () => {
    const root = hostOf({
      "etc/resolv.conf": "# Generated by NetworkManager\nsearch a.example b.example\nnameserver 192.0.2.1\n",
    });
    const before = snapshot(root);
    const { stdout } = await apply(root, "dind");
    expect(stdout).not.toContain("NetworkManager");
    await apply(root, "podman");
    expect(read(root, "etc/NetworkManager/conf.d/90-layover.conf")).toBe(
      "# Made by the set-up of Layover.\n[global-dns]\nsearches=a.example,b.example\n[global-dns-domain-*]\nservers=10.0.0.5\n",
    );
    expect(read(root, "etc/resolv.conf")).toContain("192.0.2.1");
    await undo(root, "podman");
    await undo(root, "dind");
    expect(snapshot(root)).toEqual(before);
  });
});

describe("a user's own", () => {
  it("goes under ~/.config, with paths inside files to match, and what is root's is left", async () => {
    const root = hostOf({ "home/u u/.config/docker/config.json": "{}" });
    const env = { PATH: process.env["PATH"], HOME: "/home/u u" };
    const before = snapshot(root);
    const run = (name: ClientName, ...args: string[]) => sh(scriptFor(name), ["--root", root, "--user", ...args], ["sh"], env);
    const { code, stdout, stderr } = await run("buildkit");
    expect({ code, stderr }).toEqual({ code: 2, stderr: "" });
    expect(stdout).toContain("this host has to ask 10.0.0.5 for names: run this once as root");
    expect(read(root, "home/u u/.config/buildkit/buildkitd.toml")).toContain('ca = ["/home/u u/.config/buildkit/layover.crt"]');
    await run("docker");
    await run("podman");
    expect(read(root, "home/u u/.config/docker/certs.d/docker.io/ca.crt")).toBe(SETUP.ca);
    expect(read(root, "home/u u/.config/containers/certs.d/docker.io/ca.crt")).toBe(SETUP.ca);
    expect(existsSync(join(root, "etc"))).toBe(false);
    for (const name of ["docker", "buildkit", "podman"])
      expect((await sh(undoScript(name), ["--undo", "--root", root, "--user"], ["sh"], env)).code).toBe(0);
    expect(snapshot(root)).toEqual(before);
  });
});

describe("what went before", () => {
  it("is undone too: the record of the first version, for Docker alone", async () => {
    const root = hostOf({ "etc/resolv.conf": "nameserver 10.0.0.5\n", "etc/docker/certs.d/ghcr.io/ca.crt": "CA\n" });
    const old = join(root, "var/lib/layover/setup-docker");
    for (const folder of ["was", "now"]) mkdirSync(join(old, folder), { recursive: true });
    const record = [
      ["1 folder /var/lib/layover"],
      ["2 folder /var/lib/layover/setup-docker"],
      ["3 folder /etc/docker/certs.d/ghcr.io"],
      ["4 created /etc/docker/certs.d/ghcr.io/ca.crt", undefined, "CA\n"],
      ["5 changed /etc/resolv.conf", "nameserver 192.0.2.1\n", "nameserver 10.0.0.5\n"],
    ] as const;
    for (const [line, was, now] of record) {
      const number = line.split(" ")[0]!;
      if (was !== undefined) writeFileSync(join(old, "was", number), was);
      if (now !== undefined) writeFileSync(join(old, "now", number), now);
    }
    writeFileSync(join(old, "record"), `${record.map(([line]) => line).join("\n")}\n`);
    expect(await undo(root, "docker")).toMatchObject({ code: 0, stderr: "" });
    expect(read(root, "etc/resolv.conf")).toBe("nameserver 192.0.2.1\n");
    expect(existsSync(join(root, "etc/docker/certs.d/ghcr.io"))).toBe(false);
    expect(existsSync(join(root, "var/lib/layover"))).toBe(false);
  });

  it("is a lock of somebody who is gone: none", async () => {
    const root = hostOf(PLAIN);
    await apply(root, "docker");
    const lock = join(root, "var/lib/layover-setup/lock");
    writeFileSync(lock, `${process.pid}\n`);
    expect(await undo(root, "docker")).toMatchObject({ code: 1, stderr: expect.stringContaining("another set-up is under way") });
    writeFileSync(lock, "4194304\n");
    expect((await undo(root, "docker")).code).toBe(0);
  });

  it("is a write that was cut short: both that and what it stood for can be undone", async () => {
    const root = hostOf(PLAIN);
    const before = snapshot(root);
    await apply(root, "docker");
    // killed after the new content was recorded, and before it was written
    const record = read(root, "var/lib/layover-setup/record");
    const number = /^(\d+) changed \/etc\/resolv\.conf$/m.exec(record)![1]!;
    const now = join(root, "var/lib/layover-setup/now");
    writeFileSync(join(now, `${number}.old`), read(root, "etc/resolv.conf"));
    writeFileSync(join(now, number), "half of wh");
    expect((await undo(root, "docker")).code).toBe(0);
    expect(snapshot(root)).toEqual(before);
  });
});

it("does not write through a link to elsewhere", async () => {
  const root = hostOf({ ...PLAIN, "elsewhere/daemon.json": "{}\n" });
  mkdirSync(join(root, "etc/layover"));
  symlinkSync("../../elsewhere/daemon.json", join(root, "etc/layover/ca.crt"));
  const before = snapshot(root);
  await apply(root, "system");
  expect(read(root, "elsewhere/daemon.json")).toBe("{}\n");
  expect(read(root, "etc/layover/ca.crt")).toBe(SETUP.ca);
  await undo(root, "system");
  expect(snapshot(root)).toEqual(before);
});
