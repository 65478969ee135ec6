// `layover mirror …`: what is copied on a schedule, and whence the list of it comes.
import type { Command } from "commander";
import type { ImportOptions } from "./mirror-import.ts";

export const mirrorCommand = (program: Command): void => {
  const mirror = program.command("mirror").description("copy images on your schedule, with a way back");
  mirror
    .command("import")
    .argument("<file>", "a regsync.yml, or - for standard input")
    .description("turn a regsync configuration into `mirror` and `sites` of ours; what cannot be is told line by line (exit 1)")
    .option("-o, --output <file>", "write the list there; standard output gets what names it")
    .option("-c, --config <file>", "whose sites are there already (default: LAYOVER_CONFIG, else ./layover.yaml)")
    .action(async (file: string, options: ImportOptions) => (await import("./mirror-import.ts")).mirrorImport(file, options));
};
