// The shape of the whole configuration: every key that DESIGN names, unknown ones refused, units parsed here and nowhere else.
import { isIP } from "node:net";
import { z } from "zod";
import { parseAddress } from "../lib/listen.ts";
import { parsePrefixes } from "../lib/prefixes.ts";
import { parseSize } from "../lib/units.ts";
import { duration, list, numbered, parsed, strict, text, truth } from "./fields.ts";
import { mirror, webhook } from "./mirror-schema.ts";
import {
  parseHelper,
  parseHost,
  parseHostOrWildcard,
  parseHttpProxy,
  parseMatch,
  parseUpstream,
  resolverText,
} from "./values.ts";

/** Requests at once; more sockets than this a process does not get. */
const concurrency = z.preprocess(numbered, z.int().min(1).max(1_000));

const address = parsed("ip:port or [ipv6]:port", (text) => parseAddress(text));
const host = parsed("a host name", parseHost);
const prefix = parsed("a prefix", (text) => {
  parsePrefixes([text]);
  return text;
});
const ip = parsed('"auto" or an IP address', (text) => {
  if (isIP(text) !== 0 && !/^[0:.]+$/.test(text)) return text;
  throw new Error(`expected "auto" or an address that clients can reach, found ${JSON.stringify(text)}`);
});

const answer = z.union([z.literal("auto"), ip]);

const resolver = parsed("an IP address, ip:port, tls://host or https://host/dns-query", resolverText);

const rule = strict({
  match: parsed("a pattern such as acme/app:v*", parseMatch),
  pin: truth.optional(),
  deny: truth.optional(),
  freshFor: duration.optional(),
  staleWhileRevalidate: duration.optional(),
  staleIfError: duration.optional(),
  onGone: z.enum(["keep", "drop"]).optional(),
  onMissing: z.enum(["cache", "refuse"]).optional(),
});

const credentials = strict({
  username: text.optional(),
  password: text.optional(),
  passwordFile: text.optional(),
  token: text.optional(),
  tokenFile: text.optional(),
  helper: parsed("the name of a credential helper such as ecr-login", parseHelper).optional(),
});

const clientCertificate = strict({ certificate: text, key: text });

export const site = strict({
  kind: z.enum(["upstream", "local"]).optional(),
  aliases: list(host).optional(),
  upstream: list(parsed("an origin such as https://registry.example", parseUpstream)).optional(),
  concurrency: concurrency.optional(),
  access: z.enum(["client", "shared", "anonymous"]).optional(),
  credentials: credentials.optional(),
  realms: list(host).optional(),
  tokenKeys: text.optional(),
  trust: text.optional(),
  clientCertificate: clientCertificate.optional(),
  httpProxy: parsed("an HTTP proxy such as http://proxy.corp:3128, or none", parseHttpProxy).optional(),
  users: text.optional(),
  allow: list(text).optional(),
  onMissing: z.enum(["cache", "refuse"]).optional(),
  onGone: z.enum(["keep", "drop"]).optional(),
  readOnly: truth.optional(),
  offline: truth.optional(),
  failOpen: truth.optional(),
  rules: z.array(rule).optional(),
  freshFor: duration.optional(),
  staleWhileRevalidate: duration.optional(),
  staleIfError: duration.optional(),
  grantFor: duration.optional(),
  publicFor: duration.optional(),
  staleAccess: duration.optional(),
});

const listen = strict({
  dns: list(address).optional(),
  https: list(address).optional(),
  http: list(address).optional(),
  proxy: list(address).optional(),
  admin: list(address).optional(),
});

const ca = strict({ certificate: text.optional(), key: text.optional(), constraints: list(host).optional() });
const log = strict({
  level: z.enum(["debug", "info", "warn", "error", "silent"]).optional(),
  format: z.enum(["auto", "json", "text"]).optional(),
});
const store = strict({ blobs: text.optional(), facts: text.optional() });

const shape = {
  listen: listen.optional(),
  name: list(host).optional(),
  answer: list(z.union([z.record(z.string(), list(answer)), answer])).optional(),
  hijackFor: list(prefix).optional(),
  resolvers: list(z.union([z.record(z.string(), list(resolver)), resolver])).optional(),
  data: text.optional(),
  ca: ca.optional(),
  trust: text.optional(),
  clients: list(prefix).optional(),
  maxSize: parsed("a size such as 500MB or 200GiB", parseSize).optional(),
  maxAge: duration.optional(),
  log: log.optional(),
  defaults: site.optional(),
  sites: z.record(z.string(), z.union([z.literal(false), site])).optional(),
  passthrough: list(parsed("a host name, or *. and a suffix", parseHostOrWildcard)).optional(),
  mirror: z.union([text, mirror]).optional(),
  notify: z.array(webhook).optional(),
  store: store.optional(),
};

export const settings = strict(shape);
export type Settings = z.output<typeof settings>;
export type SiteSettings = z.output<typeof site>;

/** What `LAYOVER_…` may set, as paths: every key, and the keys within the sections that are not keyed by the user's own names. */
export const settablePaths: readonly (readonly string[])[] = [
  ...Object.keys(shape).map((key) => [key]),
  ...Object.entries({ listen, ca, log, store, defaults: site }).flatMap(([section, { shape }]) =>
    Object.keys(shape).map((key) => [section, key]),
  ),
];
