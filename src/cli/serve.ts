// `layover serve`: the parent, which owns DNS and looks after the front end; or, with --only, one half alone.
import type { Command } from "commander";
import { quit } from "./half.ts";

export const serveCommand = (program: Command): void => {
  program
    .command("serve")
    .description("start the appliance")
    .option("-c, --config <file>", "configuration file (YAML or JSON)")
    .option("--only <half>", "run one half alone: dns or front")
    .action(async ({ config: file, only }: { config?: string; only?: string }) => {
      if (only === undefined) return (await import("./serve-both.ts")).serveBoth(file).catch(quit);
      if (only === "front") return (await import("./serve-front.ts")).serveFront(file).catch(quit);
      if (only === "dns") return (await import("./serve-dns.ts")).serveDns(file).catch(quit);
      return quit(new Error(`--only takes dns or front, not ${only}`));
    });
};
