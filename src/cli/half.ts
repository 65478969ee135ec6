// What the halves of `serve` have in common as processes: how they start, hear of their end, and give up.
import { flushCompileCache } from "node:module";
import type { Config } from "../config/config.ts";
import type { Logger } from "../lib/log.ts";
import type { FrontMessage } from "./supervise.ts";

/** How long a SIGTERM waits for what is under way, in the front end; the parent waits a little longer. Milliseconds. */
export const DRAIN = 10_000;
const SETTLED = 1_000;
const EXIT_USAGE = 2;

/** Undefined where the end came before the configuration. */
export const prepare = async (reading: Promise<Config | undefined>): Promise<{ config: Config; log: Logger } | undefined> => {
  const config = await reading;
  if (config === undefined) return undefined;
  const { logger } = await import("../lib/log.ts");
  const log = logger(config.log);
  logRejections(log);
  return { config, log };
};

/** A promise that nobody waits for must not take the farm's DNS down with it. */
export const logRejections = (log: Logger): void => {
  process.on("unhandledRejection", (reason) => log.error({ err: String(reason) }, "unhandled rejection"));
};

/**
 * SIGTERM or SIGINT, or the parent that we belong to has gone. Asked for before anything slow: the first process of a container
 * is not ended by a signal that it has no handler for.
 */
export const ended = (): Promise<void> =>
  new Promise((resolve) => {
    // systemd tells every process of a service to end; the parent tells its own once more, and would cut short what is under way
    if (process.send === undefined) process.once("SIGTERM", () => resolve());
    else process.on("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
    process.once("disconnect", () => resolve());
    if (process.connected === false) resolve(); // it went while we were starting
  });

/** Resolves when it is on its way. The parent may go at any moment; its going is heard of elsewhere. */
export const tellParent = (message: FrontMessage): Promise<void> =>
  new Promise((resolve) => {
    if (process.connected !== true) resolve();
    else process.send?.(message, undefined, {}, () => resolve());
  });

/** What the start has compiled, for the next one: by itself Node writes it at a peaceful end, which not every process sees. */
export const keepCompiled = (): void => {
  setTimeout(flushCompileCache, SETTLED).unref();
};

/** The front end's complaint is its parent's to print. */
export const quit = async (error: unknown): Promise<never> => {
  const message = error instanceof Error ? error.message : String(error);
  if (process.connected === true) await tellParent({ kind: "fatal", message });
  else process.stderr.write(`layover: ${message}\n`);
  process.exit(EXIT_USAGE);
};
