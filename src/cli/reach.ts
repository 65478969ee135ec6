// What a command asks: the server that the configuration or --server names; with none, the store alone. Decides the exit status:
// 0 good, 1 something was wrong, 2 wrong usage or configuration, 3 nobody could be reached.
import type { Command } from "commander";
import type { WithContent } from "../admin/content.ts";
import type { AdminError } from "../admin/error.ts";
import type { Call, Operations } from "../admin/operations.ts";
import type { Server } from "../admin/remote.ts";
import type { Config } from "../config/config.ts";
import { plainText } from "../lib/plain-text.ts";

export interface ReachOptions {
  readonly config?: string;
  readonly server?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

export const reachable = (command: Command): Command =>
  command
    .option("-c, --config <file>", "default: LAYOVER_CONFIG, else ./layover.yaml")
    .option("--server <url>", "ask the Layover there rather than the one of the configuration")
    .option("--token-file <file>", "its admin token; or LAYOVER_ADMIN_TOKEN (default: admin.token in the data folder)")
    .option("--json", "for programs");

/** What is printed as it is, and ends the command. */
export class Failure extends Error {
  readonly exit: number;

  constructor(exit: number, message: string) {
    super(message);
    this.name = "Failure";
    this.exit = exit;
  }
}

/** What can be asked, and the bytes of bundles. */
export type Asked = Operations & WithContent;

interface Reached<N extends keyof Asked> {
  readonly operations: Pick<Asked, N>;
  close(): Promise<void>;
}

interface Reaching<N extends keyof Asked> {
  /** What does where no server runs; false: nothing does. */
  readonly alone?: false | ((config: Config) => Promise<Reached<N>>);
  /** What does then does as well where a server is silent for so long, in ms, or no admin listener; else that is a failure. */
  readonly within?: number;
}

/** Runs `work`, which gives the exit status (0 by default). Never rejects: what goes wrong is told on stderr. A Ctrl-C stops it. */
export const ask = async <N extends keyof Asked = keyof Asked>(
  options: ReachOptions,
  work: (operations: Pick<Asked, N>, call: Pick<Call, "signal">) => Promise<number | undefined>,
  reaching: Reaching<N> = {},
): Promise<void> => {
  const stop = new AbortController();
  const stopped = (signal: NodeJS.Signals) => stop.abort(new Failure(signal === "SIGINT" ? 130 : 143, "stopped"));
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stopped);
  // whoever reads our output has read enough, as head does
  process.stdout.on("error", ({ code }: NodeJS.ErrnoException) => process.exit(code === "EPIPE" ? 0 : 1));
  // work that waits for what runs in the background would else let the process end in its middle
  const alive = setInterval(() => undefined, 60_000);
  try {
    const reached = await reach(options, reaching, stop.signal);
    if (reached === undefined) return;
    try {
      process.exitCode = (await work(reached.operations, { signal: stop.signal })) ?? 0;
    } finally {
      await reached.close();
    }
  } catch (error) {
    const { exit, message } = await failureOf(stop.signal.aborted ? stop.signal.reason : error);
    // a bundle's names and an upstream's words among it
    process.stderr.write(`layover: ${plainText(message)}\n`);
    process.exitCode = exit;
  } finally {
    clearInterval(alive);
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, stopped);
  }
};

/** `undefined`: the configuration is wrong, which has been told. */
const reach = async <N extends keyof Asked>(
  options: ReachOptions,
  { alone = wholeStore, within }: Reaching<N>,
  signal: AbortSignal,
): Promise<Reached<N> | undefined> => {
  const { namedServer, ownServer } = await import("./reach-server.ts");
  const named = await namedServer(options);
  if (named !== undefined) return remote(named);
  const { configOrExit } = await import("./config.ts");
  const config = await configOrExit(options.config, { mayListBeWrong: true });
  if (config === undefined) return undefined;
  const own = await ownServer(config, options);
  if (own !== undefined && (await isThere(own, signal, within))) return remote(own);
  if (alone === false) {
    const why =
      own === undefined ? "it has no admin listener (listen.admin), or has never run" : `nothing listens at ${own.url.origin}`;
    throw new Failure(3, `no Layover runs here that could be asked: ${why}`);
  }
  if (config.mirror.isWrong === true)
    throw new Failure(2, "the list of what is mirrored is not right, and no Layover runs here that goes by the one from before");
  return alone(config).catch(async (error: unknown) => {
    const { StoreInUse } = await import("../store/unusable.ts");
    if (!(error instanceof StoreInUse)) throw error;
    const why =
      own === undefined
        ? "its admin listener is turned off (listen.admin)"
        : `its admin listener does not answer at ${own.url.origin}`;
    throw new Failure(3, `a Layover is using ${config.data}, but ${why}`);
  });
};

const remote = async (server: Server): Promise<Reached<keyof Asked>> => {
  const { remoteOperations } = await import("../admin/remote.ts");
  const { remoteContent } = await import("../admin/remote-content.ts");
  return { operations: { ...remoteOperations(server), content: remoteContent(server) }, close: async () => undefined };
};

/** The store itself, which nobody else may be using. */
const wholeStore = async (config: Config): Promise<Reached<keyof Asked>> => (await import("../app-alone.ts")).openAlone(config);

/** False when nobody listens there, or, given `within`, nobody answers in that time; throws what else is wrong. */
const isThere = async (server: Server, stopped: AbortSignal, within: number | undefined): Promise<boolean> => {
  const { remoteOperations, Unreachable } = await import("../admin/remote.ts");
  const signal = within === undefined ? stopped : AbortSignal.any([stopped, AbortSignal.timeout(within)]);
  try {
    await remoteOperations(server).status({}, { signal, progress: () => undefined });
    return true;
  } catch (error) {
    if (stopped.aborted) throw error;
    if (error instanceof Unreachable && (error.isAbsent || within !== undefined)) return false;
    if (signal.aborted) return false;
    throw error;
  }
};

const EXIT: Partial<Record<AdminError["code"], number>> = {
  INVALID: 2,
  UNKNOWN_SITE: 2,
  UNAUTHORIZED: 3,
  FORBIDDEN: 3,
  MISDIRECTED: 3,
  UNAVAILABLE: 3,
};

const failureOf = async (error: unknown): Promise<{ exit: number; message: string }> => {
  const { AdminError } = await import("../admin/error.ts");
  const { Unreachable } = await import("../admin/remote.ts");
  const { SetupError } = await import("../lib/setup-error.ts");
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof Failure) return error;
  if (error instanceof Unreachable) return { exit: 3, message };
  if (error instanceof AdminError) return { exit: EXIT[error.code] ?? 1, message };
  return { exit: error instanceof SetupError ? 2 : 1, message };
};
