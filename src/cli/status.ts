// `layover status`: how the server is that runs here, or elsewhere.
import type { Command } from "commander";
import type { Call, Operations } from "../admin/operations.ts";
import { ask, type ReachOptions, reachable } from "./reach.ts";

/** Adds `status` to the program. Exit status 1: it is not ready; 3: none runs. */
export const statusCommand = (program: Command): void => {
  reachable(program.command("status"))
    .description("say how the running Layover is, what it holds, and how its upstreams are")
    .action((options: ReachOptions) => ask(options, (operations, call) => show(options, operations, call), { alone: false }));
};

const show = async (options: ReachOptions, operations: Operations, { signal }: Pick<Call, "signal">): Promise<number> => {
  const { print } = await import("./print.ts");
  const { printStatus } = await import("./status-print.ts");
  const status = await operations.status({}, { signal, progress: () => undefined });
  print(options, status, (answer) => printStatus(answer, Date.now()));
  return status.ready ? 0 : 1;
};
