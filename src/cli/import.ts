// `layover import`: a bundle's images become this Layover's, under their own names.
import type { Command } from "commander";
import { ask, type ReachOptions, reachable } from "./reach.ts";

export interface ImportOptions extends ReachOptions {
  readonly as?: string;
}

export const importCommand = (program: Command): void => {
  reachable(program.command("import").argument("<bundle>", "a tar with an OCI image layout in it, its folder, or - for stdin"))
    .description("take in what `layover export` wrote, or skopeo, podman, regctl or buildx as an OCI archive")
    .option("--as <reference>", "what the one image in it is to be called, where it does not say so or is to be another")
    .action((bundle: string, options: ImportOptions) =>
      ask(options, async (...asked) => (await import("./import-run.ts")).importFrom(bundle, options, ...asked), {
        // the far side of an air gap may be filled before it ever runs
        alone: async (config) => (await import("../app-alone.ts")).openAlone(config, { isNew: true }),
      }),
    );
};
