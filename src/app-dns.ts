// The DNS half put together: the zone from the site table, everything else to the resolvers.
import type { Config } from "./config/config.ts";
import { answerAddresses } from "./dns/address.ts";
import { cached } from "./dns/cache.ts";
import { hostNetwork } from "./dns/host-network.ts";
import { withLocalNames } from "./dns/local-names.ts";
import { openResolvers } from "./dns/resolvers.ts";
import { serveDns } from "./dns/server.ts";
import { createZone } from "./dns/zone.ts";
import { namedAnswers } from "./lib/answers.ts";
import { explainListenError, formatAddress } from "./lib/listen.ts";
import type { Logger } from "./lib/log.ts";
import { parsePrefixes } from "./lib/prefixes.ts";
import { SetupError } from "./lib/setup-error.ts";
import { hostTable, type Site } from "./sites.ts";

type Asked = "names" | "answer" | "answerIn" | "hijackFor" | "resolvers" | "splits" | "trust" | "clients" | "excluded";
type DnsSite = Pick<Site, "host" | "hijackNames" | "failOpen">;

/** What DNS needs of the configuration. */
export interface DnsConfig extends Pick<Config, Asked> {
  readonly listen: Pick<Config["listen"], "dns" | "https">;
  readonly sites: readonly DnsSite[];
  readonly wildcards: readonly DnsSite[];
}

export interface DnsEnd {
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

/** `healthy`: whether hijacked names may lead to the front end. Throws SetupError for what only its user can mend. */
export const dnsEnd = async (config: DnsConfig, log: Logger, healthy: () => boolean): Promise<DnsEnd> => {
  const ourselves = { host: "", hijackNames: config.names, failOpen: false };
  const zone = createZone({
    names: hostTable({ ...config, sites: [...config.sites, ourselves] }, ({ failOpen }) => ({ failOpen })),
    addressesFor: answerAddresses({ ...config, https: config.listen.https }),
    hijackFor: parsePrefixes(config.hijackFor),
    healthy,
  });
  const resolvers = await openResolvers(config, log);
  const named = namedAnswers(config);
  const own = () => (config.answer === "auto" ? hostNetwork.addresses().map(({ address }) => address) : []);
  const server = await serveDns({
    listen: config.listen.dns.map(formatAddress),
    zone: withLocalNames(zone, {
      addresses: () => [...named, ...own()],
      name: config.names[0]!,
      isAsked: (name) => resolvers.isAsked(name),
    }),
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
