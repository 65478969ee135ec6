import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, utimesSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { parseRoots, type Root } from "../../src/cli/ca-roots.ts";
import { checkDocker } from "../../src/cli/doctor-client-docker.ts";
import { checkTrust, readStore } from "../../src/cli/doctor-client-trust.ts";
import { machine } from "./folders.ts";
import { makeRoot } from "./roots.ts";

const names = ["registry-1.docker.io", "ghcr.io"];
const ours = makeRoot(names);
const later = makeRoot(["gcr.io"]);
/** Of the same CA, and for one of the names. */
const before = makeRoot(["ghcr.io"], { name: "Before" });
const other = makeRoot(["ghcr.io"], { name: "Other" });
const roots = parseRoots(ours.pem + later.pem) as readonly Root[];
const BUNDLE = "etc/ssl/certs/ca-certificates.crt";
const IN_STORE = { [BUNDLE]: other.pem + ours.pem.replace(/\n(?=.)/g, "\r\n") };
const HUB = { "etc/docker/certs.d/docker.io/ca.crt": ours.pem };
const IN_FOLDERS = { ...HUB, "etc/docker/certs.d/ghcr.io/ca.crt": other.pem + ours.pem };
const mend = "set it up";

const trust = async (files: Record<string, string>, of = roots) => {
  const root = machine(files);
  return checkTrust({ root, names, roots: of, store: await readStore(root), mend });
};

