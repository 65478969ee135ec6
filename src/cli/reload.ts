// SIGHUP: the files on the disk, programs and configuration, are to be taken up.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Logger } from "../lib/log.ts";
import type { Ending } from "./ending.ts";

/** Runs `work` for each SIGHUP, one at a time; those that come meanwhile are one more. On a terminal a SIGHUP is its end, and ours. */
export const onReload = (end: Ending, log: Logger, work: () => Promise<void>): void => {
  let wanted = 0;
  const run = async (): Promise<void> => {
    for (; wanted > 0; wanted = Math.min(1, wanted - 1))
      await work().catch((error: unknown) => log.error({ err: String(error) }, "reload failed"));
  };
  process.on("SIGHUP", () => {
    if (process.stdout.isTTY) return end.order({ grace: 0, drain: 0 });
    wanted += 1;
    if (wanted === 1) void run();
  });
};

const MAIN = fileURLToPath(new URL("../main.ts", import.meta.url));
/** Loads every module that there is, which finds those that are torn or lack something, and compiles them for who comes. */
const COMPILE = fileURLToPath(new URL("../../scripts/compile.mjs", import.meta.url));
const CHECKED_WITHIN = 20_000;
const MOST = 4_000;

/**
 * What there is to say against starting with what is on the disk by now, programs and configuration; `undefined`: nothing. In processes of
 * their own, for what is read anew cannot be read again, and the configuration holds secrets.
 */
export const startProblem = async (file: string | undefined): Promise<string | undefined> =>
  (await problemOf([COMPILE])) ?? problemOf([MAIN, "config", "check", ...(file === undefined ? [] : ["--config", file])]);

const problemOf = (argv: readonly string[]): Promise<string | undefined> =>
  new Promise((resolve) => {
    const check = spawn(process.execPath, [...process.execArgv, ...argv], {
      stdio: ["ignore", "ignore", "pipe"],
      timeout: CHECKED_WITHIN,
      killSignal: "SIGKILL",
    });
    let said = "";
    check.stderr?.setEncoding("utf8").on("data", (text: string) => (said = (said + text).slice(0, MOST)));
    check.once("error", (error) => resolve(error.message));
    check.once("close", (code) => resolve(code === 0 ? undefined : said.trim() || `${argv.join(" ")} ended with ${code}`));
  });
