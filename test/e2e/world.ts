// A whole network of real parts on one machine: the internet's DNS, two registries, a token server, Layover, builders.
// Every test file starts one of its own and stops it; ./run keeps it apart from the machine.
import { mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { Authority } from "./authority.ts";
import type { Client, Start } from "./clients/client.ts";
import { Engine, type Kind, type Network, Skopeo } from "./engine.ts";
import { sha256 } from "./image.ts";
import { DNS as INTERNET, Internet } from "./internet.ts";
import { DNS, ADDRESS as DOOR, Layover } from "./layover.ts";
import { must } from "./part.ts";
import { ADDRESS as TOKENS, TokenServer } from "./tokens.ts";
import { Upstream } from "./upstream.ts";

/** The open registry, and the one behind the token server; none on loopback, where Docker would ask by plain HTTP as well. */
export const OPEN = "ghcr.io";
export const GUARDED = "registry.gitlab.com";
/** Docker Hub, for the tests that start a registry in its part. */
export const HUB = { host: "registry-1.docker.io", address: "10.77.0.8" };
/** quay.io, the same with one that has the referrers API. */
export const QUAY = { host: "quay.io", address: "10.77.0.9" };

/** What Layover is called where it is a mirror; its own setting `name` is the test's. */
export const OWN_NAMES = ["layover.lab", "layover"] as const;

export class World {
  readonly dir: string;
  readonly authority: Authority;
  readonly internet: Internet;
  readonly tokens: TokenServer;
  readonly open: Upstream;
  readonly guarded: Upstream;
  readonly layover: Layover;
  readonly #running: { stop(): Promise<void> }[] = [];
  #builders = 0;
  #answers = 0;

  private constructor(dir: string, authority: Authority, tokens: TokenServer, open: Upstream, guarded: Upstream) {
    this.dir = dir;
    this.authority = authority;
    this.tokens = tokens;
    this.open = open;
    this.guarded = guarded;
    const names = [
      [OPEN, open.address],
      [GUARDED, guarded.address],
      ["gitlab.com", TOKENS],
      [HUB.host, HUB.address],
      [QUAY.host, QUAY.address],
      ...OWN_NAMES.map((name) => [name, DOOR] as const),
    ] as const;
    this.internet = new Internet(new Map(names), `${dir}/dnsmasq.log`);
    this.layover = new Layover(`${dir}/layover`, authority.certificate);
  }

  /** Starts everything but Layover. */
  static async start(): Promise<World> {
    const place = process.env["LAB_WORLD"];
    if (!place) throw new Error("these tests need a world of their own; run them with: npm run test:e2e");
    const dir = await mkdtemp(`${place}/`);
    const authority = await Authority.make(dir);
    const tokens = await TokenServer.make(authority);
    const open = await Upstream.make(authority, OPEN, "10.77.0.7", `${dir}/open`);
    const guarded = await Upstream.make(authority, GUARDED, "10.77.0.2", `${dir}/guarded`, tokens);
    const world = new World(dir, authority, tokens, open, guarded);
    await world.connect();
    return world;
  }

  /** Starts the outside, or starts it again. */
  async connect(): Promise<void> {
    await Promise.all([this.internet.start(), this.tokens.start(), this.open.start(), this.guarded.start()]);
  }

  /** Ends the outside: upstreams, token server and resolver refuse every connection. */
  async disconnect(): Promise<void> {
    await Promise.all([this.internet.stop(), this.tokens.stop(), this.open.stop(), this.guarded.stop()]);
  }

  /** What a builder behind Layover is set up with: DNS at Layover, its CA in certs.d. Nothing else. */
  get behind(): Network {
    return {
      dns: DNS,
      ca: { certificate: this.layover.certificate, hosts: [OPEN, GUARDED, QUAY.host] },
      publicCa: this.authority.certificate,
    };
  }

  /** What a builder is set up with that is to ask Layover's own name for these hosts' images first; its DNS is the internet's. */
  mirroring(at: string, hosts: readonly string[]): Network {
    // Docker 29 looks for a mirror's CA where the Hub's is
    const names = [...OWN_NAMES, ...OWN_NAMES.map((name) => `${name}:443`), "docker.io"];
    return { ...this.direct, ca: { certificate: this.layover.certificate, hosts: names }, mirror: { at, hosts } };
  }

  /** What a builder without Layover is set up with. */
  get direct(): Network {
    return { dns: INTERNET, publicCa: this.authority.certificate };
  }

  /** A pristine engine. */
  async engine(kind: Kind, network: Network = this.behind): Promise<Engine> {
    const engine = await Engine.start(kind, `${kind} ${++this.#builders}`, await this.#place(), network);
    this.#running.push(engine);
    return engine;
  }

  /** A client, or whatever else `start` gives, in a pristine place of its own. */
  async client<T extends { stop(): Promise<void> } = Client>(start: Start<T>, network: Network = this.behind): Promise<T> {
    this.#builders++;
    const client = await start(await this.#place(), network);
    this.#running.push(client);
    return client;
  }

  async skopeo(network: Network = this.behind): Promise<Skopeo> {
    this.#builders++;
    return Skopeo.make(await this.#place(), network);
  }

  /** A bare request at Layover's TLS door: the status, and the digest of the body, which goes into a file. */
  async ask(host: string, path: string, token?: string, into?: string): Promise<{ status: number; digest: string }> {
    const file = into ?? `${this.dir}/answer-${++this.#answers}`;
    const argv = ["curl", "-sS", "--max-time", "60", "--cacert", this.layover.certificate, "--resolve", `${host}:443:${DOOR}`];
    const bearer = token ? ["-H", `Authorization: Bearer ${token}`] : [];
    const status = await must([...argv, ...bearer, "-o", file, "-w", "%{http_code}", `https://${host}${path}`]);
    return { status: Number(status), digest: sha256(await readFile(file)) };
  }

  /** Call it where a test has failed: the last of what Layover said. */
  explain(): void {
    console.error(this.layover.tail());
  }

  async stop(): Promise<void> {
    await Promise.all(this.#running.map((each) => each.stop()));
    await this.layover.stop();
    this.open.thaw();
    this.guarded.thaw();
    await this.disconnect();
    await rm(this.dir, { recursive: true, force: true }); // it is all memory
  }

  // Short: a socket's path has 107 bytes at most.
  async #place(): Promise<string> {
    const dir = `${this.dir}/b${this.#builders}`;
    await mkdir(dir);
    return dir;
  }
}