describe("the trust of a client", () => {
  it("is well by folders, or by the system's store", async () => {
    expect(await trust(IN_FOLDERS)).toEqual([
      { check: "trust", status: "ok", text: expect.stringMatching(/2 names, by certs\.d$/) },
    ]);
    expect(await trust({ [BUNDLE]: ours.pem + later.pem })).toMatchObject([{ text: expect.stringMatching(/by \/etc\/ssl/) }]);
    expect(await trust({ "etc/pki/tls/certs/ca-bundle.crt": ours.pem })).toMatchObject([{ status: "ok" }]);
    expect(await trust({ ...HUB, "etc/containerd/certs.d/ghcr.io/layover.crt": ours.pem })).toMatchObject([{ status: "ok" }]);
  });

  it("of a rootless engine is below its user's home", async () => {
    const root = machine({ "home/ann/.config/docker/certs.d/docker.io/ca.crt": ours.pem });
    const check = { root, names: names.slice(0, 1), roots, store: await readStore(root), mend };
    expect(await checkTrust({ ...check, home: "/home/ann/.config" })).toMatchObject([{ status: "ok" }]);
    expect(await checkTrust(check)).toMatchObject([{ status: "fail" }]);
  });

  it.each<[string, Record<string, string>, string, RegExp, RegExp]>([
    ["nothing", {}, "fail", /nothing here trusts Layover's CA for registry-1\.docker\.io, ghcr\.io$/, /set it up/],
    ["no CA for one name", HUB, "fail", /nothing here trusts Layover's CA for ghcr\.io$/, /set it up/],
    [
      "an older CA",
      { ...HUB, "etc/docker/certs.d/ghcr.io/ca.crt": other.pem },
      "fail",
      /an older CA.* for ghcr\.io$/,
      /set it up/,
    ],
    [
      "an older root of two",
      { ...HUB, "etc/docker/certs.d/ghcr.io/ca.crt": before.pem, "etc/docker/certs.d/registry-1.docker.io/ca.crt": ours.pem },
      "warn",
      /a root that Layover's CA has got since is not trusted yet for ghcr\.io$/,
      /set it up/,
    ],
    [
      "podman's own folder in front",
      { ...IN_FOLDERS, "etc/containers/certs.d/ghcr.io/other.crt": other.pem },
      "warn",
      /podman reads \/etc\/containers\/certs\.d\/ghcr\.io alone/,
      /^cp \/etc\/docker\/certs\.d\/ghcr\.io\/ca\.crt/,
    ],
    [
      "a hosts.toml that names no CA",
      { ...IN_FOLDERS, "etc/docker/certs.d/ghcr.io/hosts.toml": 'server = "https://ghcr.io"\n' },
      "warn",
      /hosts\.toml is read in place of/,
      /add to it: ca = /,
    ],
  ])("with %s is not", async (_, files, status, text, how) => {
    const of = text.source.includes("got since") ? [...roots, ...(parseRoots(before.pem) as readonly Root[])] : roots;
    expect(await trust(files, of)).toEqual([
      { check: "trust", status, text: expect.stringMatching(text), mend: expect.stringMatching(how) },
    ]);
  });

  it.each([
    [
      "ghcr.io/ca.cert",
      /is taken for a client's certificate/,
      "mv /etc/docker/certs.d/ghcr.io/ca.cert /etc/docker/certs.d/ghcr.io/ca.crt",
    ],
    [
      "ghcr.io/ca.pem",
      /is never read: a CA's file ends in \.crt/,
      "mv /etc/docker/certs.d/ghcr.io/ca.pem /etc/docker/certs.d/ghcr.io/ca.crt",
    ],
    [
      "ghcr.io:443/ca.crt",
      /for port 443 the folder has no port/,
      "mv /etc/docker/certs.d/ghcr.io:443 /etc/docker/certs.d/ghcr.io",
    ],
  ])("with %s is told of the file's name", async (file, text, how) => {
    expect(await trust({ ...HUB, [`etc/docker/certs.d/${file}`]: ours.pem })).toEqual(
      expect.arrayContaining([{ check: "trust", status: "fail", text: expect.stringMatching(text), mend: how }]),
    );
  });
});

/** An engine that says of itself what these settings do. */
const docker = async (files: Record<string, string>, info: object | string, started?: "before" | "after") => {
  const root = machine(files);
  mkdirSync(join(root, "var/run"), { recursive: true });
  const server = createServer((_, response) => response.end(typeof info === "string" ? info : JSON.stringify(info)));
  server.listen(join(root, "var/run/docker.sock"));
  onTestFinished(() => void server.close());
  await once(server, "listening");
  if (started !== undefined) {
    const daemon = spawn("sleep", ["60"], { stdio: "ignore" });
    onTestFinished(() => void daemon.kill());
    writeFileSync(join(root, "var/run/docker.pid"), `${daemon.pid}`);
    const written = Date.now() / 1_000 + (started === "before" ? 60 : -60);
    utimesSync(join(root, BUNDLE), written, written);
  }
  const url = new URL("http://10.0.0.5");
  return checkDocker({ root, names, roots, store: await readStore(root), timeout: 1_000, url });
};
const CLASSIC = { ServerVersion: "20.10.24", DriverStatus: [["Backing Filesystem", "extfs"]], HttpsProxy: "", NoProxy: "" };
const CONTAINERD = { ...CLASSIC, DriverStatus: [["driver-type", "io.containerd.snapshotter.v1"]] };

describe("Docker on a client", () => {
  it("is nothing to say where there is none", async () => {
    const root = machine({});
    const url = new URL("http://10.0.0.5");
    expect(await checkDocker({ root, names, roots, store: await readStore(root), timeout: 1_000, url })).toEqual([]);
  });

  it.each<[string, () => ReturnType<typeof docker>]>([
    ["classic, with the CA in the system's store", () => docker(IN_STORE, CLASSIC, "after")],
    ["with containerd's store and certs.d", () => docker(IN_FOLDERS, CONTAINERD)],
    ["with containerd's store and the system's", () => docker(IN_STORE, CONTAINERD, "before")],
    [
      "behind a proxy that is not for us",
      () => docker(IN_STORE, { ...CLASSIC, HttpsProxy: "http://p:1", NoProxy: "x, .docker.io,ghcr.io" }),
    ],
  ])("is well %s", async (_, look) => {
    expect(await look()).toEqual([{ check: "docker", status: "ok", text: expect.any(String) }]);
  });

  it.each<[string, () => ReturnType<typeof docker>, string, string, RegExp, RegExp]>([
    [
      "classic, with certs.d alone",
      () => docker(IN_FOLDERS, CLASSIC),
      "docker",
      "fail",
      /classic image store reads only/,
      /trust-ca/,
    ],
    ["classic, and not restarted", () => docker(IN_STORE, CLASSIC, "before"), "docker", "warn", /since before/, /restart docker/],
    [
      "with containerd's store, and the Hub's folder missing",
      () => docker({ "etc/docker/certs.d/registry-1.docker.io/ca.crt": ours.pem }, CONTAINERD),
      "docker",
      "fail",
      /looks for the CA of Docker Hub as \/etc\/docker\/certs\.d\/docker\.io\/ca\.crt/,
      /-o \/etc\/docker\/certs\.d\/docker\.io\/ca\.crt$/,
    ],
    [
      "behind a proxy",
      () => docker(IN_STORE, { ...CLASSIC, HttpsProxy: "http://me:hunter2@proxy.corp:3128", NoProxy: "ghcr.io" }),
      "proxy",
      "fail",
      /^Docker asks the proxy proxy\.corp:3128 for registry-1\.docker\.io, whatever DNS says$/,
      /NO_PROXY: registry-1\.docker\.io/,
    ],
    ["that talks nonsense", () => docker(IN_STORE, "nonsense"), "docker", "warn", /does not answer/, /root/],
  ])("is not well %s", async (_, look, kind, status, text, how) => {
    const findings = await look();
    expect(findings).toEqual([{ check: kind, status, text: expect.stringMatching(text), mend: expect.stringMatching(how) }]);
    expect(JSON.stringify(findings)).not.toContain("hunter2");
  });
});
