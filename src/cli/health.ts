// `layover health`: whether the appliance that runs beside this command, with the same configuration, is well. For a container's
// health check, which must not need a shell or curl: silent and 0, or one line on stderr and 1. In a bypass it is well, and says so:
// who restarts what is ill must not take it from those who still come.
import type { Command } from "commander";

/** Adds `health` to the program. Exit status 1: it is not ready, or not there. */
export const healthCommand = (program: Command): void => {
  program
    .command("health")
    .description("say by the exit status whether Layover on this machine is ready; for health checks")
    .option("-c, --config <file>", "default: LAYOVER_CONFIG, else ./layover.yaml")
    .action(async (options: { config?: string }) => {
      const { configOrExit } = await import("./config.ts");
      const config = await configOrExit(options.config, { mayListBeWrong: true });
      if (config === undefined) return;
      const { healthOf } = await import("./health-problems.ts");
      const { problems, notes } = await healthOf(config);
      if (problems.length > 0) process.exitCode = 1;
      if (problems.length + notes.length > 0) process.stderr.write(`${[...problems, ...notes].join("; ")}\n`);
    });
};
