// A configuration as it goes from one process to another: URLs are the one thing in it that a message cannot carry.
import type { MirrorConfig, MirrorWebhook } from "../mirrors.ts";
import type { Site } from "../sites.ts";
import type { Config } from "./config.ts";

interface PackedSite extends Omit<Site, "upstreams" | "httpProxy"> {
  readonly upstreams: readonly string[];
  readonly httpProxy: string | undefined;
}

interface PackedWebhook extends Omit<MirrorWebhook, "url"> {
  readonly url: string;
}

export interface PackedConfig extends Omit<Config, "sites" | "wildcards" | "httpProxy" | "notify"> {
  readonly httpProxy: string | undefined;
  readonly sites: readonly PackedSite[];
  readonly wildcards: readonly PackedSite[];
  readonly notify: readonly PackedWebhook[];
}

/** The mirror's list, which is to be read with these sites. */
export interface ListAsked extends Pick<PackedConfig, "sites" | "wildcards" | "excluded" | "data"> {
  readonly file: string;
}

/** What the reader says, once. */
export type Reading =
  | { readonly kind: "config"; readonly config: PackedConfig }
  | { readonly kind: "mirror"; readonly mirror: MirrorConfig }
  | { readonly kind: "problems"; readonly problems: readonly string[] }
  | { readonly kind: "failed"; readonly message: string };

export const pack = (config: Config): PackedConfig => ({
  ...config,
  httpProxy: config.httpProxy?.href,
  sites: config.sites.map(packSite),
  wildcards: config.wildcards.map(packSite),
  notify: config.notify.map((webhook) => ({ ...webhook, url: webhook.url.href })),
});

export const unpack = (packed: PackedConfig): Config => ({
  ...packed,
  httpProxy: urlOf(packed.httpProxy),
  sites: packed.sites.map(unpackSite),
  wildcards: packed.wildcards.map(unpackSite),
  notify: packed.notify.map((webhook) => ({ ...webhook, url: new URL(webhook.url) })),
});

export const packList = (
  file: string,
  { sites, wildcards, excluded, data }: Pick<Config, "sites" | "wildcards" | "excluded" | "data">,
): ListAsked => ({
  file,
  sites: sites.map(packNames),
  wildcards: wildcards.map(packNames),
  excluded,
  data,
});

/** Nothing secret is needed to tell sites apart. */
const packNames = (site: Site): PackedSite => ({
  ...packSite(site),
  credentials: undefined,
  clientCertificate: undefined,
  httpProxy: undefined,
  trust: undefined,
});

const packSite = (site: Site): PackedSite => ({
  ...site,
  upstreams: site.upstreams.map(({ href }) => href),
  httpProxy: site.httpProxy?.href,
});

export const unpackSite = (site: PackedSite): Site => ({
  ...site,
  upstreams: site.upstreams.map((href) => new URL(href)),
  httpProxy: urlOf(site.httpProxy),
});

const urlOf = (href: string | undefined): URL | undefined => (href === undefined ? undefined : new URL(href));
