// Images without any registry: roots made of this machine's own programs and the libraries they are linked with. Layover's image is
// built by compose/Dockerfile itself on such bases, with npm's packages from a cache.
import { cp, mkdir, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Engine } from "./engine.ts";
import { must, outcome } from "./part.ts";

const CHECKOUT = new URL("../..", import.meta.url).pathname;
const lab = (name: string): string => `${process.env["LAYOVER_LAB"]}/bin/${name}`;

export const LAYOVER_IMAGE = "layover";
export const BUILDER_IMAGE = "lab/builder";
const BASE_IMAGE = "lab/base";
const NPM_IMAGE = "lab/npm";

/** A folder that becomes the root of an image. */
class Root {
  readonly dir: string;

  private constructor(dir: string) {
    this.dir = dir;
  }

  static async make(dir: string): Promise<Root> {
    await mkdir(`${dir}/root/tmp`, { recursive: true });
    await mkdir(`${dir}/root/bin`);
    return new Root(dir);
  }

  /** A file or folder of this machine, links followed. */
  async put(from: string, to = from): Promise<void> {
    const place = `${this.dir}/root${to}`;
    await mkdir(dirname(place), { recursive: true });
    await cp(await realpath(from), place, { recursive: true, verbatimSymlinks: true });
  }

  async program(from: string, to = from): Promise<void> {
    await this.put(from, to);
    await this.librariesOf(from);
  }

  async librariesOf(program: string): Promise<void> {
    const text = await must(["sh", "-c", 'ldd "$1" 2>/dev/null || true', "sh", program]); // of a static one there are none
    for (const [, library] of text.matchAll(/(\/\S+) \(0x/g)) await this.put(library!);
  }

  async busybox(...names: string[]): Promise<void> {
    await this.put("/usr/bin/busybox", "/bin/busybox");
    for (const name of names) await symlink("busybox", `${this.dir}/root/bin/${name}`);
  }

  /** Builds it as an image, `lines` being the rest of its Dockerfile, and gives its room back. */
  async image(engine: Engine, name: string, ...lines: string[]): Promise<void> {
    await writeFile(`${this.dir}/Dockerfile`, ["FROM scratch", "COPY root /", ...lines, ""].join("\n"));
    await build(engine, "-t", name, this.dir);
    await rm(this.dir, { recursive: true });
  }
}

export const build = async (engine: Engine, ...args: string[]): Promise<void> => {
  const ran = await engine.docker(["buildx", "build", "--progress=plain", ...args], undefined, 300_000);
  if (ran.code !== 0) throw new Error(outcome(ran));
};

/** What `build` of a compose file is told so that compose/Dockerfile, as it stands, gets its parts from this machine. */
export const BUILD = {
  args: { BASE_IMAGE, NPM_IMAGE },
  additional_contexts: { "npm-cache": `${process.env["LAYOVER_LAB"]}/npm-cache` },
};

/** In the part of the public images that Layover's is built on: libraries alone, and npm with a Node and a shell. */
export const buildBases = async (engine: Engine, place: string): Promise<void> => {
  const node = await realpath(`${CHECKOUT}/node_modules/node-linux-${process.arch}/bin/node`);
  const base = await Root.make(`${place}/base`);
  await base.librariesOf(node);
  await base.image(engine, BASE_IMAGE);
  const npm = await Root.make(`${place}/npm`);
  await npm.program(node, "/usr/bin/node");
  await npm.put(`${process.env["LAYOVER_LAB"]}/npm`, "/usr/lib/npm");
  await npm.busybox("sh", "rm", "env");
  await symlink("../lib/npm/bin/npm-cli.js", `${npm.dir}/root/usr/bin/npm`);
  await symlink("../../bin/env", `${npm.dir}/root/usr/bin/env`);
  await npm.image(engine, NPM_IMAGE);
};

/** In the part of docker:dind: the newest engine, and its command line. It only pulls, pushes and runs without a network. */
export const buildBuilder = async (engine: Engine, place: string): Promise<void> => {
  const root = await Root.make(`${place}/builder`);
  for (const name of ["dockerd", "containerd", "containerd-shim-runc-v2", "runc"])
    await root.program(await realpath(lab(name)), `/usr/bin/${name}`);
  await root.program("/usr/bin/docker");
  await root.program("/usr/bin/openssl");
  // Alpine's shell has them all
  const tools = ["awk", "cut", "date", "grep", "head", "mktemp", "nc", "rm", "sed", "sort", "tail", "tr", "uniq"];
  await root.busybox("sh", "mount", "mkdir", "nslookup", "wget", "cat", "ls", ...tools);
  const entry = [
    "dockerd",
    "--bridge=none",
    "--userland-proxy=false",
    "--iptables=false",
    "--ip6tables=false",
    "--ip-forward=false",
  ];
  await root.image(
    engine,
    BUILDER_IMAGE,
    "ENV PATH=/usr/bin:/bin DOCKER_MIN_API_VERSION=1.24",
    "VOLUME /var/lib/docker",
    `ENTRYPOINT ${JSON.stringify(entry)}`,
  );
};
