// The set-up kit on machines of its own: done by `curl | sh` and by `layover setup --write`, the real client then pulls an unchanged name
// through Layover, and after --undo every file is as it was.
import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from "vitest";
import { digestIn } from "./clients/client.ts";
import { Cri } from "./clients/cri.ts";
import { stored } from "./clients/daemonless.ts";
import { Image } from "./image.ts";
import { DNS as INTERNET } from "./internet.ts";
import { ADDRESS, DNS, SCRIPT } from "./layover.ts";
import { Machine } from "./machine.ts";
import type { Ran } from "./part.ts";
import { Upstream } from "./upstream.ts";
import { HUB, OPEN, World } from "./world.ts";

const SIZE = 1024 * 1024;
/** Known to nobody's DNS but Layover's own. */
const OWN = "layover.example";

/** Pulls and says the digest. */
type Puller = (reference: string) => Promise<string>;
type Client = (machine: Machine) => Promise<Puller>;

const dockerd =
  (daemon: string, path?: string): Client =>
  async (machine) => {
    const { dir } = machine;
    const docker = ["/usr/bin/docker", "-H", `unix://${dir}/sock`];
    const places = [
      "--data-root",
      `${dir}/data`,
      "--exec-root",
      `${dir}/exec`,
      "--pidfile",
      `${dir}/pid`,
      "-H",
      `unix://${dir}/sock`,
    ];
    const argv = [daemon, ...places, "--bridge=none", "--iptables=false", "--ip-forward=false"];
    await machine.daemon(path ? ["env", `PATH=${path}`, ...argv] : argv, [...docker, "version"]);
    return async (reference) => {
      await machine.must([...docker, "pull", reference]);
      return digestIn(await machine.must([...docker, "image", "inspect", "-f", "{{index .RepoDigests 0}}", reference]));
    };
  };

const docker20 = dockerd("/usr/sbin/dockerd", "/usr/sbin:/usr/bin:/sbin:/bin");
const docker29: Client = (machine) => dockerd(`${process.env["LAYOVER_LAB"]}/bin/dockerd`)(machine);

/** What a kubelet calls, with the configuration that the set-up has made. */
const cri: Client = async (machine) => {
  const socket = `${machine.dir}/s`;
  const places = ["--root", `${machine.dir}/root`, "--state", `${machine.dir}/state`, "--address", socket];
  await machine.daemon(["containerd", "--config", "/etc/containerd/config.toml", ...places], ["ctr", "-a", socket, "version"]);
  return async (reference) => {
    const service = new Cri(socket);
    try {
      const [digest = ""] = await service.digests(await service.pull(reference));
      return digestIn(digest);
    } finally {
      service.close();
    }
  };
};

const ctr: Client = async (machine) => {
  const socket = `${machine.dir}/s`;
  const places = ["--root", `${machine.dir}/root`, "--state", `${machine.dir}/state`, "--address", socket];
  await machine.daemon(["containerd", ...places], ["ctr", "-a", socket, "version"]);
  return async (reference) => {
    const images = ["ctr", "-a", socket, "images"];
    await machine.must([...images, "pull", "--skip-metadata", "--hosts-dir", "/etc/containerd/certs.d", reference]);
    const lines = (await machine.must([...images, "ls"])).split("\n");
    return digestIn(lines.find((line) => line.startsWith(`${reference} `)) ?? "");
  };
};

const podman: Client = async (machine) => {
  const argv = stored("podman", machine.dir);
  return async (reference) => {
    await machine.must([...argv, "pull", "-q", reference]);
    return digestIn(await machine.must([...argv, "image", "inspect", "--format={{.Digest}}", reference]));
  };
};

const skopeo: Client = async (machine) => async (reference) => {
  const target = machine.fresh();
  await machine.must(["skopeo", "--insecure-policy", "copy", `docker://${reference}`, `oci:${target}:v1`]);
  return digestIn(await readFile(`${target}/index.json`, "utf8"));
};

const crane: Client = async (machine) => async (reference) => {
  const target = machine.fresh();
  await machine.must(["crane", "pull", "--format=oci", reference, target]);
  return digestIn(await readFile(`${target}/index.json`, "utf8"));
};

