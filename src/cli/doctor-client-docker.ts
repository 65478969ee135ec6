// The Docker Engine of this machine, asked over its socket: what it trusts for Docker Hub, and whether it goes round DNS altogether.
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { z } from "zod";
import type { Root } from "./ca-roots.ts";
import type { Store } from "./doctor-client-trust.ts";
import { readTrusted } from "./doctor-client-trust.ts";
import { type Finding, fail, ok, reasonOf, warn } from "./doctor-finding.ts";

export interface DockerCheck {
  /** The folder that is `/`. */
  readonly root: string;
  readonly names: readonly string[];
  readonly roots: readonly Root[];
  readonly store: Store;
  readonly timeout: number;
  readonly url: URL;
  /** A `DOCKER_HOST` that is a socket, such as that of a rootless engine. */
  readonly host?: string | undefined;
}

const SOCKET = "/var/run/docker.sock";
const HUB = "registry-1.docker.io";

const INFO = z.object({
  ServerVersion: z.string().catch(""),
  DriverStatus: z.array(z.array(z.string())).nullish().catch([]),
  HttpsProxy: z.string().catch(""),
  NoProxy: z.string().catch(""),
});
type Info = z.infer<typeof INFO>;

/** Nothing to say where there is no Docker. */
export const checkDocker = async (check: DockerCheck): Promise<Finding[]> => {
  const [, named] = /^unix:\/\/(.+)/.exec(check.host ?? "") ?? [];
  const socket = join(check.root, named ?? SOCKET);
  const isThere = await stat(socket).then(
    () => true,
    () => false,
  );
  if (!isThere) return [];
  const info = await infoOf(socket, check.timeout).catch(reasonOf);
  if (typeof info === "string")
    return [warn("docker", `Docker at ${socket} does not answer: ${info}`, "start it; run this as root")];
  const findings = [...(await judgeHub(check, info)), ...judgeProxy(info, check.names)];
  if (findings.length > 0) return findings;
  return [ok("docker", `Docker ${info.ServerVersion} (${kindOf(info)} image store) is set up for what Layover stands in for`)];
};

const infoOf = async (socketPath: string, timeout: number): Promise<Info> => {
  const signal = AbortSignal.timeout(timeout);
  const asked = request({ socketPath, path: "/info", headers: { host: "docker" }, signal }).end();
  const [response] = (await once(asked, "response", { signal })) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`it says ${response.statusCode}`);
  return INFO.parse(await json(response));
};

const kindOf = ({ DriverStatus }: Info): "classic" | "containerd" =>
  (DriverStatus ?? []).some(([, value]) => value?.startsWith("io.containerd.snapshotter")) ? "containerd" : "classic";

/** The classic store reads the system's bundle alone for the Hub, once; containerd's reads certs.d/docker.io at each pull. */
const judgeHub = async ({ root, names, roots, store, url }: DockerCheck, info: Info): Promise<Finding[]> => {
  const needed = roots.filter((one) => one.signs(HUB));
  if (!names.includes(HUB) || needed.length === 0) return [];
  if (!store.holds(needed)) {
    if (kindOf(info) === "classic") {
      const text =
        "Docker's classic image store reads only the system's certificate store for Docker Hub, which lacks Layover's CA";
      return [
        fail("docker", text, `curl -fsS ${url.origin}/ca.crt -o ca.crt && scripts/trust-ca ca.crt && systemctl restart docker`),
      ];
    }
    if (await readTrusted(root, "/etc/docker/certs.d/docker.io", needed)) return [];
    const text =
      "Docker's image store looks for the CA of Docker Hub as /etc/docker/certs.d/docker.io/ca.crt, and it is not there";
    return [fail("docker", text, `curl -fsS ${url.origin}/ca.crt -o /etc/docker/certs.d/docker.io/ca.crt`)];
  }
  if (kindOf(info) !== "classic" || !(await isOlder(root, store.bundle))) return [];
  const text = "Docker has been running since before the system's store got its present content, and may not know Layover's CA";
  return [warn("docker", text, "systemctl restart docker")];
};

/** Whether dockerd was started before the bundle was written. */
const isOlder = async (root: string, bundle: string | undefined): Promise<boolean> => {
  if (bundle === undefined) return false;
  try {
    const pid = (await readFile(join(root, "/var/run/docker.pid"), "utf8")).trim();
    const [started, { mtimeMs }] = await Promise.all([startOf(pid), stat(join(root, bundle))]);
    return started < mtimeMs;
  } catch {
    return false; // another user's, or under another supervisor
  }
};

/** proc(5): field 22 of stat, in hundredths of a second after `btime`. */
const startOf = async (pid: string): Promise<number> => {
  const [process, machine] = await Promise.all([readFile(`/proc/${pid}/stat`, "utf8"), readFile("/proc/stat", "utf8")]);
  const ticks = Number(process.slice(process.lastIndexOf(")") + 2).split(" ")[19]);
  return (Number(/^btime (\d+)/m.exec(machine)?.[1]) + ticks / 100) * 1_000;
};

/** To a proxy it gives names, not addresses: DNS here has no say. */
const judgeProxy = ({ HttpsProxy, NoProxy }: Info, names: readonly string[]): Finding[] => {
  if (HttpsProxy === "") return [];
  const exempt = NoProxy.split(",").map((entry) => entry.trim().replace(/^\*?\./, ""));
  const proxied = names.filter(
    (name) => !exempt.some((entry) => entry === "*" || name === entry || (entry !== "" && name.endsWith(`.${entry}`))),
  );
  if (proxied.length === 0) return [];
  const text = `Docker asks the proxy ${hostOf(HttpsProxy)} for ${proxied.join(", ")}, whatever DNS says`;
  return [fail("proxy", text, `add to Docker's NO_PROXY: ${proxied.join(",")}; then restart it`)];
};

/** Without the password that may be in it. */
const hostOf = (proxy: string): string => URL.parse(proxy.includes("://") ? proxy : `http://${proxy}`)?.host ?? "that is set";
