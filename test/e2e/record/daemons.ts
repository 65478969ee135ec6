// Clients with a daemon: Docker Engines, containerd by ctr and by its CRI plug-in, BuildKit.
import { mkdir, utimes, writeFile } from "node:fs/promises";
import { password } from "../clients/client.ts";
import { Cri } from "../clients/cri.ts";
import { Engine, type Kind } from "../engine.ts";
import { must, outcome, Part, type Ran } from "../part.ts";
import { type Bench, type Client, type Command, creds, type Done, type Start, type Tool, tool, versionOf } from "./client.ts";

export const docker =
  (kind: Kind, settings: object = {}): Start =>
  async (dir, network): Promise<Client> => {
    const engine = await Engine.start(kind, dir, dir, network, settings);
    const docker = async (args: Command, user?: string): Promise<Done> => ({
      command: ["docker", ...args].join(" "),
      ran: await engine.docker(args, user),
    });
    return {
      version:
        kind === "containerd"
          ? `Docker Engine 29, ${await versionOf("dockerd")}`
          : (await must(["/usr/sbin/dockerd", "--version"])).trim(),
      login: async (user, host) => ({ command: `docker login ${host} -u ${user}`, ran: await engine.login(user, host) }),
      pull: (reference, user) => docker(["pull", reference], user),
      push: async ({ image }, reference, user) => {
        await engine.load(image, reference);
        return docker(["push", reference], user);
      },
      copy: async (from, to) => {
        await engine.docker(["tag", from, to]);
        return docker(["push", to]);
      },
      extras: {},
      forget: async () => {
        const { ran } = await docker(["image", "prune", "-a", "-f"]);
        if (ran.code !== 0) throw new Error(outcome(ran));
      },
      stop: () => engine.stop(),
    };
  };

/** A daemon of a tool's own, which answers `ready` with success. */
const startDaemon = (bench: Bench, argv: Command, ready: Command): Promise<Part> => {
  const { place, dir } = bench;
  const answers = async () => (await bench.run(ready)).code === 0;
  return Part.start(argv[0]!, [...place.enter, ...argv], `${dir}/log`, answers, { env: place.env, cwd: dir });
};

/** This world has no overlayfs; `ranges` has a large layer fetched in several ranges of that size at once. */
const settings = (dir: string, ranges: number | undefined): string => `version = 3
root = "${dir}/root"
state = "${dir}/state"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "${dir}/s"
[ttrpc]
  address = "${dir}/t"
[plugins."io.containerd.internal.v1.opt"]
  path = "${dir}/opt"
[plugins."io.containerd.cri.v1.runtime".cni]
  conf_dir = "${dir}/cni"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "native"
[plugins."io.containerd.transfer.v1.local"]
  ${ranges === undefined ? "" : `max_concurrent_downloads = 3\n  concurrent_layer_fetch_buffer = ${ranges}`}
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux"
  snapshotter = "native"
`;

const startContainerd = async (bench: Bench, ranges?: number): Promise<Part> => {
  await writeFile(`${bench.dir}/config.toml`, settings(bench.dir, ranges));
  return startDaemon(bench, ["containerd", "--config", `${bench.dir}/config.toml`], ["ctr", "-a", `${bench.dir}/s`, "version"]);
};

export const ctr = (ranges?: number) =>
  tool(async (bench: Bench): Promise<Tool> => {
    const { dir } = bench;
    const daemon = await startContainerd(bench, ranges);
    const images = (...args: string[]) => ["ctr", "-a", `${dir}/s`, "images", ...args];
    return {
      command: "containerd",
      pull: async (reference, user) => [images("pull", "--snapshotter", "native", ...creds("--user", user), reference)],
      push: async (what, reference, user) => [
        ["tar", "-C", await bench.layout(what), "-cf", `${dir}/layout.tar`, "."],
        images("import", "--no-unpack", "--index-name", reference, `${dir}/layout.tar`),
        images("push", ...creds("--user", user), reference),
      ],
      copy: async (from, to) => [images("tag", "--force", from, to), images("push", to)],
      forget: [["sh", "-c", `ctr -a ${dir}/s images ls -q | xargs -r ctr -a ${dir}/s images rm --sync`]],
      ...(ranges !== undefined && { tearAt: ranges >> 1 }),
      stop: () => daemon.stop(),
    };
  });

/** What a Kubernetes node does. */
export const cri: Start = async (dir, network, names): Promise<Client> => {
  let daemon: Part | undefined;
  const make = async (bench: Bench): Promise<Tool> => {
    daemon = await startContainerd(bench);
    const forget = `ctr -n k8s.io -a ${dir}/s images ls -q | xargs -r ctr -n k8s.io -a ${dir}/s images rm --sync`;
    return { command: "containerd", pull: async () => [], forget: [["sh", "-c", forget]] };
  };
  const client = await tool(make)(dir, network, names);
  const service = new Cri(`${dir}/s`);
  return {
    ...client,
    pull: async (reference, user) => {
      const as = user === undefined ? undefined : { user, password: password(user) };
      const said = await service.pull(reference, as).then(
        () => undefined,
        (error: unknown) => String(error),
      );
      const ran: Ran = { code: said === undefined ? 0 : 1, out: "", err: said ?? "", ms: 0 };
      return { command: `CRI PullImage ${reference}${user === undefined ? "" : ` as ${user}`}`, ran };
    },
    stop: async () => {
      service.close();
      await daemon?.stop();
    },
  };
};

export const buildctl = tool(async (bench: Bench): Promise<Tool> => {
  const { dir, place } = bench;
  const buildctl = (...args: string[]) => ["buildctl", "--addr", `unix://${dir}/s`, ...args];
  const worker = ["--oci-worker-net=host", "--oci-worker-snapshotter=native", "--containerd-worker=false"];
  const argv = ["buildkitd", "--addr", `unix://${dir}/s`, "--root", `${dir}/root`, "--config", `${dir}/none.toml`, ...worker];
  const daemon = await startDaemon(bench, argv, buildctl("debug", "workers"));
  // the oldest time there is, so that the image is the same each time
  const build = async (dockerfile: string, output: string, text = "a line\n"): Promise<readonly Command[]> => {
    const context = place.fresh();
    await mkdir(context);
    await writeFile(`${context}/Dockerfile`, dockerfile);
    await writeFile(`${context}/notes`, text);
    await utimes(`${context}/notes`, 1, 1);
    const local = ["--local", `context=${context}`, "--local", `dockerfile=${context}`];
    const opt = ["--opt", "build-arg:SOURCE_DATE_EPOCH=1"];
    return [buildctl("build", "--progress=plain", "--frontend", "dockerfile.v0", ...local, ...opt, "--output", output)];
  };
  const pushed = (name: string) => `type=image,name=${name},push=true,oci-mediatypes=true`;
  return {
    command: "buildkitd",
    // logging in is writing a file, which buildctl reads
    login: async (user, host) => [["crane", "auth", "login", host, "-u", user, "-p", password(user)]],
    pull: (reference) => build(`FROM ${reference}\n`, `type=oci,dest=${place.fresh()}`),
    push: ({ text }, reference) => build("FROM scratch\nCOPY notes /notes\n", pushed(reference), text),
    copy: (from, to) => build(`FROM ${from}\nCOPY notes /notes\n`, pushed(to)),
    forget: [buildctl("prune", "--all")],
    stop: () => daemon.stop(),
  };
});
