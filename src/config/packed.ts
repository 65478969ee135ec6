// A configuration as it goes from one process to another: URLs are the one thing in it that a message cannot carry.
import type { MirrorWebhook } from "../mirrors.ts";
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

/** What the reader says, once. */
export type Reading =
  | { readonly kind: "config"; readonly config: PackedConfig }
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

const packSite = (site: Site): PackedSite => ({
  ...site,
  upstreams: site.upstreams.map(({ href }) => href),
  httpProxy: site.httpProxy?.href,
});

const unpackSite = (site: PackedSite): Site => ({
  ...site,
  upstreams: site.upstreams.map((href) => new URL(href)),
  httpProxy: urlOf(site.httpProxy),
});

const urlOf = (href: string | undefined): URL | undefined => (href === undefined ? undefined : new URL(href));
