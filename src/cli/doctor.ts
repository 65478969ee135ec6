// `layover doctor`: every known way for a set-up to be wrong, looked at from this machine, with how to mend it. Changes nothing.
import { type Command, Option } from "commander";
import type { Config } from "../config/config.ts";
import type { ClientDoor } from "./doctor-client.ts";
import type { Finding } from "./doctor-finding.ts";

/** Each question and request; each check as a whole has CHECK_MS. */
const ANSWER_MS = 3_000;
const CHECK_MS = 5_000;

interface Options {
  readonly config?: string;
  readonly from: "server" | "client";
  readonly server?: string;
  readonly door: ClientDoor;
  readonly strict?: boolean;
  readonly json?: boolean;
}

/** Adds `doctor` to the program. Exit status 1: something fails; with --strict: or is warned of. */
export const doctorCommand = (program: Command): void => {
  program
    .command("doctor")
    .description("check DNS, CA, ports, resolvers, upstreams, disk and clock, and say how to mend what is wrong")
    .addOption(
      new Option("--from <side>", "whose machine this is: Layover's, or that of a client")
        .choices(["server", "client"])
        .default("server"),
    )
    .option("--server <url>", "with --from client: Layover's plain HTTP door (default: its own name, http://layover)")
    .addOption(
      new Option("--door <door>", "with --from client: how it was set up to come in")
        .choices(["hijack", "mirror", "proxy"])
        .default("hijack"),
    )
    .option("-c, --config <file>", "default: LAYOVER_CONFIG, else ./layover.yaml")
    .option("--strict", "a warning counts as a failure")
    .option("--json", "for programs")
    .action(async (options: Options) => {
      const { configOrExit } = await import("./config.ts");
      const config = await configOrExit(options.config, { mayListBeWrong: true });
      if (config === undefined) return;
      const findings = await (options.from === "client" ? examineFrom(config, options) : examine(config));
      const counts = options.strict === true ? ["fail", "warn"] : ["fail"];
      const code = findings.some(({ status }) => counts.includes(status)) ? 1 : 0;
      const text = options.json === true ? `${JSON.stringify(findings, undefined, 2)}\n` : print(findings);
      // A question that nobody answers, or a socket that will not close, keeps nobody waiting.
      process.stdout.write(text, () => process.exit(code));
    });
};

const examineFrom = async (config: Config, { server, door }: Options): Promise<Finding[]> => {
  const { examineClient } = await import("./doctor-client.ts");
  return examineClient(config, { server, door, timeout: ANSWER_MS });
};

const print = (findings: readonly Finding[]): string =>
  findings
    .map(({ status, check, text, mend }) => {
      const line = `${status.padEnd(4)}  ${check.padEnd(9)}  ${text}\n`;
      return mend === undefined ? line : `${line}${" ".repeat(17)}→ ${mend}\n`;
    })
    .join("");

/** All checks at once, each within its time; in a fixed order. Never rejects. */
export const examine = async (config: Config): Promise<Finding[]> => {
  const [{ checksOf }, { within }, { fail, reasonOf }] = await Promise.all([
    import("./doctor-checks.ts"),
    import("../lib/abort.ts"),
    import("./doctor-finding.ts"),
  ]);
  const results = await Promise.all(
    checksOf(config, ANSWER_MS).map(({ check, run }) =>
      within(run(), CHECK_MS).catch((error: unknown) => [
        fail(check, `could not be checked: ${reasonOf(error)}`, "run it again"),
      ]),
    ),
  );
  return results.flat();
};
