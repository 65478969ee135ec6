// containerd 2, driven by ctr and by its CRI plug-in, which is what a Kubernetes node pulls through.
// Both find the CA by a hosts folder of Docker's pattern: <host>/ca.crt, no hosts.toml.
import { writeFile } from "node:fs/promises";
import type { Network } from "../engine.ts";
import { Part } from "../part.ts";
import { type Client, digestIn, Place, password, type Start } from "./client.ts";
import { Cri } from "./cri.ts";

const HOSTS = "/etc/docker/certs.d"; // the builder's own

const settings = (dir: string): string => `
version = 3
root = "${dir}/root"
state = "${dir}/state"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "${dir}/sock"
[ttrpc]
  address = "${dir}/ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "${dir}/opt"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "${HOSTS}"
[plugins."io.containerd.cri.v1.runtime".cni]
  conf_dir = "${dir}/cni"
`;

class Daemon {
  readonly place: Place;
  readonly socket: string;
  readonly #part: Part;

  private constructor(place: Place, part: Part) {
    this.place = place;
    this.socket = `${place.dir}/sock`;
    this.#part = part;
  }

  static async start(dir: string, network: Network): Promise<Daemon> {
    const place = await Place.make(dir, network);
    await writeFile(`${dir}/config.toml`, settings(dir));
    const argv = [...place.enter, "containerd", "--config", `${dir}/config.toml`];
    const answers = () =>
      place.must(["ctr", "-a", `${dir}/sock`, "version"]).then(
        () => true,
        () => false,
      );
    return new Daemon(place, await Part.start("containerd", argv, `${dir}/log`, answers, { env: place.env }));
  }

  stop(): Promise<void> {
    return this.#part.stop();
  }
}

/** ctr itself resolves names and speaks to registries, unless it hands the pull to containerd, as it does since 2.0. */
export const ctr: Start = async (dir, network): Promise<Client> => {
  const daemon = await Daemon.start(dir, network);
  const { place } = daemon;
  const images = (...args: string[]) => place.must(["ctr", "-a", daemon.socket, "images", ...args]);
  let credentials: string[] = [];
  const held = async (reference: string) => {
    const lines = (await images("ls")).split("\n");
    return digestIn(lines.find((line) => line.startsWith(`${reference} `)) ?? "");
  };
  return {
    async pull(reference) {
      // Without --skip-metadata ctr takes the other platforms' configurations as well.
      await images("pull", "--skip-metadata", "--hosts-dir", HOSTS, ...credentials, reference);
      return held(reference);
    },
    async push(image, reference) {
      const file = place.fresh();
      await image.save(file, reference);
      await images("import", file);
      await images("push", "--hosts-dir", HOSTS, ...credentials, reference);
      return held(reference);
    },
    login: async (user) => {
      credentials = ["--user", `${user}:${password(user)}`];
    },
    stop: () => daemon.stop(),
  };
};

export const cri: Start = async (dir, network): Promise<Client> => {
  const daemon = await Daemon.start(dir, network);
  const service = new Cri(daemon.socket);
  let credentials: { user: string; password: string } | undefined;
  return {
    async pull(reference) {
      const image = await service.pull(reference, credentials);
      const [digest] = await service.digests(image);
      return digestIn(digest ?? "");
    },
    login: async (user) => {
      credentials = { user, password: password(user) };
    },
    stop: async () => {
      service.close();
      await daemon.stop();
    },
  };
};
