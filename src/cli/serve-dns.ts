// DNS alone, for front ends elsewhere, or on this machine as a service of their own: it watches them, and answers with those that are well.
import type { DnsEnd } from "../app-dns.ts";
import type { Config } from "../config/config.ts";
import type { Logger } from "../lib/log.ts";
import { ending } from "./ending.ts";
import { FrontEnds } from "./front-ends.ts";
import { prepare, staySmall } from "./half.ts";
import { onReload } from "./reload.ts";

export const serveDns = async (file: string | undefined): Promise<void> => {
  staySmall();
  const end = ending();
  const { loadApart } = await import("../config/apart.ts");
  // names do not depend on what is mirrored
  const load = () => loadApart(file, end.begun, { mayListBeWrong: true });
  const prepared = await prepare(load());
  if (prepared === undefined) process.exit(0);
  const { config, log } = prepared;
  const { dnsEnd } = await import("../app-dns.ts");
  let fronts = new FrontEnds(config, log);
  const dns = await dnsEnd(config, log, {
    healthy: () => fronts.well,
    choose: (addresses, failOpen) => fronts.choose(addresses, failOpen),
  });
  log.info({ dns: dns.addresses, watches: fronts.places }, "dns");
  for (const warning of config.warnings) log.warn(warning);
  onReload(end, log, async () => {
    const changed = await load();
    if (changed === undefined) return;
    fronts = await follow(dns, fronts, changed, log);
  });
  await end.begun;
  fronts.close();
  await dns.close();
  process.exit(0);
};

/** Those that were watched before are known to be well or not; others have to show it first. */
const follow = async (dns: DnsEnd, before: FrontEnds, config: Config, log: Logger): Promise<FrontEnds> => {
  const fronts = new FrontEnds(config, log, before);
  try {
    await dns.replace(config);
  } catch (error) {
    fronts.close();
    throw error;
  }
  before.close();
  log.warn({ watches: fronts.places }, "the configuration has been read anew");
  return fronts;
};
