// What is passed on untouched put together: whose names are believed, which hosts may be reached, and the way out to them.
import { namesOf } from "./app-names.ts";
import type { Config } from "./config/config.ts";
import { type Tunnels, tunnels } from "./http/tunnel.ts";
import { HostTable } from "./lib/host-table.ts";
import type { Logger } from "./lib/log.ts";
import { doorAddresses, isLocalAddress, ownAddresses } from "./lib/own-addresses.ts";
import { trusting } from "./lib/roots.ts";
import { portOf } from "./upstream/port.ts";
import { realHosts } from "./upstream/real-host.ts";
import { UpstreamResolver } from "./upstream/resolver.ts";

/** Any door's: counted together. `close` ends them. */
export const openTunnels = (config: Config, log: Logger): Tunnels => {
  const { answer, httpProxy, passthrough, trust } = config;
  const names = namesOf(config, log);
  const answered = new Set(answer === "auto" ? [] : answer);
  const isDoor = ownAddresses(doorAddresses(config.listen));
  // behind published ports or a balancer the address that leads to us is none of this machine's
  const isOurs = (address: string, port: number) => isDoor(address, port) || answered.has(address);
  const resolver = new UpstreamResolver({ names, isOurs });
  const named = new HostTable(passthrough.map((name) => [name, {}]));
  return tunnels({
    dial: realHosts({
      resolver,
      isNamed: (host) => named.find(host) !== undefined,
      isHere: isLocalAddress,
      proxy: httpProxy && { url: httpProxy, lookup: resolver.lookupFor(portOf(httpProxy)), secureContext: trusting(trust) },
    }),
    release: () => names.close(),
    log,
  });
};
