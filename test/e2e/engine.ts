// Builders: real Docker Engines, and skopeo, each in a mount namespace with its own resolv.conf and /etc/docker.
import { copyFile, mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { type Mirror, ofDocker } from "./clients/mirrors.ts";
import type { Image } from "./image.ts";
import { outcome, Part, type Ran, run } from "./part.ts";
import { USERS } from "./tokens.ts";

/** "classic" is Debian's Docker 20.10 with its own image store, "containerd" the newest with containerd's. */
export type Kind = "classic" | "containerd";
/**
 * Where a builder looks up names, and which CA its certs.d holds for which hosts. `bridges`: its containers get networks, and the
 * rules that go with them. `mirror`: what it is to ask first. `proxy`: by what HTTPS_PROXY leads it out. `netns`: the network namespace that
 * it is in, by name.
 */
export type Network = {
  dns: string;
  ca?: { certificate: string; hosts: readonly string[] };
  publicCa: string;
  bridges?: true;
  mirror?: Mirror;
  netns?: string;
  proxy?: string;
};

/** The variable that leads a client out. */
export const wayOut = ({ proxy }: Network): Record<string, string> => (proxy === undefined ? {} : { HTTPS_PROXY: proxy });

const NOBODY = "nobody";
/** Where Debian's commands are. */
export const PATH = "/usr/sbin:/usr/bin:/sbin:/bin";

/** A namespace that sees `network`: a prefix for any command line, and the environment that goes with it. */
export const builder = async (dir: string, network: Network): Promise<string[]> => {
  await mkdir(`${dir}/docker/certs.d`, { recursive: true });
  await writeFile(`${dir}/resolv.conf`, `nameserver ${network.dns}\n`);
  for (const host of network.ca?.hosts ?? []) {
    await mkdir(`${dir}/docker/certs.d/${host}`, { recursive: true });
    await copyFile(network.ca!.certificate, `${dir}/docker/certs.d/${host}/ca.crt`);
  }
  const enter = 'mount --bind "$1" "$(readlink -f /etc/resolv.conf)" && mount --bind "$2" /etc/docker && shift 2 && exec "$@"';
  const there = network.netns === undefined ? [] : ["nsenter", `--net=/run/netns/${network.netns}`];
  return [...there, "unshare", "-m", "sh", "-c", enter, "builder", `${dir}/resolv.conf`, `${dir}/docker`];
};

/** Debian's client, which speaks to both kinds; each user has a configuration, and so credentials, of their own. */
const docker = (dir: string, user: string, args: readonly string[]): string[] => [
  "/usr/bin/docker",
  "-H",
  `unix://${dir}/sock`,
  "--config",
  `${dir}/users/${user}`,
  ...args,
];

/** The Hub goes without a name: `docker logout docker.io` forgets nothing. */
const server = (host: string): string[] => (host === "docker.io" ? [] : [host]);

export class Engine {
  readonly kind: Kind;
  readonly name: string;
  readonly #dir: string;
  readonly #daemon: Part;

  private constructor(kind: Kind, name: string, dir: string, daemon: Part) {
    this.kind = kind;
    this.name = name;
    this.#dir = dir;
    this.#daemon = daemon;
  }

  /** A pristine engine, `settings` its daemon.json. SSL_CERT_FILE is how it trusts the public CA, as any machine trusts the real ones. */
  static async start(kind: Kind, name: string, dir: string, network: Network, settings: object = {}): Promise<Engine> {
    const enter = await builder(dir, network);
    await writeFile(`${dir}/docker/daemon.json`, JSON.stringify({ ...(await ofDocker(dir, network, kind)), ...settings }));
    const dockerd = kind === "classic" ? "/usr/sbin/dockerd" : `${process.env["LAYOVER_LAB"]}/bin/dockerd`;
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
    // The proxy that publishes ports is Debian's, and too old for the newest engine: rules do it alone.
    const links = network.bridges ? ["--userland-proxy=false"] : ["--bridge=none", "--iptables=false", "--ip-forward=false"];
    const argv = [...enter, dockerd, ...places, ...links];
    const path = kind === "classic" ? PATH : `${process.env["LAYOVER_LAB"]}/bin:${PATH}`;
    const env = { PATH: path, SSL_CERT_FILE: network.publicCa, DOCKER_MIN_API_VERSION: "1.24", ...wayOut(network) };
    const answers = async () => (await run(docker(dir, NOBODY, ["version"]), { ms: 5_000 })).code === 0;
    return new Engine(kind, name, dir, await Part.start(`engine ${name}`, argv, `${dir}/log`, answers, { env, ms: 60_000 }));
  }

  /** The docker command, as a user who has logged in or as nobody. */
  docker(args: readonly string[], user = NOBODY, ms?: number, env: Record<string, string> = {}, input?: string): Promise<Ran> {
    return run(docker(this.#dir, user, args), { env, ...(ms !== undefined && { ms }), ...(input !== undefined && { input }) });
  }

  /** Gives nobody's docker command the lab's plug-ins of these names. */
  async plugIn(...names: string[]): Promise<void> {
    const folder = `${this.#dir}/users/${NOBODY}/cli-plugins`;
    await mkdir(folder, { recursive: true });
    for (const name of names) await symlink(`${process.env["LAYOVER_LAB"]}/bin/${name}`, `${folder}/${name}`);
  }

  /** Logs in, with the password that the registries know unless another is given; their credentials stay with that user. */
  login(user: string, host: string, secret = USERS[user] ?? ""): Promise<Ran> {
    return run(docker(this.#dir, user, ["login", ...server(host), "-u", user, "--password-stdin"]), { input: secret });
  }

  logout(user: string, host: string): Promise<Ran> {
    return this.docker(["logout", ...server(host)], user);
  }

  /** Gives the engine an image under a name, without any registry. */
  async load(image: Image, name: string): Promise<void> {
    const file = `${this.#dir}/load.tar`;
    await image.save(file, name);
    const ran = await this.docker(["load", "-i", file]);
    await rm(file);
    if (ran.code !== 0) throw new Error(outcome(ran));
  }

  pull(reference: string, user?: string, ms?: number): Promise<Ran> {
    return this.docker(["pull", reference], user, ms);
  }

  push(reference: string, user?: string): Promise<Ran> {
    return this.docker(["push", reference], user);
  }

  tail(): string {
    return this.#daemon.tail();
  }

  async stop(): Promise<void> {
    await this.#daemon.stop();
  }
}

/** skopeo in a builder's namespace. */
export class Skopeo {
  readonly #enter: readonly string[];
  readonly #env: Record<string, string>;

  private constructor(enter: readonly string[], env: Record<string, string>) {
    this.#enter = enter;
    this.#env = env;
  }

  static async make(dir: string, network: Network): Promise<Skopeo> {
    return new Skopeo(await builder(dir, network), { PATH, SSL_CERT_FILE: network.publicCa, TMPDIR: dir });
  }

  run(...args: string[]): Promise<Ran> {
    return run([...this.#enter, "skopeo", "--insecure-policy", ...args], { env: this.#env });
  }
}
