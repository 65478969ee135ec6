// The DNS half put together: the zone from the site table, everything else to the resolvers.
import type { Config } from "./config/config.ts";
import { answerAddresses } from "./dns/address.ts";
import type { Forwarder } from "./dns/answer.ts";
import { cached } from "./dns/cache.ts";
import { createRelay } from "./dns/relay.ts";
import { parseResolver } from "./dns/resolver-address.ts";
import { serveDns } from "./dns/server.ts";
import { split } from "./dns/split.ts";
import { createZone } from "./dns/zone.ts";
import { explainListenError, formatAddress } from "./lib/listen.ts";
import type { Logger } from "./lib/log.ts";
import { parsePrefixes } from "./lib/prefixes.ts";
import { SetupError } from "./lib/setup-error.ts";

/** What DNS needs of the configuration. */
export interface DnsConfig extends Pick<Config, "names" | "answer" | "hijackFor" | "resolvers" | "splits" | "clients"> {
  readonly listen: Pick<Config["listen"], "dns" | "https">;
  readonly sites: readonly Pick<Config["sites"][number], "hijackNames" | "failOpen">[];
}

export interface DnsEnd {
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

/** `healthy`: whether hijacked names may lead to the front end. Throws SetupError for what only its user can mend. */
export const dnsEnd = async (config: DnsConfig, log: Logger, healthy: () => boolean): Promise<DnsEnd> => {
  const names = new Map(
    config.sites.flatMap((site) => site.hijackNames.map((name) => [name, { failOpen: site.failOpen }] as const)),
  );
  for (const name of config.names) names.set(name, { failOpen: false });
  const zone = createZone({
    names,
    addressesFor: answerAddresses({ answer: config.answer, https: config.listen.https }),
    hijackFor: parsePrefixes(config.hijackFor),
    healthy,
  });
  const resolvers = openResolvers(config, log);
  const server = await serveDns({
    listen: config.listen.dns.map(formatAddress),
    zone,
    relay: cached(resolvers),
    clients: parsePrefixes(config.clients),
    log,
  }).catch((error: unknown) => {
    resolvers.close();
    throw new SetupError(explainListenError(error, { key: "listen.dns", what: "DNS" }));
  });
  return {
    addresses: server.addresses,
    close: async () => {
      await server.close();
      resolvers.close();
    },
  };
};

interface Resolvers extends Forwarder {
  close(): void;
}

/** Each group by itself: its order, its health, its bounds. */
const openResolvers = ({ resolvers, splits }: Pick<DnsConfig, "resolvers" | "splits">, log: Logger): Resolvers => {
  const open = (group: readonly string[]) => createRelay({ resolvers: group.map(parseResolver), log });
  const zones = splits.map((one) => [one.zone, open(one.resolvers)] as const);
  const rest = open(resolvers);
  return {
    ...split(zones, rest),
    close: () => {
      for (const relay of [rest, ...zones.map(([, relay]) => relay)]) relay.close();
    },
  };
};
