// containerd 2, driven by ctr and by its CRI plug-in, which is what a Kubernetes node pulls through; and where it is recorded.
// Both find the CA by a hosts folder of Docker's pattern: <host>/ca.crt, no hosts.toml.
import { writeFile } from "node:fs/promises";
import type { Part } from "../part.ts";
import { type Client, creds, digestIn, Place, password, type Start } from "./client.ts";
import { Cri } from "./cri.ts";
import { ofContainerd } from "./mirrors.ts";

const HOSTS = "/etc/docker/certs.d"; // the builder's own

const settings = ({ dir, socket }: Place): string => `version = 3
root = "${dir}/root"
state = "${dir}/state"
disabled_plugins = ["io.containerd.nri.v1.nri"]
[grpc]
  address = "${socket}"
[ttrpc]
  address = "${dir}/t"
[plugins."io.containerd.internal.v1.opt"]
  path = "${dir}/opt"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "${HOSTS}"
[plugins."io.containerd.cri.v1.runtime".cni]
  conf_dir = "${dir}/cni"
`;

/** `more` is what else its configuration says. */
export const startContainerd = async (place: Place, more = ""): Promise<Part> => {
  const file = `${place.dir}/config.toml`;
  await writeFile(file, settings(place) + more);
  return place.daemon(["containerd", "--config", file], ["ctr", "-a", place.socket, "version"]);
};

/** ctr itself resolves names and speaks to registries, unless it hands the pull to containerd, as it does since 2.0. */
export const ctr: Start = async (dir, network): Promise<Client> => {
  const place = await Place.make(dir, network);
  await ofContainerd(dir, network);
  const daemon = await startContainerd(place);
  const images = (...args: string[]) => place.must(["ctr", "-a", place.socket, "images", ...args]);
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
      await images("import", await place.archive(image, reference));
      await images("push", "--hosts-dir", HOSTS, ...credentials, reference);
      return held(reference);
    },
    login: async (user) => {
      credentials = creds("--user", user);
    },
    stop: () => daemon.stop(),
  };
};

export const cri: Start = async (dir, network): Promise<Client> => {
  const place = await Place.make(dir, network);
  await ofContainerd(dir, network, "/v2"); // as k3s writes it
  const daemon = await startContainerd(place);
  const service = new Cri(place.socket);
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