/** With its configuration where it looks for one by itself. */
const buildkit: Client = async (machine) => {
  const at = ["--addr", `unix://${machine.dir}/s`];
  const worker = ["--containerd-worker=false", "--oci-worker-net=host", "--otel-socket-path", `${machine.dir}/otel`];
  await machine.daemon(["buildkitd", ...at, "--root", `${machine.dir}/root`, ...worker], ["buildctl", ...at, "debug", "workers"]);
  return async (reference) => {
    const context = machine.fresh();
    await machine.must([
      "sh",
      "-c",
      `mkdir "$1" && printf 'FROM %s\\nRUN true\\n' "$2" > "$1/Dockerfile"`,
      "sh",
      context,
      reference,
    ]);
    const source = [
      "--frontend=dockerfile.v0",
      "--opt",
      "force-network-mode=none",
      "--local",
      `context=${context}`,
      "--local",
      `dockerfile=${context}`,
    ];
    const { code, out, err } = await machine.run(["buildctl", ...at, "build", "--progress=plain", "--no-cache", ...source]);
    if (code !== 0) throw new Error(err + out);
    const log = err + out;
    return digestIn(log.slice(log.indexOf(`FROM ${reference}`)));
  };
};

interface Case {
  readonly name: string;
  readonly set: string;
  readonly door: string;
  readonly client: Client;
  readonly host: string;
  /** 2 where something is left to do: no service manager runs in this world. */
  readonly code?: number;
}

const CASES: readonly Case[] = [
  { name: "Docker 20.10", set: "docker", door: "hijack", client: docker20, host: "docker.io" },
  { name: "Docker 20.10", set: "docker", door: "mirror", client: docker20, host: "docker.io", code: 2 },
  { name: "Docker 29", set: "docker", door: "hijack", client: docker29, host: "docker.io" },
  { name: "Docker 29", set: "docker", door: "mirror", client: docker29, host: OPEN, code: 2 },
  { name: "containerd's CRI plug-in", set: "containerd", door: "hijack", client: cri, host: "docker.io" },
  { name: "containerd's CRI plug-in", set: "containerd", door: "mirror", client: cri, host: OPEN },
  { name: "ctr", set: "containerd", door: "hijack", client: ctr, host: OPEN },
  { name: "podman", set: "podman", door: "hijack", client: podman, host: "docker.io" },
  { name: "podman", set: "podman", door: "mirror", client: podman, host: "docker.io" },
  { name: "podman", set: "podman", door: "proxy", client: podman, host: OPEN },
  { name: "skopeo", set: "podman", door: "hijack", client: skopeo, host: OPEN },
  { name: "BuildKit", set: "buildkit", door: "hijack", client: buildkit, host: OPEN, code: 2 },
  { name: "BuildKit", set: "buildkit", door: "mirror", client: buildkit, host: "docker.io", code: 2 },
  { name: "crane", set: "system", door: "hijack", client: crane, host: "docker.io" },
];

/** `--write` runs the very script that curl fetches: once for each set-up is enough. */
const FIRST = new Set(CASES.filter(({ set }, i) => CASES.findIndex((other) => other.set === set) === i));

let world: World;
let hub: Upstream;
let fingerprint: string;
let pristine: Machine;
let machines = 0;

beforeAll(async () => {
  world = await World.start();
  hub = await Upstream.make(world.authority, HUB.host, HUB.address, `${world.dir}/hub`);
  await hub.start();
  pristine = await Machine.make(`${world.dir}/m`, INTERNET, world.authority.certificate);
  const listen = { dns: [`${DNS}:53`], https: [`${ADDRESS}:443`], http: [`${ADDRESS}:80`], proxy: [`${ADDRESS}:3128`] };
  await world.layover.start({}, { name: OWN, listen });
  const shown = await world.layover.command("ca", "show");
  fingerprint = /([0-9A-F]{2}:){31}[0-9A-F]{2}/.exec(shown.out)![0];
});
afterAll(async () => {
  await hub?.stop();
  await world?.stop();
});

