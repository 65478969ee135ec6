// `layover config check | show`: what a configuration amounts to, without starting anything.
import type { Command } from "commander";
import type { Config } from "../config/config.ts";

/** Adds `config check` and `config show` to the program. Exit status 2: the configuration is wrong. */
export const configCommand = (program: Command): void => {
  const config = program.command("config").description("say what the configuration amounts to");
  config
    .command("check")
    .description("load it, and say what is wrong with it")
    .option("-c, --config <file>", "default: LAYOVER_CONFIG, else ./layover.yaml")
    .action(async (options: { config?: string }) => check(options.config));
  config
    .command("show")
    .description("print it with everything defaulted, as YAML; secrets are left out")
    .option("-c, --config <file>", "default: LAYOVER_CONFIG, else ./layover.yaml")
    .action(async (options: { config?: string }) => show(options.config));
};

const check = async (file: string | undefined): Promise<void> => {
  const config = await configOrExit(file);
  if (config === undefined) return;
  const sites = [...config.sites, ...config.wildcards].map((site) => site.host).join(", ");
  process.stdout.write(`OK: ${config.file ?? "no file, the defaults"}; stands in for ${sites}${mirrored(config)}\n`);
};

const mirrored = ({ mirror: { entries, file } }: Config): string => {
  if (entries.length === 0 && file === undefined) return "";
  const what = entries.length === 1 ? "one entry" : `${entries.length} entries`;
  return `; mirrors ${what}${file === undefined ? "" : ` of ${file}`}`;
};

const show = async (file: string | undefined): Promise<void> => {
  const config = await configOrExit(file);
  if (config === undefined) return;
  const { showConfig } = await import("../config/show.ts");
  process.stdout.write(showConfig(config));
};

/**
 * The configuration, its warnings printed on stderr. When it is wrong its problems are printed there instead, the exit
 * status becomes 2, and there is none. What every command begins with. Who only asks a server `mayListBeWrong`.
 */
export const configOrExit = async (file: string | undefined, { mayListBeWrong = false } = {}): Promise<Config | undefined> => {
  const { ConfigError, loadConfig } = await import("../config/load.ts");
  try {
    const config = await loadConfig({ file, env: process.env, cwd: process.cwd(), mayListBeWrong });
    for (const warning of config.warnings) process.stderr.write(`warning: ${warning}\n`);
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const count = error.problems.length === 1 ? "one problem" : `${error.problems.length} problems`;
    process.stderr.write(`${error.message}\n${count} in the configuration\n`);
    process.exitCode = 2;
    return undefined;
  }
};
