// Clients with a daemon: Docker Engines, containerd by ctr and by its CRI plug-in, BuildKit.
import { utimes, writeFile } from "node:fs/promises";
import { contextOf, startBuildkit } from "../clients/builds.ts";
import { creds, Place, password } from "../clients/client.ts";
import { startContainerd } from "../clients/containerd.ts";
import { Cri } from "../clients/cri.ts";
import { Engine, type Kind, type Network } from "../engine.ts";
import { must, outcome, type Ran } from "../part.ts";
import { type Client, type Command, type Done, type Start, type Tool, tool, versionOf } from "./client.ts";

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

/** This world has no overlayfs; `ranges` has a large layer fetched in several ranges of that size at once. */
const settings = (ranges?: number): string => `
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "native"
[plugins."io.containerd.transfer.v1.local"]
  ${ranges === undefined ? "" : `max_concurrent_downloads = 3\n  concurrent_layer_fetch_buffer = ${ranges}`}
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux"
  snapshotter = "native"
`;

/** Removes all images of a namespace of containerd's. */
const removeAll = (namespace: string, { socket }: Place): Command => {
  const images = `ctr -n ${namespace} -a ${socket} images`;
  return ["sh", "-c", `${images} ls -q | xargs -r ${images} rm --sync`];
};

export const ctr = (ranges?: number) =>
  tool(async (place: Place): Promise<Tool> => {
    const { dir, socket } = place;
    const daemon = await startContainerd(place, settings(ranges));
    const images = (...args: string[]) => ["ctr", "-a", socket, "images", ...args];
    return {
      command: "containerd",
      pull: async (reference, user) => [images("pull", "--snapshotter", "native", ...creds("--user", user), reference)],
      push: async ({ image }, reference, user) => [
        ["tar", "-C", await place.layout(image), "-cf", `${dir}/layout.tar`, "."],
        images("import", "--no-unpack", "--index-name", reference, `${dir}/layout.tar`),
        images("push", ...creds("--user", user), reference),
      ],
      copy: async (from, to) => [images("tag", "--force", from, to), images("push", to)],
      forget: [removeAll("default", place)],
      ...(ranges !== undefined && { tearAt: ranges >> 1 }),
      stop: () => daemon.stop(),
    };
  });

/** What a Kubernetes node does. */
export const cri: Start = async (dir, network): Promise<Client> => {
  const place = await Place.make(dir, network);
  const daemon = await startContainerd(place, settings());
  const service = new Cri(place.socket);
  return {
    version: await versionOf("containerd"),
    pull: async (reference, user) => {
      const as = user === undefined ? undefined : { user, password: password(user) };
      const said = await service.pull(reference, as).then(
        () => undefined,
        (error: unknown) => String(error),
      );
      const ran: Ran = { code: said === undefined ? 0 : 1, out: "", err: said ?? "", ms: 0 };
      return { command: `CRI PullImage ${reference}${user === undefined ? "" : ` as ${user}`}`, ran };
    },
    push: undefined,
    copy: undefined,
    login: undefined,
    extras: {},
    forget: async () => {
      await place.must(removeAll("k8s.io", place));
    },
    stop: async () => {
      service.close();
      await daemon.stop();
    },
  };
};

export const buildctl = tool(async (place: Place, network: Network): Promise<Tool> => {
  const daemon = await startBuildkit(place, network, "--oci-worker-snapshotter=native");
  const buildctl = (...args: string[]) => ["buildctl", "--addr", `unix://${place.socket}`, ...args];
  // the oldest time there is, so that the image is the same each time
  const build = async (dockerfile: string, output: string, text = "a line\n"): Promise<readonly Command[]> => {
    const context = await contextOf({ dockerfile }, place);
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
