// The shape of the whole configuration: every key that DESIGN names, unknown ones refused, units parsed here and nowhere else.
import { isIP } from "node:net";
import { z } from "zod";
import { parseAddress } from "../lib/listen.ts";
import { parsePrefixes } from "../lib/prefixes.ts";
import { parseDuration, parseSize } from "../lib/units.ts";
import {
  parseHelper,
  parseHost,
  parseHostOrWildcard,
  parseHttpProxy,
  parseMatch,
  parseUpstream,
  resolverText,
} from "./values.ts";

/** Unknown keys carry the known ones as their message, for a "did you mean". */
const strict = <S extends z.core.$ZodLooseShape>(shape: S) =>
  z.strictObject(shape, { error: (issue) => (issue.code === "unrecognized_keys" ? Object.keys(shape).join(" ") : undefined) });

/** A text that `parse` turns into a value; what `parse` throws is what the user reads. */
const parsed = <T>(expected: string, parse: (text: string) => T) =>
  z.string({ error: () => `expected ${expected}` }).transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: (error as Error).message });
      return z.NEVER;
    }
  });

/** A list, or one text for it, in which commas part the entries; `[]` in the environment is the empty list. */
const list = <T extends z.ZodType>(entry: T) => z.preprocess(splitText, z.array(entry));
const splitText = (value: unknown): unknown => {
  if (typeof value !== "string") return value;
  const entries = value.split(",").map((entry) => entry.trim());
  return value.trim() === "[]" ? [] : entries.filter((entry) => entry !== "");
};

/** Values from the environment are texts. */
const truth = z.preprocess((value) => (value === "true" ? true : value === "false" ? false : value), z.boolean());
const numbered = (value: unknown) => (typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value);
const count = z.preprocess(numbered, z.int().min(0));
/** Requests at once; more sockets than this a process does not get. */
const concurrency = z.preprocess(numbered, z.int().min(1).max(1_000));

const text = z.string().min(1, { error: () => "expected a text that is not empty" });
const duration = parsed("a duration such as 90s, 5m, 12h or 30d", parseDuration);
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

const job = strict({
  source: text,
  tags: z.union([
    z.string(),
    z.array(z.string()),
    strict({
      semver: text.optional(),
      match: text.optional(),
      newest: count.optional(),
      only: list(text).optional(),
      except: list(text).optional(),
    }),
  ]),
  platforms: list(text).optional(),
  schedule: text.optional(),
  backup: text.optional(),
  keep: count.optional(),
}).partial({ tags: true });

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
  mirror: z.union([text, z.array(job)]).optional(),
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
