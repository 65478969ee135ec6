// From a configuration, and from where a client reaches us, to what its set-up is made of.
import type { Config } from "../config/config.ts";
import { isWildcard } from "../lib/listen.ts";
import type { Setup } from "./setup.ts";

export interface Reached {
  /** The address that clients reach us by. */
  readonly address: string;
  /** What hijacked names are answered with. */
  readonly answer: readonly string[];
  /** Where that is known better than by the configuration. */
  readonly dnsHost?: string | undefined;
  readonly ca: string;
  readonly fingerprints: readonly string[];
  readonly url: string | undefined;
}

export const setupOf = (
  { sites, wildcards, passthrough, names, listen }: Pick<Config, "sites" | "wildcards" | "passthrough" | "names" | "listen">,
  { address, answer, dnsHost, ca, fingerprints, url }: Reached,
): Setup => {
  // port 0 is one that the system chooses: nothing that a client could be set up for
  const https = listen.https.find(({ port }) => port > 0);
  const proxy = listen.proxy.find(({ port }) => port > 0);
  const ownDns = listen.dns.find(({ host }) => !isWildcard(host))?.host;
  return {
    names: [...sites.flatMap((site) => site.hijackNames), ...wildcards.map(({ host }) => host)],
    passed: passthrough,
    dns: { host: dnsHost ?? ownDns ?? address, port: listen.dns[0]?.port || 53 },
    answer,
    mirror: https && { name: names[0]!, port: https.port },
    proxy: proxy && { host: isWildcard(proxy.host) ? address : proxy.host, port: proxy.port },
    ca,
    fingerprints,
    url,
  };
};
