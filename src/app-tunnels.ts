// What is passed on untouched put together: whose names are believed, which hosts may be reached, and the way out to them.
import { namesOf } from "./app-names.ts";
import type { Config } from "./config/config.ts";
import type { BeforeTls } from "./http/server.ts";
import { type Tunnels, tunnels } from "./http/tunnel.ts";
import { leadingTo } from "./lib/address-reach.ts";
import { namedAnswers } from "./lib/answers.ts";
import { plainHost } from "./lib/host-name.ts";
import { HostTable } from "./lib/host-table.ts";
import type { Logger } from "./lib/log.ts";
import { doorAddresses, isLocalAddress, ownAddresses } from "./lib/own-addresses.ts";
import { trusting } from "./lib/roots.ts";
import { INTERNAL_ERROR } from "./lib/tls-alert.ts";
import { peek } from "./tls/peek.ts";
import { portOf } from "./upstream/port.ts";
import { realHosts } from "./upstream/real-host.ts";
import { UpstreamResolver } from "./upstream/resolver.ts";

/** Whether a name, in any form, is one whose TLS is passed on: what is a site's, or our own, never is. */
const passedOn = ({ passthrough, sites, wildcards, names }: Config): ((name: string) => boolean) => {
  const table = new HostTable<object>([
    ...wildcards.map(({ host }) => [host, false] as const),
    ...passthrough.map((name) => [name, {}] as const),
    ...[...sites.flatMap(({ hijackNames }) => hijackNames), ...names].map((name) => [name, false] as const),
  ]);
  return (name) => table.find(name) !== undefined;
};

/**
 * What a TLS door does with each connection first: one that asks for a host in `passthrough` goes there as it is, any other to `take`. Undefined:
 * there is nothing to look for.
 */
export const passOn = (config: Config, { through }: Pick<Tunnels, "through">): BeforeTls | undefined => {
  if (config.passthrough.length === 0) return undefined;
  const passes = passedOn(config);
  return (socket, take, keep) => {
    peek(socket, ({ serverName }) => {
      if (serverName === undefined || !passes(serverName)) return take();
      keep();
      through(socket, { host: plainHost(serverName), port: 443 }, { door: "https" }).catch(() => {
        socket.end(INTERNAL_ERROR, () => socket.destroy());
      });
    });
  };
};

/** Any door's: counted together. `close` ends them. */
export const openTunnels = (config: Config, log: Logger): Tunnels => {
  const { httpProxy, trust } = config;
  const names = namesOf(config, log);
  const answered = new Set(namedAnswers(config).map(leadingTo));
  const isDoor = ownAddresses(doorAddresses(config.listen));
  // behind published ports or a balancer the address that leads to us is none of this machine's
  const isOurs = (address: string, port: number) => isDoor(address, port) || answered.has(leadingTo(address));
  const resolver = new UpstreamResolver({ names, isOurs });
  const isNamed = passedOn(config);
  return tunnels({
    dial: realHosts({
      resolver,
      isNamed,
      isHere: isLocalAddress,
      proxy: httpProxy && { url: httpProxy, lookup: resolver.lookupFor(portOf(httpProxy)), secureContext: trusting(trust) },
    }),
    release: () => names.close(),
    log,
  });
};
