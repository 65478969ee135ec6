// `layover export`: images into one file, for where no network leads.
import type { Command } from "commander";
import { ask, type ReachOptions, reachable } from "./reach.ts";
import { collected } from "./warm.ts";

export interface ExportOptions extends ReachOptions {
  readonly output: string;
  readonly platform?: readonly string[];
  readonly referrers: boolean;
  readonly credentials?: string;
}

export const exportCommand = (program: Command): void => {
  reachable(
    program
      .command("export")
      .argument("<references...>", "ghcr.io/acme/app:1, …@sha256:…; a repository alone: all its held tags"),
  )
    .description("write images into a bundle: an OCI image layout in a tar")
    .requiredOption("-o, --output <file>", "the bundle; - for stdout. One that was broken off is gone on with")
    .option("--platform <os/arch>", "of an image with several; also more than once (default: those that are held)", collected)
    .option("--no-referrers", "leave out the signatures and the like that are held with them")
    .option("--credentials <file>", "with username:password, for the registry, where something has to be fetched first")
    .action((references: string[], options: ExportOptions) =>
      ask(options, async (...asked) => (await import("./export-run.ts")).exportBundle(references, options, ...asked)),
    );
};
