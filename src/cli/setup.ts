// `layover setup <client>`: what a client needs, printed; with --write done, with --undo put back. Both run the script that /setup/<client>
// gives, so that there is one implementation.
import type { Command } from "commander";
import type { Config } from "../config/config.ts";
import type { ClientPlan } from "../setup/clients.ts";
import type { Setup } from "../setup/setup.ts";
import type { Door } from "../setup/step.ts";

interface Options {
  readonly config?: string;
  readonly server?: string;
  readonly address?: string;
  readonly fingerprint?: string;
  readonly door?: string;
  readonly only?: string;
  readonly write?: boolean;
  readonly undo?: boolean;
  readonly script?: boolean;
  readonly root?: string;
  readonly user?: boolean;
  readonly restart?: boolean;
  readonly dns: boolean;
  readonly store: boolean;
}

const KNOWN = "docker, containerd, podman, buildkit, k3s, kaniko, gitlab-runner, github-runner, dind, system, service";

/** Adds `setup` to the program. */
export const setupCommand = (program: Command): void => {
  program
    .command("setup")
    .description("print what a client needs to pull through Layover")
    .argument("<client>", `one of ${KNOWN} (Layover itself, for systemd)`)
    .option("--door <door>", "how it comes in: hijack, mirror or proxy; default: what covers most with the least")
    .option("--write", "do it on this machine (as root)")
    .option("--undo", "put back what --write changed")
    .option("--script", "print the shell script that --write runs")
    .option("-c, --config <file>", "Layover's configuration; default: LAYOVER_CONFIG, else ./layover.yaml")
    .option("--server <url>", "fetch the CA and the names from Layover's plain HTTP door, such as http://10.0.0.5")
    .option("--fingerprint <sha256>", "refuse a CA with another fingerprint")
    .option("--address <ip>", "where this machine reaches Layover")
    .option("--root <dir>", "with --write and --undo: under this folder instead of /")
    .option("--user", "with --write and --undo: for this user alone, under ~/.config (rootless Docker, podman, BuildKit)")
    .option("--restart", "with --write and --undo: restart what has to be, at once")
    .option("--no-dns", "leave the resolver alone")
    .option("--no-store", "leave the system's certificate store alone")
    .option("--only <half>", "service: one half alone, dns or front")
    .action(run);
};

const run = async (name: string, options: Options): Promise<void> => {
  const { SetupError } = await import("../lib/setup-error.ts");
  try {
    if (!KNOWN.split(", ").includes(name)) throw new SetupError(`no set-up for ${name}; there are: ${KNOWN}`);
    if (options.write === true && options.undo === true) throw new SetupError("--write and --undo are opposites");
    const { scriptOf, undoScript } = await import("../setup/script.ts");
    if (options.undo === true) {
      process.exitCode = await shell(undoScript(unitName(name, options)), ["--undo", ...passedOn(options)]);
      return;
    }
    const { configOrExit } = await import("./config.ts");
    const config = await configOrExit(options.config, { mayListBeWrong: true });
    if (config === undefined) return;
    const { plan, setup } = name === "service" ? await ofService(config, options) : await ofClient(name, config, options);
    const script = scriptOf(unitName(name, options), plan, setup);
    if (options.write === true) process.exitCode = await shell(script, writeArgs(options));
    else if (options.script === true) process.stdout.write(script);
    else process.stdout.write((await import("../setup/text.ts")).textOf(name, plan, doorOf(plan, options), setup));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`layover: ${error.message}\n`);
    process.exitCode = 1;
  }
};

interface Planned {
  readonly plan: ClientPlan;
  readonly setup: Setup | undefined;
}

const ofClient = async (name: string, config: Config, options: Options): Promise<Planned> => {
  const { SetupError } = await import("../lib/setup-error.ts");
  const { gatherSetup } = await import("./setup-gather.ts");
  const { isClient, planOf } = await import("../setup/clients.ts");
  if (!isClient(name)) throw new SetupError(`no set-up for ${name}`);
  const { setup, notes } = await gatherSetup(config, options);
  for (const note of notes) process.stderr.write(`${note}\n`);
  const plan = planOf(name, setup);
  if (options.door !== undefined && !Object.hasOwn(plan.plans, options.door))
    throw new SetupError(`no door ${options.door} for ${name} here; there are: ${Object.keys(plan.plans).join(", ")}`);
  return { plan, setup };
};

const ofService = async (config: Config, { only }: Options): Promise<Planned> => {
  const { SetupError } = await import("../lib/setup-error.ts");
  const { servicePlan } = await import("../setup/service.ts");
  const { serviceOf } = await import("./setup-service.ts");
  if (only !== undefined && only !== "dns" && only !== "front") throw new SetupError(`--only takes dns or front, not ${only}`);
  return { plan: servicePlan(serviceOf(config, only)), setup: undefined };
};

/** What the changes are recorded under: each half of the service can be undone by itself. */
const unitName = (name: string, { only }: Options): string =>
  name === "service" && (only === "dns" || only === "front") ? `service-${only}` : name;

const doorOf = ({ plans }: ClientPlan, { door }: Options): Door => (door ?? Object.keys(plans)[0]) as Door;

const passedOn = ({ root, user, restart }: Options): string[] => [
  ...(root === undefined ? [] : ["--root", root]),
  ...(user === true ? ["--user"] : []),
  ...(restart === true ? ["--restart"] : []),
];

const writeArgs = (options: Options): string[] => [
  ...passedOn(options),
  ...(options.door === undefined ? [] : ["--door", options.door]),
  ...(options.fingerprint === undefined ? [] : ["--fingerprint", options.fingerprint]),
  ...(options.dns ? [] : ["--no-dns"]),
  ...(options.store ? [] : ["--no-store"]),
];

/** Resolves with the exit status. */
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