const machine = (): Promise<Machine> => pristine.copy(`${world.dir}/m${++machines}`);

const byCurl = (at: Machine, set: string, ...args: string[]): Promise<Ran> =>
  at.run(["sh", "-c", `curl -fsS http://${ADDRESS}/setup/${set} | sh -s -- "$@"`, "sh", ...args]);
const byCommand = (at: Machine, set: string, ...args: string[]): Promise<Ran> =>
  at.run([process.execPath, SCRIPT, "setup", set, "--config", `${world.dir}/layover/layover.yaml`, ...args]);

describe.each(CASES)("$name by the $door door, $host", (each) => {
  const { name, set, door, client, host, code = 0 } = each;
  test("pulls after its set-up, and nothing of it is left after", async () => {
    onTestFailed(() => world.explain());
    const upstream = host === OPEN ? world.open : hub;
    const repository = `acme/${name.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-")}-${door}`;
    const image = await Image.make(SIZE);
    await upstream.put(image, repository, "v1");
    const one = await machine();
    const reference = `${host}/${repository}:v1`;

    const done = await byCurl(one, set, "--fingerprint", fingerprint, "--door", door);
    expect(done, done.err).toMatchObject({ code });
    const mark = await upstream.mark();
    expect(await (await client(one))(reference)).toBe(image.manifest.digest);
    expect(await upstream.settledBlobBytes(mark, image.size)).toBe(image.size);

    expect(one.changes()).not.toEqual([]);
    expect((await byCommand(one, set, "--undo")).code).toBe(code);
    expect(one.changes()).toEqual([]);
    await one.stop();

    if (!FIRST.has(each)) return;
    const other = await machine();
    const again = await byCommand(other, set, "--write", "--door", door);
    expect(again, again.err).toMatchObject({ code });
    const second = await upstream.mark();
    expect(await (await client(other))(reference)).toBe(image.manifest.digest);
    expect(await upstream.blobBytes(second)).toBe(0);
    expect((await byCurl(other, set, "--undo")).code).toBe(code);
    expect(other.changes()).toEqual([]);
    await other.stop();
  });
});

test("a script with another fingerprint than the one that is named does nothing", async () => {
  const at = await machine();
  const { code, err } = await byCurl(at, "docker", "--fingerprint", fingerprint.replace(/^../, "00"));
  expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("nothing was changed") });
  expect(at.changes()).toEqual([]);
  await at.stop();
});

test.each([
  ["mirror", "docker"],
  ["proxy", "podman"],
])("a machine set up by the %s door is well in the doctor's eyes, by either way, and is not before", async (door, set) => {
  const at = await machine();
  const byShell = () => at.run(["sh", "-c", `curl -fsS http://${ADDRESS}/doctor | sh -s -- --door ${door}`]);
  const bySelf = () =>
    at.run([process.execPath, SCRIPT, "doctor", "--from", "client", "--server", `http://${ADDRESS}`, "--door", door]);
  for (const look of [byShell, bySelf]) expect(await look()).toMatchObject({ code: 1, out: expect.stringMatching(/^fail/m) });
  await byCurl(at, set, "--door", door);
  for (const look of [byShell, bySelf]) {
    const { code, out } = await look();
    expect({ code, wrong: out.match(/^(fail|warn).*/gm) }).toEqual({ code: 0, wrong: null });
  }
  await at.stop();
});

test("after --undo a pull goes to the registry itself", async () => {
  const image = await Image.make(SIZE);
  await world.open.put(image, "acme/undone", "v1");
  const at = await machine();
  const pull = await skopeo(at);
  await byCurl(at, "podman");
  expect(await pull(`${OPEN}/acme/undone:v1`)).toBe(image.manifest.digest);
  await byCurl(at, "podman", "--undo");
  const mark = await world.open.mark();
  expect(await pull(`${OPEN}/acme/undone:v1`)).toBe(image.manifest.digest);
  expect(await world.open.settledBlobBytes(mark, image.size)).toBe(image.size);
  await at.stop();
});
