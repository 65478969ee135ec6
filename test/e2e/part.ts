// Processes: commands that end, and parts of the world that stay until they are stopped. Each is ended by its own pid.
import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream, readFileSync } from "node:fs";
import { until } from "./until.ts";

export type Ran = { code: number | null; out: string; err: string; ms: number };
export type Options = { env?: Record<string, string>; cwd?: string; ms?: number; input?: string };

/** Runs a command to its end, or kills it after `ms`; a code other than 0 is a result, not an error. */
export const run = (argv: readonly string[], { env = {}, cwd, ms = 90_000, input }: Options = {}): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const began = Date.now();
    const child = spawn(argv[0]!, argv.slice(1), {
      env: { ...process.env, ...env },
      ...(cwd && { cwd }),
      timeout: ms,
      killSignal: "SIGKILL",
    });
    let out = "";
    let err = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    child.stdin.on("error", () => {}); // it may end without reading
    child.stdin.end(input ?? "");
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err, ms: Date.now() - began }));
  });

/** The same where anything but success is an error; gives what the command printed. */
export const must = async (argv: readonly string[], options: Options = {}): Promise<string> => {
  const { code, out, err, ms } = await run(argv, options);
  if (code !== 0) throw new Error(`${argv.join(" ")}: exit ${code} after ${ms} ms\n${err}${out}`);
  return out;
};

/** "success", or what a command said when it failed: one value to expect, and to read when it is not the expected one. */
export const outcome = ({ code, out, err }: Ran): string => (code === 0 ? "success" : `exit ${code}: ${err}${out}`);

/** A process that stays. */
export class Part {
  readonly name: string;
  readonly log: string;
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;

  private constructor(name: string, log: string, child: ChildProcess) {
    this.name = name;
    this.log = log;
    this.#child = child;
    this.exited = new Promise((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
  }

  /** Starts it, its output into the file `log`, and waits until `ready` gives true or it has ended. */
  static async start(
    name: string,
    argv: readonly string[],
    log: string,
    ready: () => Promise<boolean>,
    { env = {}, cwd, ms = 30_000 }: Options = {},
  ) {
    const child = spawn(argv[0]!, argv.slice(1), {
      env: { ...process.env, ...env },
      ...(cwd && { cwd }),
      stdio: ["ignore", "pipe", "pipe"],
    });
    const part = new Part(name, log, child);
    const file = createWriteStream(log, { flags: "a" });
    child.stdout.pipe(file, { end: false });
    child.stderr.pipe(file, { end: false });
    child.once("close", () => file.end());
    child.once("error", (error) => file.write(`${error}\n`));
    try {
      await until(`${name} to be ready`, ms, async () => part.ended || (await ready()));
      if (part.ended) throw new Error(`${name} ended at once`);
    } catch (error) {
      await part.stop("SIGKILL");
      throw new Error(`${name} did not start:\n${part.tail()}`, { cause: error });
    }
    return part;
  }

  get pid(): number {
    if (this.#child.pid === undefined) throw new Error(`${this.name} never ran`);
    return this.#child.pid;
  }

  get ended(): boolean {
    return this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  kill(signal: NodeJS.Signals): void {
    if (!this.ended) process.kill(this.pid, signal);
  }

  /** Asks it to end, and kills it after `ms`. */
  async stop(signal: NodeJS.Signals = "SIGTERM", ms = 15_000): Promise<void> {
    if (this.ended) return;
    this.kill("SIGCONT");
    this.kill(signal);
    const timer = setTimeout(() => this.kill("SIGKILL"), ms);
    await this.exited;
    clearTimeout(timer);
  }

  tail(lines = 40): string {
    return readFileSync(this.log, "utf8").split("\n").slice(-lines).join("\n");
  }
}
