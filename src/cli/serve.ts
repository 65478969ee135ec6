// `layover serve`: the parent, which owns DNS and looks after the front end; or, with --only, one half alone.
import type { Command } from "commander";
import type { Config } from "../config/config.ts";
import { isReadable, type Logger, logger } from "../lib/log.ts";
import type { FrontMessage, FrontReady } from "./supervise.ts";

/** How long a SIGTERM waits for what is under way, in the front end; the parent waits a little longer. Milliseconds. */
const DRAIN = 10_000;
const EXIT_USAGE = 2;

export const serveCommand = (program: Command): void => {
  program
    .command("serve")
    .description("start the appliance")
    .option("-c, --config <file>", "configuration file (YAML or JSON)")
    .option("--only <half>", "run one half alone: dns or front")
    .action(async ({ config: file, only }: { config?: string; only?: string }) => {
      if (only === undefined) return serveBoth(file).catch(quit);
      if (only === "front") return serveFront(file).catch(quit);
      if (only === "dns") return serveDnsAlone(file).catch(quit);
      quit(new Error(`--only takes dns or front, not ${only}`));
    });
};

/** The front end's complaint is its parent's to print. */
const quit = (error: unknown): never => {
  const message = error instanceof Error ? error.message : String(error);
  if (process.connected === true) tellParent({ kind: "fatal", message });
  else process.stderr.write(`layover: ${message}\n`);
  process.exit(EXIT_USAGE);
};

const prepare = async (file: string | undefined): Promise<{ config: Config; log: Logger }> => {
  const { loadConfig } = await import("../config/load.ts");
  const config = await loadConfig({ file, env: process.env, cwd: process.cwd() });
  const log = logger(config.log);
  // a promise that nobody waits for must not take the farm's DNS down with it
  process.on("unhandledRejection", (reason) => log.error({ err: String(reason) }, "unhandled rejection"));
  return { config, log };
};

const tellParent = (message: FrontMessage): void => {
  // the parent may go at any moment; its going is heard of elsewhere
  if (process.connected === true) process.send?.(message, undefined, {}, () => undefined);
};

const serveBoth = async (file: string | undefined): Promise<void> => {
  const { Supervisor } = await import("./supervise.ts");
  const args = ["serve", "--only", "front", ...(file === undefined ? [] : ["--config", file])];
  const front = new Supervisor(process.argv[1]!, args);
  try {
    const { config, log } = await prepare(file);
    front.log = log;
    const { dnsEnd } = await import("../app-dns.ts");
    const dns = await dnsEnd(config, log, () => front.well);
    announce(config, log, await front.first, dns.addresses);
    await ended();
    log.info("shutting down");
    // names lead to the real registries again while the front end finishes what it has begun
    await front.stop(DRAIN + 2_000);
    await dns.close();
  } catch (error) {
    await front.stop(0);
    throw error;
  }
  process.exit(0);
};

const serveFront = async (file: string | undefined): Promise<void> => {
  const { config, log } = await prepare(file);
  const { frontEnd } = await import("../app.ts");
  const { BEAT } = await import("./supervise.ts");
  const front = await frontEnd(config, log);
  const hasParent = process.send !== undefined;
  if (!hasParent) announce(config, log, { kind: "ready", ...front.identity }, []);
  tellParent({ kind: "ready", ...front.identity });
  const beat = setInterval(() => void front.condition().then((now) => tellParent({ kind: "beat", ...now })), BEAT);
  await ended();
  clearInterval(beat);
  await front.close(DRAIN);
  process.exit(0);
};

const serveDnsAlone = async (file: string | undefined): Promise<void> => {
  const { config, log } = await prepare(file);
  const { dnsEnd, watchReady } = await import("../app-dns.ts");
  const watch = watchReady(config, log);
  const dns = await dnsEnd(config, log, () => watch.well);
  log.info({ dns: dns.addresses }, "dns");
  await ended();
  watch.close();
  await dns.close();
  process.exit(0);
};

/** SIGTERM or SIGINT, or the parent that we belong to has gone. */
const ended = (): Promise<void> =>
  new Promise((resolve) => {
    process.once("SIGTERM", () => resolve());
    process.once("SIGINT", () => resolve());
    process.once("disconnect", () => resolve());
  });

const announce = (config: Config, log: Logger, ready: FrontReady, dns: readonly string[]): void => {
  const answer = answerOf(config);
  const { names, fingerprints, addresses: doors } = ready;
  if (isReadable(config.log)) process.stdout.write(banner(config, ready, answer, dns));
  else log.info({ names, answer, dns, doors, ca: config.ca.certificate, fingerprints, next: "layover setup docker" }, "ready");
  for (const warning of config.warnings) log.warn(warning);
};

/** What hijacked names lead to; in words where it depends on the client. */
const answerOf = ({ answer, listen }: Config): string => {
  if (answer !== "auto") return answer.join(", ");
  const [only, ...others] = listen.https.map(({ host }) => host);
  const isOne = only !== undefined && others.length === 0 && only !== "0.0.0.0" && only !== "::";
  return isOne ? only : "the address by which each client reaches this machine";
};

const banner = (
  config: Config,
  { names, fingerprints, addresses }: FrontReady,
  answer: string,
  dns: readonly string[],
): string => `
Layover stands in for   ${names.join(", ")}
and answers with        ${answer}
DNS                     ${dns.join(", ") || "off"}
doors                   ${addresses.join(", ")}
CA certificate          ${config.ca.certificate}
${fingerprints.map((fingerprint) => `SHA-256                 ${fingerprint}`).join("\n")}

Next, on a Docker host: point its DNS here and let it trust the CA; this prints how:
  npm run -s layover -- setup docker        (or: curl http://<this machine>/setup/docker)

`;
