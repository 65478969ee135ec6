// The registries that Layover stands in for when nothing is said, and how the user's own are merged over them.
import { isWildcardName } from "../lib/host-table.ts";
import { didYouMean, type Problem } from "./problems.ts";
import type { Settings, SiteSettings } from "./schema.ts";
import { parseHost, parseWildcard } from "./values.ts";
import { namesBelow } from "./wildcards.ts";

/** Docker's own registry: what clients connect to. `docker.io` is only how images are written. */
export const HUB = "registry-1.docker.io";

const BUILT_IN: ReadonlyMap<string, SiteSettings> = new Map([
  [HUB, { aliases: ["index.docker.io"] }],
  ["ghcr.io", {}],
  ["registry.gitlab.com", {}],
  ["quay.io", {}],
  ["registry.k8s.io", {}],
  ["gcr.io", {}],
  ["mcr.microsoft.com", {}],
  ["public.ecr.aws", {}],
]);

export const builtInHosts: readonly string[] = [...BUILT_IN.keys()];

/** Names by which the site may be asked for besides those it is reached by. */
export const extraLookupNames = (host: string): readonly string[] => (host === HUB ? ["docker.io"] : []);

export interface MergedSite {
  readonly host: string;
  /** Built-in, then defaults, then the user's own: the later says. */
  readonly settings: SiteSettings;
  /** Where the key was written, for messages. */
  at(...keys: (keyof SiteSettings)[]): (string | number)[];
}

export interface Merged {
  readonly sites: readonly MergedSite[];
  readonly wildcards: readonly MergedSite[];
  /** What is taken out of a wildcard. */
  readonly excluded: readonly string[];
}

/** Throws nothing: what is wrong is given to `report`. */
export const mergeSites = ({ sites = {}, defaults = {} }: Settings, report: (problem: Problem) => void): Merged => {
  const merged = new Map([...BUILT_IN].map(([host, settings]) => [host, merge(host, host, settings, defaults, {})]));
  const written = new Map<string, string>();
  const away: string[] = [];
  for (const [key, own] of Object.entries(sites)) {
    const path = ["sites", key];
    const host = hostOf(key, (text) => report({ path, text }));
    if (host === undefined) continue;
    if (written.has(host)) report({ path, text: `is the same host as ${written.get(host)}` });
    written.set(host, key);
    if (own !== false) merged.set(host, merge(host, key, BUILT_IN.get(host) ?? {}, defaults, own));
    else away.push(host);
  }
  const all = [...merged.values()];
  const wildcards = all.filter(({ host }) => isWildcardName(host));
  const excluded = namesBelow(wildcards, away);
  for (const host of away) {
    if (BUILT_IN.has(host) || excluded.includes(host)) continue;
    const text = `is not built in, so cannot be taken away${didYouMean(host, builtInHosts)}`;
    report({ path: ["sites", written.get(host)!], text });
  }
  return { sites: all.filter(({ host }) => !isWildcardName(host) && !away.includes(host)), wildcards, excluded };
};

const merge = (host: string, key: string, builtIn: SiteSettings, defaults: SiteSettings, own: SiteSettings): MergedSite => ({
  host,
  settings: { ...builtIn, ...defaults, ...own },
  at: (...keys) => {
    const [first] = keys;
    return first !== undefined && !(first in own) && first in defaults ? ["defaults", ...keys] : ["sites", key, ...keys];
  },
});

const hostOf = (key: string, report: (text: string) => void): string | undefined => {
  try {
    const host = isWildcardName(key) ? parseWildcard(key) : parseHost(key);
    if (host !== "docker.io" && host !== "hub.docker.com") return host;
    report(`no client pulls from this name: Docker Hub's registry is ${HUB}`);
  } catch (error) {
    report((error as Error).message);
  }
  return undefined;
};
