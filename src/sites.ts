// The one table that DNS, TLS and HTTP read: which registry hosts Layover stands in for, and what each is.
import { LRUCache } from "lru-cache";
import { plainHost } from "./lib/host-name.ts";
import { HostTable, suffixOf } from "./lib/host-table.ts";
import { upTo } from "./lib/lru.ts";

/** Times in milliseconds. */
export interface TagPolicy {
  /** How long a tag is served without a question. */
  readonly freshFor: number;
  /** How long after that it is served at once, while upstream is asked in the background (RFC 5861 §3). */
  readonly staleWhileRevalidate: number;
  /** How long past upstream's last word a tag is served while upstream is away. */
  readonly staleIfError: number;
  /** What becomes of what is held when upstream says that it is gone. */
  readonly onGone: "keep" | "drop";
}

/** What is so for the references that it matches; what it leaves out is as the site has it. */
export interface Rule extends Partial<TagPolicy> {
  /** `repository:tag` globs, or a repository's alone for every reference to it. */
  readonly match: string;
  /** Once held it never moves, and is never asked for again. */
  readonly pin?: boolean;
  readonly deny?: boolean;
  /** As of the site. */
  readonly onMissing?: Site["onMissing"];
}

/** Never logged. */
export interface OwnCredentials {
  readonly username?: string;
  readonly password?: string;
  readonly token?: string;
  /** What buys tokens at a realm in place of a password (OAuth 2.0's refresh token). */
  readonly identityToken?: string;
}

/** As they were read at start, and from where they can be had anew. */
export interface SiteCredentials extends Pick<OwnCredentials, "username" | "password" | "token"> {
  /** Absolute, as is the next. */
  readonly passwordFile?: string;
  readonly tokenFile?: string;
  /** The name of a Docker credential helper: what stands behind `docker-credential-`. */
  readonly helper?: string;
}

/** Where the keys are that a site's tokens are signed with: at an https URL, or in a file, whose text was found right at start. */
export type TokenKeySource = { readonly url: string } | { readonly file: string; readonly text: string };

/** PEM, never logged. */
export interface ClientCertificate {
  /** With what is between it and its root. */
  readonly certificate: string;
  readonly key: string;
}

export interface Site {
  /** The registry's own name, in lower case; the key of everything that is kept for it. */
  readonly host: string;
  /** `*.pkg.dev`, where that entry of the configuration stands for this host; of the entry itself it is the host. */
  readonly wildcard?: string;
  /** `host` and its aliases: answered by DNS and TLS. */
  readonly hijackNames: readonly string[];
  /** What `?ns=` and mirror paths may call it. */
  readonly lookupNames: readonly string[];
  readonly kind: "upstream" | "local";
  /** Origins, tried in order; none of a local site. */
  readonly upstreams: readonly URL[];
  /** Requests that one of them gets at once. */
  readonly concurrency: number;
  /** Whose credential decides: the client's, or Layover's own for all who reach it. */
  readonly access: "client" | "shared";
  readonly credentials: SiteCredentials | undefined;
  /** Of a local site: the htpasswd file of those who may use it, absolute; `undefined`: everybody. */
  readonly users: string | undefined;
  /** Further hosts whose token realm may get our own credentials. */
  readonly realms: readonly string[];
  /** With these a client's token is checked as the registry itself does, and then needs no question. */
  readonly tokenKeys: TokenKeySource | undefined;
  /** PEM added to the roots that upstream's certificate is checked against. */
  readonly trust: string | undefined;
  /** Shown to the upstreams that ask for one, and to nobody else. */
  readonly clientCertificate: ClientCertificate | undefined;
  /** What every request of ours for the site goes through, user and password included; never logged. */
  readonly httpProxy: URL | undefined;
  /** Globs of repositories that may be asked for; empty: all. */
  readonly allow: readonly string[];
  /** Whether what is not held is asked for upstream, or refused: then only a sync brings anything in. */
  readonly onMissing: "cache" | "refuse";
  readonly readOnly: boolean;
  readonly offline: boolean;
  /** Whether its names answer with their real addresses while the front end is not well. */
  readonly failOpen: boolean;
  readonly policy: TagPolicy;
  /** The first that matches a reference says what differs from `policy`. */
  readonly rules: readonly Rule[];
  readonly grantFor: number;
  readonly publicFor: number;
  readonly staleAccess: number;
}

/** What stands for more hosts than one, and what is taken out of it. */
export interface Wildcards {
  /** `host` of each is such as `*.pkg.dev`, which in its upstreams stands for the name that was asked for. */
  readonly wildcards: readonly Site[];
  /** Names, and such as `*.eu.pkg.dev` for all below. */
  readonly excluded: readonly string[];
}

export interface Sites {
  /** Those that have a name of their own in the configuration. */
  readonly all: readonly Site[];
  readonly wildcards: readonly Site[];
  /** By a name that DNS and TLS answer for; any case, with or without a trailing dot. A host that a wildcard stands for is a site of its own. */
  byHost(name: string): Site | undefined;
  /** By a name that `?ns=` or a mirror path says. */
  byLookup(name: string): Site | undefined;
}

/** Of the hosts that wildcards stand for: which is asked for again is made again. */
const KEPT = 1_024;
const NONE: Wildcards = { wildcards: [], excluded: [] };

export const siteTable = (all: readonly Site[], { wildcards, excluded }: Wildcards = NONE): Sites => {
  const lookups = new Map(all.flatMap((site) => site.lookupNames.map((name) => [name, site] as const)));
  const hosts = hostTable({ sites: all, wildcards, excluded }, (site) => site);
  const known = new LRUCache<string, Site>(upTo(KEPT));
  const byHost = (name: string): Site | undefined => {
    const found = hosts.find(name);
    if (found === undefined || found.hijackNames.length > 0) return found;
    const host = plainHost(name);
    const site = known.get(host) ?? siteBelow(found, host);
    known.set(host, site);
    return site;
  };
  return { all, wildcards, byHost, byLookup: (name) => lookups.get(plainHost(name)) ?? byHost(name) };
};

/** The one order in which names are looked for, for all who look. */
export const hostTable = <S extends Pick<Site, "host" | "hijackNames">, T extends object>(
  { sites, wildcards, excluded }: { sites: readonly S[]; wildcards: readonly S[]; excluded: readonly string[] },
  value: (site: S) => T,
): HostTable<T> =>
  new HostTable<T>([
    ...excluded.map((name) => [name, false] as const),
    ...wildcards.map((site) => [site.host, value(site)] as const),
    ...sites.flatMap((site) => site.hijackNames.map((name) => [name, value(site)] as const)),
  ]);

/** A site of its own, at the upstreams that have its name where the wildcard's have a star. */
const siteBelow = (wildcard: Site, host: string): Site => {
  const star = host.slice(0, -suffixOf(wildcard.host).length - 1);
  const upstreams = wildcard.upstreams.map((origin) => new URL(origin.href.replace("//*.", `//${star}.`)));
  return { ...wildcard, host, wildcard: wildcard.host, hijackNames: [host], lookupNames: [host], upstreams };
};
