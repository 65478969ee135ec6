// The registries that a regsync.yml names, as sites: those of the configuration where they are there, else new ones.

import { parseHost } from "../config/values.ts";
import { isHost } from "../lib/host-name.ts";
import type { Site, Sites } from "../sites.ts";

/** What stands under `sites` for it, as far as it differs from what is there. */
export interface HostSettings {
  upstream?: string;
  credentials?: Record<string, string>;
  trust?: string;
  clientCertificate?: { certificate: string; key: string };
  concurrency?: number;
}

export interface Host {
  /** What it is called in a source or target. */
  readonly name: string;
  /** `undefined`: it has to be added. */
  readonly site: Site | undefined;
  readonly settings: HostSettings;
}

export interface Hosts {
  /** By what regsync calls it: `docker.io`, `registry:5000`, `10.0.0.5`. Throws an Error for people. */
  find(registry: string): Host;
  /** Those that something has to be written for under `sites`. */
  all(): readonly Host[];
}

/** `isPlain`: of which registries regsync is told to speak HTTP. */
export const hostsIn = (sites: Sites, isPlain: (registry: string) => boolean): Hosts => {
  const known = new Map<string, Host>();
  const named = new Set<string>();
  const hostOf = (registry: string): Host => {
    const site = siteAt(registry, sites, isPlain(registry));
    if (site !== undefined) return { name: lookupName(registry, site), site, settings: {} };
    const name = newName(registry, (taken) => named.has(taken) || sites.byLookup(taken) !== undefined);
    named.add(name);
    const origin = `${isPlain(registry) ? "http" : "https"}://${registry}`;
    return { name, site: undefined, settings: origin === `https://${name}` ? {} : { upstream: origin } };
  };
  return {
    find: (registry) => {
      const found = known.get(registry) ?? hostOf(registry);
      known.set(registry, found);
      return found;
    },
    all: () => [...known.values()].filter(({ site, settings }) => site === undefined || Object.keys(settings).length > 0),
  };
};

/** By its origin, or, where it has no port of its own, by its name. */
const siteAt = (registry: string, sites: Sites, isPlain: boolean): Site | undefined => {
  const origin = URL.parse(`${isPlain ? "http" : "https"}://${registry}`)?.origin;
  const same = sites.all.find(({ upstreams }) => upstreams[0]?.origin === origin);
  return same ?? sites.byLookup(registry.replace(/:443$/, ""));
};

const lookupName = (registry: string, site: Site): string => (site.lookupNames.includes(registry) ? registry : site.host);

/** Its own name, which an address has not and several ports of one machine cannot share. */
const newName = (registry: string, isTaken: (name: string) => boolean): string => {
  const [, host = "", port] = /^(.*?)(?::(\d+))?$/.exec(registry) ?? [];
  const words = host
    .replaceAll(/[^a-zA-Z0-9]+/g, "-")
    .replaceAll(/^-|-$/g, "")
    .toLowerCase();
  const candidates = [host, `${words}.registry.internal`, `${words}-${port ?? 443}.registry.internal`];
  const name = candidates.map(asHost).find((one) => one !== undefined && !isTaken(one));
  if (name === undefined) throw new Error(`${JSON.stringify(registry)} is no registry's name`);
  return name;
};

const asHost = (text: string): string | undefined => {
  try {
    const host = parseHost(text);
    return isHost(host) ? host : undefined;
  } catch {
    return undefined;
  }
};
