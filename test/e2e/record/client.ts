// What a client is told to do while it is recorded. Its command lines come from a table, and are run one after the other.
import { mkdir, readlink, writeFile } from "node:fs/promises";
import type { Pushed } from "../../traffic/content.ts";
import { Place } from "../clients/client.ts";
import type { Network } from "../engine.ts";
import { must, outcome, type Ran, run } from "../part.ts";
import { USERS } from "../tokens.ts";

export type Command = readonly string[];
/** What was done, for the record: the last command, which is the one that asks the registry. */
export type Done = { readonly command: string; readonly ran: Ran };

/** What the recorded registry holds, by how it is asked for. */
export interface Names {
  /** An image of one platform, and its repository. */
  readonly app: string;
  readonly repository: string;
  readonly index: string;
  /** A repository that nobody has pushed to yet. */
  readonly fresh: string;
}

export interface Client {
  readonly version: string;
  readonly pull: (reference: string, user?: string) => Promise<Done>;
  /** Undefined where it cannot. */
  readonly push: ((what: Pushed, reference: string, user?: string) => Promise<Done>) | undefined;
  /** Pushes what it holds, or another repository of the same registry. */
  readonly copy: ((from: string, to: string) => Promise<Done>) | undefined;
  /** Undefined where it says who it is with each command. */
  readonly login: ((user: string, host: string) => Promise<Done>) | undefined;
  /** What else it can do that asks a registry. */
  readonly extras: Readonly<Record<string, () => Promise<Done>>>;
  /** Where its downloads of a large blob are torn: bytes into one of its requests. */
  readonly tearAt?: number;
  /** From now on it holds no image. */
  readonly forget: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

export type Start = (dir: string, network: Network, names: Names) => Promise<Client>;

/** The command lines of one tool. */
export interface Tool {
  /** The command whose version is what matters. */
  readonly command: string;
  readonly pull: (reference: string, user?: string) => Promise<readonly Command[]>;
  readonly push?: (what: Pushed, reference: string, user?: string) => Promise<readonly Command[]>;
  readonly copy?: (from: string, to: string) => Promise<readonly Command[]>;
  readonly login?: (user: string, host: string) => Promise<readonly Command[]>;
  readonly extras?: (names: Names) => Promise<Readonly<Record<string, readonly Command[]>>>;
  readonly tearAt?: number;
  readonly forget?: readonly Command[];
  readonly stop?: () => Promise<void>;
}

/** Where a tool works. */
export class Bench {
  readonly place: Place;
  readonly #enter: Command;

  private constructor(place: Place, enter: Command) {
    this.place = place;
    this.#enter = enter;
  }

  static async make(dir: string, network: Network): Promise<Bench> {
    const place = await Place.make(dir, network);
    const config = place.env["DOCKER_CONFIG"]!;
    await mkdir(config, { recursive: true });
    await writeFile(`${config}/config.json`, "{}"); // some look for it because it is named
    // podman, buildah and skopeo remember there, for each other, which repository has which blob
    await mkdir(`${dir}/containers`);
    const own = ["sh", "-c", 'mount --bind "$1" /var/lib/containers && shift && exec "$@"', "own", `${dir}/containers`];
    return new Bench(place, [...place.enter, ...own]);
  }

  get dir(): string {
    return this.place.dir;
  }

  run(argv: Command): Promise<Ran> {
    return run([...this.#enter, ...argv], { env: this.place.env, cwd: this.dir });
  }

  /** Runs all of them; only the last may fail. */
  async all(commands: readonly Command[]): Promise<Done> {
    for (const argv of commands.slice(0, -1)) await this.must(argv);
    const last = commands.at(-1)!;
    return { command: this.#typed(last), ran: await this.run(last) };
  }

  async must(argv: Command): Promise<void> {
    const ran = await this.run(argv);
    if (ran.code !== 0) throw new Error(`${argv.join(" ")}: ${outcome(ran)}`);
  }

  /** An OCI layout that holds an image as `v1`. */
  async layout({ image }: Pushed): Promise<string> {
    const folder = `${this.dir}/layout-${image.manifest.digest.slice(7, 13)}`;
    await image.layout(folder, "v1");
    return folder;
  }

  /** An image as `docker save` writes it, under a name. */
  async archive({ image }: Pushed, reference: string): Promise<string> {
    const file = this.place.fresh();
    await image.save(file, reference);
    return file;
  }

  /** As a reader would type it. */
  #typed(argv: Command): string {
    const text = argv.map((word) => word.replaceAll(this.dir, "$DIR")).join(" ");
    return Object.entries(USERS).reduce((told, [user, password]) => told.replaceAll(password, `<${user}'s>`), text);
  }
}

/** Of what the lab has built, by where its link leads; of Debian's packages, as they say it. */
export const versionOf = async (command: string): Promise<string> => {
  const link = await readlink(`${process.env["LAYOVER_LAB"]}/bin/${command}`).catch(() => "");
  const [, version] = /@([^/]+)/.exec(link) ?? [];
  return version === undefined ? (await must([command, "--version"])).trim() : `${command} ${version}`;
};

export const tool =
  (make: (bench: Bench) => Tool | Promise<Tool>): Start =>
  async (dir, network, names) => {
    const bench = await Bench.make(dir, network);
    const { command, pull, push, copy, login, extras, forget = [], tearAt, stop } = await make(bench);
    const more = Object.entries((await extras?.(names)) ?? {});
    return {
      version: await versionOf(command),
      pull: async (reference, user) => bench.all(await pull(reference, user)),
      push: push && (async (what, reference, user) => bench.all(await push(what, reference, user))),
      copy: copy && (async (from, to) => bench.all(await copy(from, to))),
      login: login && (async (user, host) => bench.all(await login(user, host))),
      extras: Object.fromEntries(more.map(([scenario, commands]) => [scenario, () => bench.all(commands)])),
      ...(tearAt !== undefined && { tearAt }),
      forget: async () => {
        for (const argv of forget) await bench.must(argv);
      },
      stop: async () => stop?.(),
    };
  };

/** `--creds alice:…`, or nothing for nobody. */
export const creds = (flag: string, user?: string): Command => (user === undefined ? [] : [flag, `${user}:${USERS[user]}`]);
