// Both halves: DNS in this process, which lives through everything and so stays small, and the front end as its child.
import { fileURLToPath } from "node:url";
import type { DnsEnd } from "../app-dns.ts";
import type { Logger } from "../lib/log.ts";
import { Ending, ending, GRACE, IN_PEACE } from "./ending.ts";
import { keepCompiled, logRejections, staySmall } from "./half.ts";
import { goFirst } from "./precedence.ts";
import { onReload, startProblem } from "./reload.ts";
import { type ParentConfig, Supervisor } from "./supervise.ts";

/** The child comes first, for it takes longest; it reads the configuration for both. */
export const serveBoth = async (file: string | undefined): Promise<void> => {
  staySmall();
  goFirst();
  const end = ending();
  const front = new Supervisor(fileURLToPath(new URL("./front.ts", import.meta.url)), file === undefined ? [] : [file]);
  const led = new Led(front);
  try {
    const { logger } = await import("../lib/log.ts");
    const { announce } = await import("./announce.ts");
    const { dnsEnd } = await import("../app-dns.ts");
    const config = await front.config;
    const log = logger(config.log);
    logRejections(log);
    front.log = log;
    const dns = await dnsEnd(config, log, { healthy: () => led.here });
    front.hearing = { onConfig: (changed) => void follow(dns, changed, log) };
    onReload(end, log, async () => {
      await front.first;
      await replace(front, led, file, log);
    });
    const ready = await Promise.race([front.first, end.begun]);
    if (ready !== undefined) {
      announce(config, log, ready, dns.addresses);
      keepCompiled();
      await end.begun;
    }
    // names lead to the real registries from now on, while the front end serves those who still come and ends what it has begun
    if (led.grace < end.left.grace) end.order({ ...IN_PEACE, grace: led.grace });
    log.info({ grace: Math.round(end.left.grace) }, "shutting down");
    await front.stop(end);
    await dns.close();
  } catch (error) {
    end.order({ grace: 0, drain: 0 });
    await front.stop(end);
    throw error;
  }
  process.exit(0);
};

/** Where names lead, and how long ago one was last led here. */
class Led {
  readonly #front: Supervisor;
  #last = Number.NEGATIVE_INFINITY;

  constructor(front: Supervisor) {
    this.#front = front;
  }

  /** Asked for each answer. */
  get here(): boolean {
    const { well } = this.#front;
    if (well) this.#last = performance.now();
    return well;
  }

  /** For so long a client may still hold such an answer. Milliseconds. */
  get grace(): number {
    return Math.max(0, this.#last + GRACE - performance.now());
  }
}

/** Nothing is touched where the files on the disk could not be started with. */
const replace = async (front: Supervisor, led: Led, file: string | undefined, log: Logger): Promise<void> => {
  const problem = await startProblem(file);
  if (problem !== undefined) {
    log.error({ problem }, "what is on the disk cannot be started: the front end stays as it is");
    return;
  }
  log.warn("the front end is replaced; names lead to the registries themselves until the new one is ready");
  const old = new Ending();
  old.order({ ...IN_PEACE, grace: led.grace });
  await front.replace(old);
};

const follow = async (dns: DnsEnd, config: ParentConfig, log: Logger): Promise<void> => {
  try {
    await dns.replace(config);
    log.warn("the configuration has changed: DNS follows");
  } catch (error) {
    log.error(
      { err: (error as Error).message },
      "the configuration has changed, and DNS cannot follow: it keeps to the one before",
    );
  }
};
