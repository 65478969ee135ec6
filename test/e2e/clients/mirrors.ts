// How each client is told of a mirror, in its own configuration and in no other: names of images stay what they are.
import { mkdir, writeFile } from "node:fs/promises";
import type { Network } from "../engine.ts";

/** Where Layover is, as a URL, and whose images are to be asked for there first. */
export type Mirror = { at: string; hosts: readonly string[] };

const CERTS_D = "/etc/docker/certs.d"; // the builder's own
const hostOf = (url: string): string => new URL(url).host;

/** Docker's daemon.json, of the Hub alone; with containerd's image store its hosts.toml says the same of the others. */
export const ofDocker = async (dir: string, network: Network, store: "classic" | "containerd"): Promise<object> => {
  const { mirror } = network;
  const others = mirror?.hosts.filter((host) => host !== "docker.io") ?? [];
  if (mirror && store === "containerd") await ofContainerd(dir, { ...network, mirror: { ...mirror, hosts: others } });
  return mirror?.hosts.includes("docker.io") ? { "registry-mirrors": [mirror.at] } : {};
};

/** containerd's hosts.toml, a file for each registry. `path` is what k3s writes behind the host. */
export const ofContainerd = async (dir: string, { mirror }: Network, path = ""): Promise<void> => {
  for (const host of mirror?.hosts ?? []) {
    const { at } = mirror!;
    const trusted = at.startsWith("https:") ? `\n  ca = "${CERTS_D}/${hostOf(at)}/ca.crt"` : "";
    await mkdir(`${dir}/docker/certs.d/${host}`, { recursive: true });
    const lines = `[host."${at}${path}"]\n  capabilities = ["pull", "resolve"]${trusted}\n`;
    await writeFile(`${dir}/docker/certs.d/${host}/hosts.toml`, lines);
  }
};

/** buildkitd.toml. */
export const ofBuildkit = ({ mirror }: Network): string => {
  if (mirror === undefined) return "";
  const host = hostOf(mirror.at);
  const how = mirror.at.startsWith("https:") ? `ca = ["${CERTS_D}/${host}/ca.crt"]` : "http = true";
  const mirrors = mirror.hosts.map((each) => `[registry."${each}"]\n  mirrors = ["${host}"]\n`);
  return `${mirrors.join("")}[registry."${host}"]\n  ${how}\n`;
};

/** registries.conf of podman, buildah, skopeo and CRI-O, and a variable that names it: they put the path together, and say no `ns`. */
export const ofContainersImage = async (dir: string, { mirror }: Network): Promise<Record<string, string>> => {
  if (mirror === undefined) return {};
  const [host, insecure] = [hostOf(mirror.at), mirror.at.startsWith("http:")];
  const tables = mirror.hosts.map(
    (each) =>
      `[[registry]]\nprefix = "${each}"\nlocation = "${each}"\n[[registry.mirror]]\nlocation = "${host}/${each}"\ninsecure = ${insecure}\n`,
  );
  await writeFile(`${dir}/registries.conf`, tables.join("\n"));
  return { CONTAINERS_REGISTRIES_CONF: `${dir}/registries.conf` };
};
