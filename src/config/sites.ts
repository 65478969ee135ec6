// Settings → the site table: one edit in the configuration reaches DNS, TLS and HTTP alike.
import { isWildcardName } from "../lib/host-table.ts";
import type { ClientCertificate, Rule, Site, SiteCredentials, TokenKeySource } from "../sites.ts";
import { extraLookupNames, type MergedSite } from "./builtin.ts";
import type { Files } from "./files.ts";
import { usersOf } from "./local.ts";
import type { Problem } from "./problems.ts";
import type { SiteSettings } from "./schema.ts";

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const DAY = 24 * HOUR;

/** DESIGN's "Defaults that matter"; times in milliseconds. */
export const DEFAULTS = {
  freshFor: 60 * SECOND,
  staleWhileRevalidate: 0,
  staleIfError: 30 * DAY,
  grantFor: 300 * SECOND,
  publicFor: HOUR,
  staleAccess: DAY,
  concurrency: 64,
} as const;

type Report = (problem: Problem) => void;

/** Reads the secrets and certificates that the site names. What is wrong is given to `report`; `trust` is for all upstreams. */
export const buildSite = async (merged: MergedSite, trust: string | undefined, files: Files, report: Report): Promise<Site> => {
  const { host, settings } = merged;
  const hijackNames = isWildcardName(host) ? [] : [...new Set([host, ...(settings.aliases ?? [])])];
  const own = settings.trust === undefined ? undefined : await files.certificates(settings.trust, merged.at("trust"));
  return {
    host,
    hijackNames,
    lookupNames: [...hijackNames, ...extraLookupNames(host)],
    kind: settings.kind ?? "upstream",
    upstreams: originsOf(merged, report),
    concurrency: settings.concurrency ?? DEFAULTS.concurrency,
    access: settings.access === "shared" ? "shared" : "client",
    credentials: await credentialsOf(merged, files, report),
    realms: settings.realms ?? [],
    users: await usersOf(merged, files, report),
    tokenKeys: await tokenKeysOf(merged, files, report),
    trust: [trust, own].filter((pem) => pem !== undefined).join("") || undefined,
    clientCertificate: await clientCertificateOf(merged, files),
    httpProxy: settings.httpProxy,
    allow: settings.allow ?? [],
    onMissing: settings.kind === "local" ? "cache" : (settings.onMissing ?? "cache"),
    readOnly: settings.readOnly ?? false,
    offline: settings.kind !== "local" && (settings.offline ?? false),
    failOpen: settings.kind !== "local" && (settings.failOpen ?? failsOpen(settings)),
    policy: {
      freshFor: settings.freshFor ?? DEFAULTS.freshFor,
      staleWhileRevalidate: settings.staleWhileRevalidate ?? DEFAULTS.staleWhileRevalidate,
      staleIfError: settings.staleIfError ?? DEFAULTS.staleIfError,
      onGone: settings.onGone ?? "keep",
    },
    rules: (settings.rules ?? []).map(given),
    grantFor: settings.grantFor ?? DEFAULTS.grantFor,
    publicFor: settings.publicFor ?? DEFAULTS.publicFor,
    staleAccess: settings.staleAccess ?? DEFAULTS.staleAccess,
  };
};

/** Where a tag must not move by going round us, real addresses are never given. */
const failsOpen = ({ offline, onMissing, rules = [] }: SiteSettings): boolean =>
  offline !== true && onMissing !== "refuse" && !rules.some((rule) => rule.pin === true || rule.onMissing === "refuse");

/** Without the keys that nothing was said for. */
const given = (rule: NonNullable<SiteSettings["rules"]>[number]): Rule =>
  Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== undefined)) as unknown as Rule;

const originsOf = (merged: MergedSite, report: Report): URL[] => {
  const { upstream, kind } = merged.settings;
  if (kind === "local") return [];
  if (upstream === undefined) return [new URL(`https://${merged.host}`)];
  if (upstream.length === 0) report({ path: merged.at("upstream"), text: "expected at least one origin, found none" });
  if (!isWildcardName(merged.host) && upstream.some(({ hostname }) => isWildcardName(hostname)))
    report({ path: merged.at("upstream"), text: "only where the site is such as *.registry.example has a star a meaning" });
  return upstream;
};

const clientCertificateOf = async (merged: MergedSite, files: Files): Promise<ClientCertificate | undefined> => {
  const given = merged.settings.clientCertificate;
  return given && files.keyPair(given.certificate, given.key, merged.at("clientCertificate"));
};

const credentialsOf = async (merged: MergedSite, files: Files, report: Report): Promise<SiteCredentials | undefined> => {
  const given = merged.settings.credentials;
  const path = merged.at("credentials");
  if (given === undefined) return undefined;
  const wrong = shapeProblem(given);
  if (wrong !== undefined) {
    report({ path, text: wrong });
    return undefined;
  }
  const { username, passwordFile, tokenFile, helper } = given;
  const password = passwordFile === undefined ? given.password : await files.secret(passwordFile, [...path, "passwordFile"]);
  const token = tokenFile === undefined ? given.token : await files.secret(tokenFile, [...path, "tokenFile"]);
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(token !== undefined && { token }),
    ...(passwordFile !== undefined && { passwordFile: files.path(passwordFile) }),
    ...(tokenFile !== undefined && { tokenFile: files.path(tokenFile) }),
    ...(helper !== undefined && { helper }),
  };
};

/** A URL, or the name of a file. Over plain HTTP anybody on the way could put keys of their own in place. */
const tokenKeysOf = async (merged: MergedSite, files: Files, report: Report): Promise<TokenKeySource | undefined> => {
  const given = merged.settings.tokenKeys;
  const path = merged.at("tokenKeys");
  if (given === undefined) return undefined;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(given)) {
    const url = URL.parse(given);
    const isRight = url?.protocol === "https:" && url.username === "" && url.password === "" && url.hash === "";
    if (!isRight) report({ path, text: "expected a file, or an https:// URL without credentials" });
    return isRight ? { url: url.href } : undefined;
  }
  const text = await files.publicKeys(given, path);
  return text === undefined ? undefined : { file: files.path(given), text };
};

const shapeProblem = (given: NonNullable<SiteSettings["credentials"]>): string | undefined => {
  const { username, password, passwordFile, token, tokenFile, helper } = given;
  const passwords = [password, passwordFile].filter((value) => value !== undefined).length;
  const tokens = [token, tokenFile].filter((value) => value !== undefined).length;
  const isBasic = username !== undefined && passwords === 1 && tokens === 0 && helper === undefined;
  const isBearer = username === undefined && passwords === 0 && tokens === 1 && helper === undefined;
  const isHelped = username === undefined && passwords === 0 && tokens === 0 && helper !== undefined;
  if (isBasic || isBearer || isHelped) return undefined;
  return "expected username with one of password and passwordFile, or one of token, tokenFile and helper alone";
};
