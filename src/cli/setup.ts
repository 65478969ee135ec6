// `layover setup docker`: what a Docker host needs, printed; with --write done, with --undo put back.
import type { Command } from "commander";

interface Options {
  readonly config?: string;
  readonly server?: string;
  readonly address?: string;
  readonly fingerprint?: string;
  readonly write?: boolean;
  readonly undo?: boolean;
  readonly script?: boolean;
  readonly root?: string;
  readonly dns: boolean;
  readonly store: boolean;
}

/** Adds `setup docker` to the program. */
export const setupCommand = (program: Command): void => {
  const setup = program.command("setup").description("point a client at Layover");
  setup
    .command("docker")
    .description("print what a Docker host needs to pull through Layover")
    .option("--write", "do it on this host (as root)")
    .option("--undo", "put back what --write changed")
    .option("--script", "print the shell script that --write runs")
    .option("-c, --config <file>", "Layover's configuration; default: LAYOVER_CONFIG, else ./layover.yaml")
    .option("--server <url>", "fetch the CA from Layover's plain HTTP door, such as http://10.0.0.5")
    .option("--fingerprint <sha256>", "refuse a CA with another fingerprint")
    .option("--address <ip>", "where this host reaches Layover")
    .option("--root <dir>", "with --write and --undo: under this folder instead of /")
    .option("--no-dns", "leave the resolver alone")
    .option("--no-store", "leave the system's certificate store alone")
    .action(run);
};

const run = async (options: Options): Promise<void> => {
  const { gatherSetup } = await import("./setup-gather.ts");
  const { SetupError } = await import("../lib/setup-error.ts");
  const { dockerScript, dockerText, undoScript } = await import("../admin/setup-docker.ts");
  try {
    if (options.write === true && options.undo === true) throw new SetupError("--write and --undo are opposites");
    if (options.undo === true) {
      process.exitCode = await shell(undoScript(), ["--undo", ...rootArgs(options)]);
      return;
    }
    const { configOrExit } = await import("./config.ts");
    const config = await configOrExit(options.config);
    if (config === undefined) return;
    const { setup, notes } = await gatherSetup(config, options);
    for (const note of notes) process.stderr.write(`${note}\n`);
    if (options.write === true) process.exitCode = await shell(dockerScript(setup), writeArgs(options));
    else process.stdout.write(options.script === true ? dockerScript(setup) : dockerText(setup));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`layover: ${error.message}\n`);
    process.exitCode = 1;
  }
};

const rootArgs = ({ root }: Options): string[] => (root === undefined ? [] : ["--root", root]);

const writeArgs = (options: Options): string[] => [
  ...rootArgs(options),
  ...(options.fingerprint === undefined ? [] : ["--fingerprint", options.fingerprint]),
  ...(options.dns ? [] : ["--no-dns"]),
  ...(options.store ? [] : ["--no-store"]),
];

/** One implementation for `--write` and for `curl … | sh`. Resolves with the exit status. */
const shell = async (script: string, args: readonly string[]): Promise<number> => {
  const { spawn } = await import("node:child_process");
  const child = spawn("sh", ["-s", "--", ...args], { stdio: ["pipe", "inherit", "inherit"] });
  child.stdin.on("error", () => undefined); // it may end before it has read all
  child.stdin.end(script);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
};
