// `layover mirror …`: what is mirrored, and what is to become of it.
import type { Command } from "commander";
import type { ImportOptions } from "./mirror-import.ts";
import { type ReachOptions, reachable } from "./reach.ts";

export interface MirrorCheckOptions extends ReachOptions {
  readonly all?: boolean;
  readonly exitCode?: boolean;
}

export interface MirrorSyncOptions extends ReachOptions {
  readonly missing?: boolean;
  readonly run?: string;
  /** False by --no-wait; a text by `--wait 30m`. */
  readonly wait?: boolean | string;
  readonly all?: boolean;
}

const ENTRIES = "by name, or images that entries mirror (default: all of them)";

export const mirrorCommand = (program: Command): void => {
  const mirror = program.command("mirror").description("copy images on your schedule, with a way back");
  reachable(mirror.command("check").argument("[entries...]", ENTRIES))
    .description("say what a sync would change")
    .option("--all", "also what would stay as it is")
    .option("--exit-code", "end with 4 when a sync would change something")
    .action(async (entries: string[], options: MirrorCheckOptions) =>
      (await import("./mirror-check.ts")).mirrorCheck(entries, options),
    );
  reachable(mirror.command("sync").argument("[entries...]", ENTRIES))
    .description("bring what is mirrored up to date")
    .option("--missing", "only what is not there at all")
    .option("--run <number>", "of the CI job that this is: for {{run}} in backup names, hooks and messages")
    .option("--wait [duration]", "so long at the most, and the sync goes on (default: to its end)")
    .option("--no-wait", "only begin it")
    .option("--all", "also tell of what has stayed as it was")
    .action(async (entries: string[], options: MirrorSyncOptions) =>
      (await import("./mirror-sync.ts")).mirrorSync(entries, options),
    );
  reachable(mirror.command("status"))
    .description("say when each entry was synced and will be, and what is wrong with that")
    .action(async (options: ReachOptions) => (await import("./mirror-status.ts")).mirrorStatus(options));
  mirror
    .command("import")
    .argument("<file>", "a regsync.yml, or - for standard input")
    .description("turn a regsync configuration into `mirror` and `sites` of ours; what cannot be is told line by line (exit 1)")
    .option("-o, --output <file>", "write the list there; standard output gets what names it")
    .option("--in-place", "leave the targets out: what is copied keeps its name, for who pulls from there")
    .option("-c, --config <file>", "whose sites are there already (default: LAYOVER_CONFIG, else ./layover.yaml)")
    .action(async (file: string, options: ImportOptions) => (await import("./mirror-import.ts")).mirrorImport(file, options));
};
