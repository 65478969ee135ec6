// `layover ca show`: what clients are asked to trust, from the public file alone. Never reads a key.
import type { Command } from "commander";

/** Adds `ca show` to the program. Exit status 1: there is no certificate that can be read. */
export const caCommand = (program: Command): void => {
  const ca = program.command("ca").description("the CA that clients are asked to trust");
  ca.command("show")
    .description("print each root's fingerprint, names and end")
    .option("-c, --config <file>", "default: LAYOVER_CONFIG, else ./layover.yaml")
    .action(async (options: { config?: string }) => {
      const { configOrExit } = await import("./config.ts");
      const config = await configOrExit(options.config);
      if (config === undefined) return;
      const { readRoots } = await import("./ca-roots.ts");
      const roots = await readRoots(config.ca.certificate);
      if (typeof roots === "string") {
        process.stderr.write(`${config.ca.certificate}: ${roots}\n`);
        process.exitCode = 1;
        return;
      }
      process.stdout.write(`${config.ca.certificate}\n${roots.map(describe).join("\n")}`);
    });
};

const describe = ({ subject, fingerprint, covers, notAfter }: import("./ca-roots.ts").Root): string =>
  [
    `  ${subject}`,
    `    SHA-256    ${fingerprint}`,
    `    covers     ${covers}`,
    `    ends       ${notAfter.toISOString().slice(0, 10)}${notAfter.getTime() < Date.now() ? " (EXPIRED)" : ""}`,
    "",
  ].join("\n");
