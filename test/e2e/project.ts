// A compose project made of one of compose/'s own files, on an engine with bridges. Outside of it, on addresses of this world
// that containers reach as they reach the internet: real registries and a resolver.
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Authority } from "./authority.ts";
import { Engine } from "./engine.ts";
import { Internet } from "./internet.ts";
import { BUILD, BUILDER_IMAGE, build, LAYOVER_IMAGE } from "./local-images.ts";
import { must, outcome, type Ran } from "./part.ts";
import { ADDRESS as TOKENS, TokenServer } from "./tokens.ts";
import { Upstream } from "./upstream.ts";

const COMPOSE = new URL("../../compose", import.meta.url).pathname;
/** RFC 5737: documentation's, so nobody's. */
export const RESOLVER = "198.51.100.53";
const ADDRESSES = {
  "ghcr.io": "198.51.100.7",
  "registry.gitlab.com": "198.51.100.2",
  "registry-1.docker.io": "198.51.100.8",
  "quay.io": "198.51.100.10",
  "gitlab.com": TOKENS,
  "elsewhere.example": "198.51.100.9",
};
export const ELSEWHERE = { name: "elsewhere.example", address: ADDRESSES["elsewhere.example"] };

/** What lies outside, and the engine that containers run on. */
export class Yard {
  readonly dir: string;
  readonly authority: Authority;
  readonly engine: Engine;
  readonly ghcr: Upstream;
  readonly gitlab: Upstream;
  readonly hub: Upstream;
  /** quay.io, behind a token server under another name: gitlab.com. */
  readonly guarded: Upstream;
  readonly #tokens: TokenServer;
  readonly #internet: Internet;

  private constructor(dir: string, authority: Authority, engine: Engine, upstreams: readonly Upstream[], tokens: TokenServer) {
    const [ghcr, gitlab, hub, guarded] = upstreams;
    this.guarded = guarded!;
    this.#tokens = tokens;
    this.dir = dir;
    this.authority = authority;
    this.engine = engine;
    this.ghcr = ghcr!;
    this.gitlab = gitlab!;
    this.hub = hub!;
    this.#internet = new Internet(new Map(Object.entries(ADDRESSES)), `${dir}/dnsmasq.log`, RESOLVER);
  }

