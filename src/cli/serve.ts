// `layover serve`: the parent, which owns DNS and looks after the front end; or, with --only, one half alone.
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import type { Command } from "commander";
import { DRAIN, ended, keepCompiled, logRejections, prepare, quit } from "./half.ts";

export const serveCommand = (program: Command): void => {
  program
    .command("serve")
    .description("start the appliance")
    .option("-c, --config <file>", "configuration file (YAML or JSON)")
    .option("--only <half>", "run one half alone: dns or front")
    .action(async ({ config: file, only }: { config?: string; only?: string }) => {
      if (only === undefined) return serveBoth(file).catch(quit);
      if (only === "front") return (await import("./serve-front.ts")).serveFront(file).catch(quit);
      if (only === "dns") return serveDnsAlone(file).catch(quit);
      return quit(new Error(`--only takes dns or front, not ${only}`));
    });
};

/**
 * Every question to a resolver has a socket of its own, each of them garbage after a moment; V8 lets that grow to 50 to 80 MB when many
 * names are asked for at once, which with this are 10 to 20, for a tenth more of CPU where nothing is in the cache.
 */
const staySmall = (): void => setFlagsFromString("--optimize-for-size");

/**
 * The child comes first, for it takes longest; it reads the configuration for both, so that this process, which lives through
 * everything, stays small.
 */
const serveBoth = async (file: string | undefined): Promise<void> => {
  staySmall();
  const over = ended();
  const { Supervisor } = await import("./supervise.ts");
  const front = new Supervisor(fileURLToPath(new URL("./front.ts", import.meta.url)), file === undefined ? [] : [file]);
  try {
    const { logger } = await import("../lib/log.ts");
    const { announce } = await import("./announce.ts");
    const { dnsEnd } = await import("../app-dns.ts");
    const config = await front.config;
    const log = logger(config.log);
    logRejections(log);
    front.log = log;
    const dns = await dnsEnd(config, log, () => front.well);
    const ready = await Promise.race([front.first, over]);
    if (ready !== undefined) {
      announce(config, log, ready, dns.addresses);
      keepCompiled();
      await over;
    }
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

const serveDnsAlone = async (file: string | undefined): Promise<void> => {
  staySmall();
  const over = ended();
  const { loadApart } = await import("../config/apart.ts");
  const prepared = await prepare(loadApart(file, over));
  if (prepared === undefined) process.exit(0);
  const { config, log } = prepared;
  const { dnsEnd } = await import("../app-dns.ts");
  const { watchReady } = await import("./watch-ready.ts");
  const watch = watchReady(config, log);
  const dns = await dnsEnd(config, log, () => watch.well);
  log.info({ dns: dns.addresses }, "dns");
  await over;
  watch.close();
  await dns.close();
  process.exit(0);
};
