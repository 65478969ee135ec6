// Layover itself, as its users start it: DNS on 127.0.0.4, TLS and the plain HTTP door on 10.77.0.3.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { DNS as INTERNET } from "./internet.ts";
import { Part, type Ran, run } from "./part.ts";
import { until } from "./until.ts";

export const DNS = "127.0.0.4";
export const ADDRESS = "10.77.0.3";

export const SCRIPT = new URL("../../scripts/layover.mjs", import.meta.url).pathname;

/** Whether a page of the HTTP door says 200. */
const says200 = async (page: string): Promise<boolean> => {
  const response = await fetch(`http://${ADDRESS}${page}`, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  await response?.body?.cancel();
  return response?.status === 200;
};

export class Layover {
  readonly certificate: string;
  readonly #dir: string;
  readonly #trust: string;
  #part: Part | undefined;

  constructor(dir: string, trust: string) {
    this.#dir = dir;
    this.#trust = trust;
    this.certificate = `${dir}/certs/ca.crt`;
  }

  /** Starts it and waits until it is ready, every site with these `defaults`; what it held before, it holds again. */
  async start(
    defaults: Record<string, unknown> = {},
    more: Record<string, unknown> = {},
    env: Record<string, string> = {},
  ): Promise<void> {
    await mkdir(this.#dir, { recursive: true });
    const config = `${this.#dir}/layover.yaml`;
    await writeFile(config, JSON.stringify({ ...this.#settings(), defaults, ...more }, undefined, 2)); // JSON is YAML
    const argv = [process.execPath, SCRIPT, "serve", "--config", config];
    this.#part = await Part.start("layover", argv, `${this.#dir}/log`, () => this.ready(), { cwd: this.#dir, env });
  }

  /** One of its commands, as whoever runs the machine would give it. */
  command(...args: string[]): Promise<Ran> {
    return run([process.execPath, SCRIPT, ...args, "--config", `${this.#dir}/layover.yaml`], { cwd: this.#dir });
  }

  get data(): string {
    return `${this.#dir}/data`;
  }

  ready(): Promise<boolean> {
    return says200("/readyz");
  }

  live(): Promise<boolean> {
    return says200("/livez");
  }

  get parent(): Part {
    if (!this.#part) throw new Error("Layover was never started");
    return this.#part;
  }

  /** The front end's process: the parent's only child. */
  async front(): Promise<number | undefined> {
    const { pid } = this.parent;
    const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
    const [child] = text.split(" ").filter(Boolean);
    return child === undefined ? undefined : Number(child);
  }

  /** Kills the front end and whatever comes back in its place, for `ms` at most, until the function it gives is called. */
  keepFrontAway(ms = 60_000): () => Promise<void> {
    const deadline = Date.now() + ms;
    let over = false;
    const killing = (async () => {
      while (!over && Date.now() < deadline) {
        const front = await this.front();
        if (front !== undefined && !(await gone(front))) process.kill(front, "SIGKILL");
        await sleep(10);
      }
    })();
    return () => {
      over = true;
      return killing;
    };
  }

  /** Kills every process of it at once, as a power cut would. */
  async crash(): Promise<void> {
    const front = await this.front();
    this.parent.kill("SIGSTOP"); // so that it starts no other front end
    if (front !== undefined) process.kill(front, "SIGKILL");
    this.parent.kill("SIGKILL");
    await this.parent.exited;
    if (front !== undefined) await until("the front end to be gone", 5_000, () => gone(front));
  }

  /** As from the keyboard, which waits for nobody who may still come. */
  async stop(signal: NodeJS.Signals = "SIGINT"): Promise<void> {
    await this.#part?.stop(signal);
  }

  tail(lines?: number): string {
    return this.#part?.tail(lines) ?? "";
  }

  #settings() {
    return {
      listen: { dns: [`${DNS}:53`], https: [`${ADDRESS}:443`], http: [`${ADDRESS}:80`], admin: `${ADDRESS}:9180` },
      answer: ADDRESS,
      resolvers: [INTERNET],
      data: `${this.#dir}/data`,
      ca: { certificate: this.certificate, key: `${this.#dir}/keys/ca.key` },
      trust: this.#trust,
      log: { level: "info", format: "json" },
    };
  }
}

/** Whether a process has ended; one that nobody has reaped yet has. */
export const gone = async (pid: number): Promise<boolean> => {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return stat === "" || /\) [ZX] /.test(stat);
};