  static async start(): Promise<Yard> {
    const place = process.env["LAB_WORLD"];
    if (!place) throw new Error("these tests need a world of their own; run them with: npm run test:e2e");
    const dir = await mkdtemp(`${place}/`);
    for (const address of [RESOLVER, ...Object.values(ADDRESSES)])
      await must(["ip", "address", "replace", `${address}/32`, "dev", "lo"]);
    const authority = await Authority.make(dir);
    const upstreams: Upstream[] = [];
    for (const host of ["ghcr.io", "registry.gitlab.com", "registry-1.docker.io"] as const)
      upstreams.push(await Upstream.make(authority, host, ADDRESSES[host], `${dir}/${host}`));
    const tokens = await TokenServer.make(authority);
    upstreams.push(await Upstream.make(authority, "quay.io", ADDRESSES["quay.io"], `${dir}/quay.io`, tokens));
    await mkdir(`${dir}/e`);
    const network = { dns: RESOLVER, publicCa: authority.certificate, bridges: true } as const;
    const engine = await Engine.start("containerd", "of the yard", `${dir}/e`, network);
    await engine.plugIn("docker-compose", "docker-buildx");
    const yard = new Yard(dir, authority, engine, upstreams, tokens);
    await Promise.all([yard.#internet.start(), tokens.start(), ...upstreams.map((each) => each.start())]);
    return yard;
  }

  /** A docker command that must succeed. */
  async docker(...args: string[]): Promise<string> {
    const ran = await this.engine.docker(args);
    if (ran.code !== 0) throw new Error(`docker ${args.join(" ")}: ${outcome(ran)}`);
    return ran.out;
  }

  async stop(): Promise<void> {
    await this.engine.stop();
    await Promise.all([this.#internet, this.#tokens, this.ghcr, this.gitlab, this.hub, this.guarded].map((each) => each.stop()));
    await rm(this.dir, { recursive: true, force: true });
  }
}

export class Project {
  readonly #yard: Yard;
  readonly #file: string;
  readonly #override: string;

  private constructor(yard: Yard, file: string, override: string) {
    this.#yard = yard;
    this.#file = file;
    this.#override = override;
  }

  /** The file as it stands. What differs is what this world's internet is: its resolver, the CA of its registries, images to build on. */
  static async make(yard: Yard, file: string): Promise<Project> {
    const trusted = { volumes: [`${yard.authority.certificate}:/public-ca.pem:ro`] };
    const services = {
      layover: { ...trusted, build: BUILD, environment: { LAYOVER_TRUST: "/public-ca.pem" } },
      builder: { ...trusted, environment: { SSL_CERT_FILE: "/public-ca.pem" } },
    };
    const override = `${yard.dir}/${file}.lab.json`;
    await writeFile(override, JSON.stringify({ services }));
    return new Project(yard, `${COMPOSE}/${file}`, override);
  }

  /** Any docker compose command. */
  async run(...args: string[]): Promise<Ran> {
    return this.#compose(args);
  }

  #compose(args: readonly string[], input?: string): Promise<Ran> {
    const files = ["-f", this.#file, "-f", this.#override];
    const env = { LAYOVER_IMAGE, BUILDER_IMAGE, LAYOVER_RESOLVERS: RESOLVER };
    return this.#yard.engine.docker(["compose", "--progress=quiet", ...files, ...args], undefined, 150_000, env, input);
  }

  async must(...args: string[]): Promise<string> {
    const ran = await this.run(...args);
    if (ran.code === 0) return ran.out;
    throw new Error(`docker compose ${args.join(" ")}: ${outcome(ran)}\n${await this.explain()}`);
  }

  /** Builds Layover's image as the file says. Not by `docker compose build`, which refuses a buildx that knows no version of its own. */
  async build(): Promise<void> {
    const { services } = await this.#config();
    const { context, dockerfile, args, additional_contexts: contexts } = services.layover.build;
    const pairs = (option: string, map: Record<string, string>) =>
      Object.entries(map).flatMap(([key, value]) => [option, `${key}=${value}`]);
    const parts = [...pairs("--build-arg", args), ...pairs("--build-context", contexts)];
    await build(this.#yard.engine, "-f", resolve(context, dockerfile), ...parts, "-t", services.layover.image, context);
  }

  /** What all of it said last. */
  async explain(): Promise<string> {
    return (await this.run("logs", "--no-color", "--tail=60")).out;
  }

  /** Everything up and healthy. */
  async up(builders: number): Promise<void> {
    await this.must("up", "-d", "--wait", "--wait-timeout=90", `--scale=builder=${builders}`);
  }

  /** docker in a builder, counted from 1. */
  builder(index: number, ...args: string[]): Promise<Ran> {
    return this.run("exec", "-T", `--index=${index}`, "builder", "docker", ...args);
  }

  /** A program in a service's first container. */
  exec(service: string, ...argv: string[]): Promise<Ran> {
    return this.run("exec", "-T", service, ...argv);
  }

  /** The same with the standard input given. */
  async feed(input: string, service: string, ...argv: string[]): Promise<Ran> {
    return this.#compose(["exec", "-T", service, ...argv], input);
  }

  /** What inside.ts finds in Layover's container. */
  async inside(): Promise<Record<string, unknown>> {
    const script = await readFile(new URL("inside.ts", import.meta.url), "utf8");
    return JSON.parse(await this.must("exec", "-T", "layover", "node", "--input-type=module-typescript", "-e", script));
  }

  /** A field of Layover's container, as docker inspect writes it. */
  async inspect(template: string): Promise<string> {
    const id = (await this.must("ps", "--all", "--quiet", "layover")).trim();
    return (await this.#yard.docker("inspect", "-f", template, id)).trim();
  }

  async name(): Promise<string> {
    return (await this.#config()).name;
  }

  async down(): Promise<void> {
    await this.must("down", "--volumes", "--timeout=10");
  }

  async #config(): Promise<Config> {
    return JSON.parse(await this.must("config", "--format=json")) as Config;
  }
}

type Build = {
  context: string;
  dockerfile: string;
  args: Record<string, string>;
  additional_contexts: Record<string, string>;
};
type Config = { name: string; services: { layover: { image: string; build: Build } } };
