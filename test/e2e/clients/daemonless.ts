// podman and buildah: no daemon, and an image store of their own. Both read /etc/docker/certs.d.
import { readFile, writeFile } from "node:fs/promises";
import { type Client, digestIn, Place, password, type Start } from "./client.ts";

/** The command with a store of its own. */
export const stored = (command: "podman" | "buildah", dir: string): string[] => {
  const own = ["--root", `${dir}/root`, "--runroot", `${dir}/run`, "--storage-driver=vfs"];
  return [command, ...own, ...(command === "podman" ? ["--events-backend=none", "--cgroup-manager=cgroupfs"] : [])];
};

const start = async (place: Place, argv: string[], held: (reference: string) => string[]): Promise<Client> => {
  const env = { REGISTRY_AUTH_FILE: `${place.dir}/auth.json` };
  await writeFile(env.REGISTRY_AUTH_FILE, "{}"); // one that is named has to be there
  const ask = (...args: string[]) => place.must([...argv, ...args], { env });
  return {
    async pull(reference) {
      await ask("pull", "-q", reference);
      return digestIn(await ask(...held(reference)));
    },
    async push(image, reference) {
      const file = place.fresh();
      await ask("pull", "-q", `docker-archive:${await place.archive(image, reference)}`);
      await ask("push", "--digestfile", file, reference);
      return digestIn(await readFile(file, "utf8"));
    },
    async login(user, host, secret = password(user)) {
      await place.must([...argv, "login", "-u", user, "--password-stdin", host], { input: secret, env });
    },
    async logout(host) {
      await ask("logout", host);
    },
    stop: async () => {},
  };
};

export const podman: Start = async (dir, network) =>
  start(await Place.make(dir, network), stored("podman", dir), (reference) => [
    "image",
    "inspect",
    "--format={{.Digest}}",
    reference,
  ]);

export const buildah: Start = async (dir, network) =>
  start(await Place.make(dir, network), stored("buildah", dir), (reference) => [
    "inspect",
    "--type=image",
    "--format={{.FromImageDigest}}",
    reference,
  ]);
