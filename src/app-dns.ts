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
import { isWildcardName } from "./lib/host-table.ts";
import { explainListenError, formatAddress } from "./lib/listen.ts";
import type { Logger } from "./lib/log.ts";
import { parsePrefixes } from "./lib/prefixes.ts";
import { SetupError } from "./lib/setup-error.ts";
import { hostTable, type Site } from "./sites.ts";

type Answered = "names" | "answer" | "answerIn" | "hijackFor" | "clients" | "excluded" | "passthrough";
type Asked = Answered | "resolvers" | "splits" | "trust";
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
  const zone = createZone({
    names: hostTable(zoneOf(config), ({ failOpen }) => ({ failOpen })),
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

/** What stands in the zone: the sites, our own names, and what is passed on, which its real host answers for as well. */
const zoneOf = ({ sites, wildcards, excluded, names, passthrough }: DnsConfig) => {
  const passed = passthrough.map((name) => ({ host: name, hijackNames: isWildcardName(name) ? [] : [name], failOpen: true }));
  return {
    sites: [...sites, { host: "", hijackNames: names, failOpen: false }, ...passed],
    wildcards: [...wildcards, ...passed.filter(({ host }) => isWildcardName(host))],
    excluded,
  };
};
