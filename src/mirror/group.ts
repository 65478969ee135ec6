// A command of the administrator's as a process group of its own: in time it ends, with all that it has started, and whoever waits for it
// is let go even where something of it cannot be ended. Only the last of what it says is kept.
import { type ChildProcess, spawn } from "node:child_process";
import { plainText } from "../lib/plain-text.ts";

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  /** The whole of it: nothing of our own is added. */
  readonly env: Readonly<Record<string, string>>;
  /** For its standard input, which need not be read. */
  readonly input: string;
}

export interface Ended {
  /** What both of its outputs said, as it came. */
  readonly output: string;
  /** `undefined`: it ended with 0. For people. */
  readonly why: string | undefined;
}

/** Bytes. */
const MAX_OUTPUT = 16 * 1024;
/** From being told to end to being ended. Milliseconds. */
const FAREWELL = 5_000;
/** What it has started may hold its outputs open for so long after it, or what cannot be ended keep us. Milliseconds. */
const LINGER = 1_000;

/** `timeout` in milliseconds. Never rejects. */
export const runGroup = (command: Command, timeout: number, signal: AbortSignal): Promise<Ended> =>
  new Promise((resolve) => {
    const said = new Tail();
    let why: string | undefined;
    let isStopped = false;
    const child = start(command);
    if (child instanceof Error) return resolve({ output: "", why: unstarted(child, command.program) });
    const timers = new Set<NodeJS.Timeout>();
    const after = (ms: number, act: () => void) => timers.add(setTimeout(act, ms));
    const end = () => {
      for (const timer of timers) clearTimeout(timer);
      signal.removeEventListener("abort", leave);
      child.stdin?.destroy();
      child.stdout?.destroy();
      child.stderr?.destroy();
      resolve({ output: said.text, why });
    };
    const stop = (reason: string) => {
      if (isStopped) return;
      isStopped = true;
      why = reason;
      kill(child, "SIGTERM");
      after(FAREWELL, () => {
        kill(child, "SIGKILL");
        after(LINGER, end);
      });
    };
    const leave = () => stop("it was stopped: nobody waits for it any more");
    after(timeout, () => stop(`it took more than ${timeout / 1_000} s`));
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (bytes: Buffer) => said.add(bytes));
      stream?.on("error", () => undefined);
    }
    child.once("error", (error: NodeJS.ErrnoException) => {
      why ??= unstarted(error, command.program);
      end();
    });
    child.once("exit", (status, killedBy) => {
      if (status !== 0) why ??= status === null ? `it was ended by ${killedBy}` : `it ended with ${status}`;
      // one that was told to end may still be at it
      if (isStopped) return;
      after(LINGER, () => {
        kill(child, "SIGKILL");
        end();
      });
    });
    child.once("close", () => {
      // one that was told to end leaves nobody behind, also none that has no part in its outputs
      if (isStopped) kill(child, "SIGKILL");
      end();
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(command.input);
  });

/** What Node throws at once it gives as well: a NUL in an argument, for one. */
const start = ({ program, args, env }: Command): ChildProcess | Error => {
  try {
    return spawn(program, args, { env, stdio: "pipe", detached: true });
  } catch (error) {
    return error as Error;
  }
};

const START_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such program",
  EACCES: "this user may not run it",
  E2BIG: "its arguments are too long",
};

const unstarted = ({ code = "", message }: NodeJS.ErrnoException, program: string): string =>
  `${program} cannot be started: ${START_ERRORS[code] ?? message}`;

const kill = ({ pid }: ChildProcess, how: "SIGTERM" | "SIGKILL"): void => {
  try {
    if (pid !== undefined) process.kill(-pid, how);
  } catch {
    // all of it has ended
  }
};

/** The last bytes of a stream. */
class Tail {
  readonly #chunks: Buffer[] = [];
  #size = 0;

  add(bytes: Buffer): void {
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    while (this.#size - this.#chunks[0]!.length >= MAX_OUTPUT) this.#size -= this.#chunks.shift()!.length;
  }

  get text(): string {
    return plainText(Buffer.concat(this.#chunks).subarray(-MAX_OUTPUT).toString());
  }
}
