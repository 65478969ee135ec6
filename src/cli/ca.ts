// `layover ca show | export | rotate | import`: the life of the CA that clients are asked to trust.
import type { Command } from "commander";

interface CaCommandOptions {
  readonly config?: string;
}

/** Adds `ca …` to the program. Exit status 1: what was asked for cannot be; 2: wrong usage or configuration. */
export const caCommand = (program: Command): void => {
  const ca = program.command("ca").description("the CA that clients are asked to trust");
  configured(ca.command("show"))
    .description("print each root's fingerprint, names, time, and whether it signs now, is coming or is going")
    .option("--json", "for programs")
    .action(async (options: CaCommandOptions & { json?: boolean }) => (await import("./ca-show.ts")).caShow(options));
  configured(ca.command("export").argument("[file]", "where to; default: stdout"))
    .description("write the certificates that clients are to trust, as PEM, and their fingerprints on stderr; never a key")
    .action(async (file: string | undefined, options: CaCommandOptions) =>
      (await import("./ca-export.ts")).caExport(file, options),
    );
  const rotate = overlapping(ca.command("rotate"))
    .description("make a root that takes over; a server that runs takes it in by itself")
    .option("--to <fingerprint>", "let one that is there already take over (back) instead of a new one")
    .option("--retire", "only take away what signs for nothing any more");
  rotate.action(async (options: import("./ca-rotate.ts").RotateOptions) => (await import("./ca-rotate.ts")).caRotate(options));
  overlapping(ca.command("import"))
    .description("let a CA of your own take over, such as your company's intermediate; an encrypted key: LAYOVER_CA_PASSPHRASE")
    .requiredOption("--certificate <file>", "PEM: its certificate and what stands above it, up to the root that clients trust")
    .requiredOption("--key <file>", "PEM: its private key; it is copied beside Layover's own")
    .action(async (options: import("./ca-import.ts").ImportOptions) => (await import("./ca-import.ts")).caImport(options));
};

const configured = (command: Command): Command =>
  command.option("-c, --config <file>", "default: LAYOVER_CONFIG, else ./layover.yaml");

const overlapping = (command: Command): Command =>
  configured(command)
    .option("--overlap <time>", "how long clients have to fetch ca.crt before it signs (default: 30d)")
    .option("--now", "it signs at once: for a key that others know, or a root that all clients trust already");
