// What the tests ask of every client, and the place that each one works in, here and where it is recorded: a namespace with its
// own DNS, certs.d and home.
// A driver says how one client does it; it knows nothing of Layover, and works on any network.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { builder, type Network, PATH, wayOut } from "../engine.ts";
import type { Image } from "../image.ts";
import { must, type Options, Part, type Ran, run } from "../part.ts";
import { USERS } from "../tokens.ts";
import { ofContainersImage } from "./mirrors.ts";

/** Each of these fails with what the client said. */
export type Client = {
  /** Pulls for this machine's platform; gives the digest that the client says it holds, the index's or the manifest's. */
  pull(reference: string): Promise<string>;
  /** Pushes an image that is nowhere yet, or what the client makes of it; gives the digest that it says it has pushed. */
  push?(image: Image, reference: string): Promise<string>;
  /** From now on it acts as this user; `secret` in place of their password. */
  login(user: string, host: string, secret?: string): Promise<void>;
  /** From now on it acts as nobody. */
  logout?(host: string): Promise<void>;
  /** Pushes a small artifact of a type that refers to an image; gives its digest. */
  attach?(reference: string, type: string): Promise<string>;
  /** The digests of what refers to an image, of one type or of all. */
  referrers?(reference: string, type?: string): Promise<string[]>;
  stop(): Promise<void>;
};

/** Brings a pristine client (or builder) up in an empty folder. */
export type Start<T = Client> = (dir: string, network: Network) => Promise<T>;

const DIGEST = /sha256:[0-9a-f]{64}/;

/** The first digest in what a client printed. */
export const digestIn = (text: string): string => {
  const [digest] = DIGEST.exec(text) ?? [];
  if (!digest) throw new Error(`no digest in: ${text}`);
  return digest;
};

export const password = (user: string): string => USERS[user] ?? "";

/** `--creds alice:…`, or nothing for nobody. */
export const creds = (flag: string, user?: string): string[] => (user === undefined ? [] : [flag, `${user}:${password(user)}`]);

export class Place {
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #enter: readonly string[];
  #files = 0;

  private constructor(dir: string, enter: readonly string[], env: Record<string, string>) {
    this.dir = dir;
    this.env = env;
    this.#enter = enter;
  }

  /** `roots` is what stands in for the machine's own store: the public CA alone, or with it the CA of `network`. */
  static async make(dir: string, network: Network, roots: "public" | "both" = "public"): Promise<Place> {
    const home = `${dir}/home`;
    const config = `${home}/.docker`;
    const trusted = [network.publicCa, ...(roots === "both" && network.ca ? [network.ca.certificate] : [])];
    await mkdir(config, { recursive: true });
    await writeFile(`${config}/config.json`, "{}"); // some look for it because it is named
    await writeFile(`${dir}/roots.pem`, (await Promise.all(trusted.map((file) => readFile(file, "utf8")))).join("\n"));
    const path = `${process.env["LAYOVER_LAB"]}/bin:${PATH}`;
    const told = { ...(await ofContainersImage(dir, network)), ...wayOut(network) };
    const env = { PATH: path, HOME: home, TMPDIR: dir, SSL_CERT_FILE: `${dir}/roots.pem`, DOCKER_CONFIG: config, ...told };
    // podman, buildah and skopeo remember there, for each other, which repository has which blob
    await mkdir(`${dir}/containers`);
    const own = ["sh", "-c", 'mount --bind "$1" /var/lib/containers && shift && exec "$@"', "own", `${dir}/containers`];
    return new Place(dir, [...(await builder(dir, network)), ...own], env);
  }

  /** Where a daemon of this place listens. */
  get socket(): string {
    return `${this.dir}/s`;
  }

  /** A path where nothing is yet. */
  fresh(): string {
    return `${this.dir}/f${++this.#files}`;
  }

  /** An OCI layout that holds an image as `v1`. */
  async layout(image: Image): Promise<string> {
    const folder = `${this.dir}/layout-${image.manifest.digest.slice(7, 13)}`;
    await image.layout(folder, "v1");
    return folder;
  }

  /** An image as `docker save` writes it, under a name. */
  async archive(image: Image, reference: string): Promise<string> {
    const file = this.fresh();
    await image.save(file, reference);
    return file;
  }

  /** Runs a command there. */
  run(argv: readonly string[], options?: Options): Promise<Ran> {
    return run([...this.#enter, ...argv], this.#inside(options));
  }

  /** The same where anything but success is an error; gives what the command printed. */
  must(argv: readonly string[], options?: Options): Promise<string> {
    return must([...this.#enter, ...argv], this.#inside(options));
  }

  /** Starts a daemon there, which answers `ready` with success. */
  daemon(argv: readonly string[], ready: readonly string[]): Promise<Part> {
    const answers = async () => (await this.run(ready, { ms: 5_000 })).code === 0;
    return Part.start(argv[0]!, [...this.#enter, ...argv], `${this.dir}/log`, answers, this.#inside());
  }

  #inside(options: Options = {}): Options {
    return { cwd: this.dir, ...options, env: { ...this.env, ...options.env } };
  }
}
