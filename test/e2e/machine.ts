// A client's machine as it is before anybody has set it up: its own /etc, /usr/local/share and /var/lib, the public CA in the system's
// store, and the internet's DNS. What a set-up does to it, real programs then find where they always look.
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { snapshot } from "../setup/host.ts";
import { PATH } from "./engine.ts";
import { must, type Options, Part, type Ran, run } from "./part.ts";

const ENTER =
  'for place in etc usr/local/share var/lib; do mount --bind "$1/$place" "/$place" || exit 1; done; cd "$1"; shift; exec "$@"';

export class Machine {
  readonly dir: string;
  readonly #enter: readonly string[];
  readonly #parts: Part[] = [];
  #before: Record<string, string> = {};
  #files = 0;

  private constructor(dir: string) {
    this.dir = dir;
    this.#enter = ["unshare", "-m", "sh", "-c", ENTER, "machine", dir];
  }

  /** In a folder of its own; to be copied rather than used. */
  static async make(dir: string, dns: string, publicCa: string): Promise<Machine> {
    for (const place of ["usr/local/share/ca-certificates", "var/lib", "tmp", "home"])
      await mkdir(`${dir}/${place}`, { recursive: true });
    await must(["cp", "-a", "/etc", `${dir}/etc`]);
    for (const place of ["docker", "containerd/config.toml", "resolv.conf"])
      await rm(`${dir}/etc/${place}`, { recursive: true, force: true });
    await mkdir(`${dir}/etc/docker`);
    await writeFile(`${dir}/etc/resolv.conf`, `search lab.example\nnameserver ${dns}\n`);
    const machine = new Machine(dir);
    await copyFile(publicCa, `${dir}/usr/local/share/ca-certificates/public.crt`);
    await machine.must(["update-ca-certificates"]);
    return machine;
  }

  /** Another one like it. */
  async copy(dir: string): Promise<Machine> {
    await must(["cp", "-a", this.dir, dir]);
    const machine = new Machine(dir);
    machine.#before = machine.#look();
    return machine;
  }

  /** A path where nothing is yet. */
  fresh(): string {
    return `${this.dir}/tmp/f${++this.#files}`;
  }

  run(argv: readonly string[], options: Options = {}): Promise<Ran> {
    return run([...this.#enter, ...argv], this.#inside(options));
  }

  must(argv: readonly string[], options: Options = {}): Promise<string> {
    return must([...this.#enter, ...argv], this.#inside(options));
  }

  /** A daemon that is there when `ready` succeeds, until the machine is switched off. */
  async daemon(argv: readonly string[], ready: readonly string[]): Promise<void> {
    const answers = async () => (await this.run(ready, { ms: 5_000 })).code === 0;
    const name = argv[0]!.slice(argv[0]!.lastIndexOf("/") + 1);
    this.#parts.push(
      await Part.start(name, [...this.#enter, ...argv], `${this.dir}/${name}.log`, answers, this.#inside({ ms: 60_000 })),
    );
  }

  /** What is other than it was before anybody set it up. */
  changes(): string[] {
    const now = this.#look();
    const names = new Set([...Object.keys(now), ...Object.keys(this.#before)]);
    return [...names].filter((name) => now[name] !== this.#before[name]).toSorted();
  }

  read(path: string): Promise<string> {
    return readFile(`${this.dir}${path}`, "utf8");
  }

  async stop(): Promise<void> {
    await Promise.all(this.#parts.map((part) => part.stop()));
    await rm(this.dir, { recursive: true, force: true });
  }

  #look(): Record<string, string> {
    const places = ["etc", "usr", "var/lib"] as const;
    const all = places.flatMap((place) =>
      Object.entries(snapshot(`${this.dir}/${place}`)).map(([name, what]) => [`/${place}/${name}`, what] as const),
    );
    // what daemons write there for themselves
    return Object.fromEntries(all.filter(([name]) => !/^\/etc\/docker\/key\.json$|^\/var\/lib\/(?!layover)/.test(name)));
  }

  #inside(options: Options): Options {
    const path = `${process.env["LAYOVER_LAB"]}/bin:${PATH}`;
    const own = { PATH: path, HOME: `${this.dir}/home`, TMPDIR: `${this.dir}/tmp`, DOCKER_MIN_API_VERSION: "1.24" };
    return { ...options, env: { ...own, ...options.env } };
  }
}
