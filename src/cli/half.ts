// What the halves of `serve` have in common as processes: how they start, speak to each other, and give up.
import { flushCompileCache } from "node:module";
import { setFlagsFromString } from "node:v8";
import type { Config } from "../config/config.ts";
import type { Logger } from "../lib/log.ts";
import type { FrontMessage } from "./supervise.ts";

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

/**
 * Every question to a resolver has a socket of its own, each of them garbage after a moment; V8 lets that grow to 50 to 80 MB when many
 * names are asked for at once, which with this are 10 to 20, for a tenth more of CPU where nothing is in the cache.
 */
export const staySmall = (): void => setFlagsFromString("--optimize-for-size");

/** The front end's complaint is its parent's to print. */
export const quit = async (error: unknown): Promise<never> => {
  const message = error instanceof Error ? error.message : String(error);
  if (process.connected === true) await tellParent({ kind: "fatal", message });
  else process.stderr.write(`layover: ${message}\n`);
  process.exit(EXIT_USAGE);
};
