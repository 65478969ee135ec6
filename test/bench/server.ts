// One server under test: how it is started, where it is asked, what it costs.
import { setTimeout as sleep } from "node:timers/promises";
import { must, Part } from "../e2e/part.ts";
import { tree } from "./processes.ts";

export type Name = "layover" | "nginx" | "distribution" | "docker-registry" | "dnsmasq" | "direct";

/** What speaks TLS on `address` as the registry, trusted through `certificate`. */
export type Door = { readonly name: Name; readonly address: string; readonly certificate: string };

/** Output goes straight into the log, so that this process does not work for the server. */
const INTO_LOG = ["sh", "-c", 'log=$0; exec "$@" >>"$log" 2>&1'];
/** How finely a start is watched. */
const LOOK_EVERY = 5;

export abstract class Server {
  abstract readonly name: Name;
  protected abstract readonly log: string;
  protected abstract readonly argv: readonly string[];
  protected readonly env: Record<string, string> = {};
  #part: Part | undefined;

  /** Whether it answers as it should; what is asked must not change what it holds. */
  protected abstract answers(): Promise<boolean>;

  /** Starts it; gives the seconds from spawn to its first right answer. */
  async start(): Promise<number> {
    const began = performance.now();
    let readyAt = 0;
    const promptly = async () => {
      while (performance.now() - began < 20_000) {
        if (await this.answers().catch(() => false)) {
          readyAt = performance.now();
          return true;
        }
        await sleep(LOOK_EVERY);
      }
      return false;
    };
    const argv = [...INTO_LOG, this.log, ...this.argv];
    this.#part = await Part.start(this.name, argv, this.log, promptly, { env: this.env, ms: 1_000 });
    return (readyAt - began) / 1_000;
  }

  async stop(): Promise<void> {
    await this.#part?.stop("SIGTERM");
  }

  get pid(): number {
    if (this.#part === undefined || this.#part.ended) throw new Error(`${this.name} does not run`);
    return this.#part.pid;
  }

  tail(): string {
    return this.#part?.tail(10) ?? "";
  }

  /** Leaves it these cores alone, as taskset writes them. */
  async pin(cores: string): Promise<void> {
    for (const pid of await tree(this.pid)) await must(["taskset", "-a", "-c", "-p", cores, String(pid)]);
  }
}
