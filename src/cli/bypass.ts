// `layover bypass on|off|status`: hijacked names lead to the registries themselves, while who still comes is served.
import type { Command } from "commander";
import { type ReachOptions, reachable } from "./reach.ts";

export const bypassCommand = (program: Command): void => {
  const bypass = program.command("bypass").description("let hijacked names lead to the registries themselves, without stopping");
  reachable(
    bypass.command("on").option("--for <time>", "ends by itself after so long, such as 2h (default: when it is turned off)"),
  )
    .description("within 30 s names lead to the registries themselves; a restart keeps it so")
    .action(async (options: ReachOptions & { for?: string }) => (await import("./bypass-run.ts")).bypassOn(options));
  reachable(bypass.command("off"))
    .description("names lead to Layover again")
    .action(async (options: ReachOptions) => (await import("./bypass-run.ts")).bypassOff(options));
  reachable(bypass.command("status"))
    .description("say whether it is on, and for which names")
    .action(async (options: ReachOptions) => (await import("./bypass-run.ts")).bypassStatus(options));
};
