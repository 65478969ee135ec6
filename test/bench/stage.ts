// All that a measurement needs: the servers, started and each with an empty cache, and the upstream they share.
import { mkdir } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Authority } from "../e2e/authority.ts";
import { cipherOf } from "./ask.ts";
import { Dnsmasq } from "./dnsmasq.ts";
import { Nginx } from "./nginx.ts";
import { HOST, Origin, type Thing } from "./origin.ts";
import { Ours } from "./ours.ts";
import type { Pace } from "./pace.ts";
import { Registry } from "./registry.ts";
import { say } from "./rounds.ts";
import type { Door, Name, Server } from "./server.ts";

/** What a start has compiled is kept a second after it. Milliseconds. */
const COMPILED_WITHIN = 1_500;
const SMALL = { size: 4096, count: 16 };

export class Stage {
  readonly dir: string;
  readonly pace: Pace;
  readonly trust: string;
  readonly origin: Origin;
  readonly ours: Ours;
  readonly neighbours: readonly (Server & Door)[];
  readonly dnsmasq: Dnsmasq;
  readonly small: readonly Thing[];
  readonly manifest: { byTag: Thing; byDigest: Thing };
  readonly internet: Dnsmasq;
  #large: Thing | undefined;

  private constructor(
    dir: string,
    pace: Pace,
    trust: string,
    parts: Pick<Stage, "origin" | "ours" | "neighbours" | "small" | "manifest">,
  ) {
    this.dir = dir;
    this.pace = pace;
    this.trust = trust;
    this.origin = parts.origin;
    this.ours = parts.ours;
    this.neighbours = parts.neighbours;
    this.small = parts.small;
    this.manifest = parts.manifest;
    this.internet = Dnsmasq.internet(dir);
    this.dnsmasq = Dnsmasq.neighbour(dir, parts.ours.address);
  }

  static async set(dir: string, pace: Pace, profile?: string): Promise<Stage> {
    await mkdir(dir, { recursive: true });
    const authority = await Authority.make(dir);
    const trust = authority.certificate;
    const origin = await Origin.make(authority, `${dir}/origin`);
    const small: Thing[] = [];
    for (let n = 0; n < SMALL.count; n++) small.push(await origin.blob(SMALL.size));
    const manifest = await origin.manifest(small.slice(0, 8));
    const pair = await authority.issue(HOST);
    const ours = await Ours.make(`${dir}/layover`, trust, profile);
    const neighbours = [
      await Nginx.make(`${dir}/nginx`, trust, pair),
      await Registry.make("distribution", `${dir}/distribution`, trust, pair),
      await Registry.make("docker-registry", `${dir}/docker-registry`, trust, pair),
    ];
    return new Stage(dir, pace, trust, { origin, ours, neighbours, small, manifest });
  }

  /** The upstream first: a registry that cannot reach it does not start. */
  async start(): Promise<void> {
    await this.#compile();
    for (const each of [this.internet, this.origin, ...this.all]) await each.start();
  }

  /** Whoever starts new sources for the first time waits for their compiler, and holds it for ever: it is no figure. */
  async #compile(): Promise<void> {
    const first = await Ours.make(`${this.dir}/compile`, this.trust);
    const seconds = await first.start();
    await sleep(COMPILED_WITHIN);
    say(`layover: a first start, not measured: ${seconds.toFixed(2)} s`);
    await first.stop();
  }

  /** Those that stand for the registry. */
  get doors(): readonly (Server & Door)[] {
    return [this.ours, ...this.neighbours];
  }

  get resolvers(): readonly (Server & { dns: string })[] {
    return [this.ours, this.dnsmasq];
  }

  get all(): readonly Server[] {
    return [...this.doors, this.dnsmasq];
  }

  /** The blob of all that reads a large one. */
  async large(): Promise<Thing> {
    this.#large ??= await this.origin.blob(this.pace.large.size * 2 ** 20);
    return this.#large;
  }

  async ciphers(): Promise<Partial<Record<Name, string>>> {
    const all: Partial<Record<Name, string>> = {};
    for (const door of this.doors) all[door.name] = await cipherOf(door);
    return all;
  }

  async stop(): Promise<void> {
    for (const each of [...this.all, this.origin, this.internet]) await each.stop();
  }
}
