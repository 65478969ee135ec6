// The DNS half put together: the zone from the site table, everything else to the resolvers.
import type { Config } from "./config/config.ts";
import { answerAddresses } from "./dns/address.ts";
import type { Forwarder } from "./dns/answer.ts";
import { cached } from "./dns/cache.ts";
import { hostNetwork } from "./dns/host-network.ts";
import { withLocalNames } from "./dns/local-names.ts";
import { openResolvers, type Resolvers } from "./dns/resolvers.ts";
import { serveDns } from "./dns/server.ts";
import { createZone, type ZoneOptions } from "./dns/zone.ts";
import { namedAnswers } from "./lib/answers.ts";
import { isWildcardName } from "./lib/host-table.ts";
import { explainListenError, formatAddress } from "./lib/listen.ts";
import type { Logger } from "./lib/log.ts";
import { parsePrefixes } from "./lib/prefixes.ts";
import { SetupError } from "./lib/setup-error.ts";
import { Turns } from "./lib/turns.ts";
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
  /** Another configuration, but for `listen`: of several the last that was given. Throws SetupError, and leaves all as it was. */
  replace(config: DnsConfig): Promise<void>;
  close(): Promise<void>;
}

/** Whether hijacked names may lead to a front end, and which of the addresses may be answered with: asked for each answer. */
export type Fronts = Pick<ZoneOptions, "healthy" | "choose">;

/** Throws SetupError for what only its user can mend. */
export const dnsEnd = async (config: DnsConfig, log: Logger, fronts: Fronts): Promise<DnsEnd> => {
  let asked = await askedOf(config, log);
  let answers = answersOf(config, asked.resolvers, fronts);
  const server = await serveDns({
    listen: config.listen.dns.map(formatAddress),
    zone: { answer: (query, client) => answers.zone.answer(query, client) },
    relay: { forward: (query, client) => asked.relay.forward(query, client) },
    clients: (address) => answers.clients(address),
    log,
  }).catch((error: unknown) => {
    asked.resolvers.close();
    throw new SetupError(explainListenError(error, { key: "listen.dns", what: "DNS" }));
  });
  const listening = JSON.stringify(config.listen.dns);
  const replace = async (changed: DnsConfig): Promise<void> => {
    if (JSON.stringify(changed.listen.dns) !== listening) log.warn("listen.dns has changed: that takes a restart");
    const before = asked;
    if (keyOf(changed) !== before.key) asked = await askedOf(changed, log);
    answers = answersOf(changed, asked.resolvers, fronts);
    server.forget();
    if (asked !== before) setTimeout(() => before.resolvers.close(), UNDER_WAY).unref();
  };
  const turns = new Turns<"replace">();
  return {
    addresses: server.addresses,
    replace: (changed) => turns.take("replace", () => replace(changed)),
    close: async () => {
      await server.close();
      asked.resolvers.close();
    },
  };
};

/** Questions take no longer. Milliseconds. */
const UNDER_WAY = 10_000;

interface AskedOthers {
  readonly key: string;
  readonly resolvers: Resolvers;
  readonly relay: Forwarder;
}

const askedOf = async (config: DnsConfig, log: Logger): Promise<AskedOthers> => {
  const resolvers = await openResolvers(config, log);
  return { key: keyOf(config), resolvers, relay: cached(resolvers) };
};

/** While this is the same, what is kept of others' answers is right. */
const keyOf = ({ resolvers, splits, trust }: DnsConfig): string => JSON.stringify([resolvers, splits, trust]);

const answersOf = (config: DnsConfig, resolvers: Resolvers, fronts: Fronts) => {
  const zone = createZone({
    names: hostTable(zoneOf(config), ({ failOpen }) => ({ failOpen })),
    addressesFor: answerAddresses({ ...config, https: config.listen.https }),
    hijackFor: parsePrefixes(config.hijackFor),
    ...fronts,
  });
  const named = namedAnswers(config);
  const own = () => (config.answer === "auto" ? hostNetwork.addresses().map(({ address }) => address) : []);
  return {
    zone: withLocalNames(zone, {
      addresses: () => [...named, ...own()],
      name: config.names[0]!,
      isAsked: (name) => resolvers.isAsked(name),
    }),
    clients: parsePrefixes(config.clients),
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
