// The far side of an air gap: a network with nothing in it but a second Layover, which has never reached any registry.
import { mkdir, writeFile } from "node:fs/promises";
import type { Network } from "./engine.ts";
import { SCRIPT } from "./layover.ts";
import { must, Part, type Ran, run } from "./part.ts";

const NAME = "far";
const ADDRESS = "10.99.0.3";

export class Far {
  readonly dir: string;
  #part: Part | undefined;

  private constructor(dir: string) {
    this.dir = dir;
  }

  /** Its sites are offline, and open to all who reach it: nobody could be asked. */
  static async make(dir: string, hosts: readonly string[]): Promise<Far> {
    await must(["ip", "netns", "add", NAME]);
    await must(["ip", "-n", NAME, "link", "set", "lo", "up"]);
    await must(["ip", "-n", NAME, "address", "add", `${ADDRESS}/32`, "dev", "lo"]);
    await mkdir(dir, { recursive: true });
    const settings = {
      listen: { dns: [`${ADDRESS}:53`], https: [`${ADDRESS}:443`], http: [`${ADDRESS}:80`], admin: `${ADDRESS}:9180` },
      answer: ADDRESS,
      resolvers: [`${ADDRESS}:9`],
      sites: Object.fromEntries(hosts.map((host) => [host, { offline: true, access: "shared" }])),
    };
    await writeFile(`${dir}/layover.yaml`, JSON.stringify(settings));
    return new Far(dir);
  }

  async start(): Promise<void> {
    const ready = async () => (await this.#inside("curl", "-fsS", "--max-time", "2", `http://${ADDRESS}/readyz`)).code === 0;
    this.#part = await Part.start("far layover", [...ENTER, ...this.argv("serve")], `${this.dir}/log`, ready, { cwd: this.dir });
  }

  /** One of its commands; there, it is to be entered first (`ENTER`). */
  argv(...args: string[]): string[] {
    return [process.execPath, SCRIPT, ...args, "--config", `${this.dir}/layover.yaml`];
  }

  command(...args: string[]): Promise<Ran> {
    return this.#inside(...this.argv(...args));
  }

  #inside(...argv: string[]): Promise<Ran> {
    return run([...ENTER, ...argv], { cwd: this.dir });
  }

  /** What a builder in it is set up with. */
  around(hosts: readonly string[], publicCa: string): Network {
    return { dns: ADDRESS, ca: { certificate: `${this.dir}/certs/ca.crt`, hosts }, publicCa, netns: NAME };
  }

  tail(): string {
    return this.#part?.tail() ?? "";
  }

  async stop(): Promise<void> {
    await this.#part?.stop("SIGINT");
    await run(["ip", "netns", "delete", NAME]);
  }
}

export const ENTER = ["nsenter", `--net=/run/netns/${NAME}`];
