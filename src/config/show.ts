// The effective configuration as YAML that could be loaded again. Secrets are only said to be there.
import { stringify } from "yaml";
import { isWildcardName } from "../lib/host-table.ts";
import { formatAddress } from "../lib/listen.ts";
import { formatDuration, formatSize } from "../lib/units.ts";
import type { Rule, Site, SiteCredentials } from "../sites.ts";
import { builtInHosts } from "./builtin.ts";
import type { Config } from "./config.ts";
import { showMirror, showNotify } from "./show-mirror.ts";

/** A pure function of its input; ends with a line break. */
export const showConfig = (config: Config): string => {
  const { listen, ca } = config;
  const shown = {
    listen: {
      dns: listen.dns.map(formatAddress),
      https: listen.https.map(formatAddress),
      http: listen.http.map(formatAddress),
      proxy: listen.proxy.map(formatAddress),
      admin: listen.admin === undefined ? [] : formatAddress(listen.admin),
    },
    name: config.names,
    answer: showAnswers(config),
    hijackFor: config.hijackFor,
    resolvers: [...config.resolvers, ...config.splits.map(({ zone, resolvers }) => ({ [zone]: resolvers }))],
    data: config.data,
    ca: { certificate: ca.certificate, key: ca.key, constraints: ca.constraints },
    clients: config.clients,
    ...(config.maxSize !== undefined && { maxSize: formatSize(config.maxSize) }),
    ...(config.maxAge !== undefined && { maxAge: formatDuration(config.maxAge) }),
    log: config.log,
    ...(config.httpProxy && { defaults: { httpProxy: showProxy(config.httpProxy) } }),
    sites: {
      ...takenAway(config),
      ...Object.fromEntries([...config.sites, ...config.wildcards].map((site) => [site.host, showSite(site, config.httpProxy)])),
    },
    passthrough: config.passthrough,
    mirror: showMirror(config.mirror.entries),
    notify: showNotify(config.notify),
  };
  const head = config.file === undefined ? "# no file: the defaults and the environment" : `# ${config.file} and the environment`;
  const list = config.mirror.file === undefined ? "" : `# mirror: ${config.mirror.file}\n`;
  return `${head}\n${list}${stringify(shown, { flowCollectionPadding: true, lineWidth: 130 })}`;
};

const showAnswers = ({ answer, answerIn }: Config) => {
  if (answerIn.length === 0) return answer;
  return [...answerIn.map((one) => ({ [one.prefix]: one.answer })), ...(answer === "auto" ? ["auto"] : answer)];
};

/** Layover's own names, and those that are passed on, are taken out of wildcards without being said. */
const takenAway = ({ sites, excluded, names, passthrough }: Config): Record<string, false> => {
  const here = new Set(sites.map((site) => site.host));
  const away = [
    ...builtInHosts.filter((host) => !here.has(host)),
    ...excluded.filter((name) => !names.includes(name) && !passthrough.includes(name)),
  ];
  return Object.fromEntries(away.map((host) => [host, false]));
};

const showSite = (site: Site, proxyOfAll: URL | undefined) =>
  site.kind === "local" ? showLocal(site) : showUpstream(site, proxyOfAll);

const showLocal = ({ hijackNames, kind, users, allow, readOnly, rules }: Site) => ({
  kind,
  aliases: hijackNames.slice(1),
  ...(users === undefined ? { access: "anonymous" } : { users }),
  allow,
  readOnly,
  rules: rules.map(showRule),
});

const showUpstream = (site: Site, proxyOfAll: URL | undefined) => ({
  ...(!isWildcardName(site.host) && { aliases: site.hijackNames.slice(1) }),
  upstream: site.upstreams.map((origin) => origin.origin),
  access: site.access,
  ...(site.credentials && { credentials: showCredentials(site.credentials) }),
  realms: site.realms,
  ...(site.tokenKeys && { tokenKeys: "url" in site.tokenKeys ? showUrl(site.tokenKeys.url) : site.tokenKeys.file }),
  ...(site.trust !== undefined && { trust: `<${site.trust.split("BEGIN CERTIFICATE").length - 1} certificates>` }),
  ...(site.clientCertificate && { clientCertificate: { certificate: "<set>", key: "<set>" } }),
  ...(site.httpProxy === undefined ? proxyOfAll && { httpProxy: "none" } : { httpProxy: showProxy(site.httpProxy) }),
  allow: site.allow,
  onMissing: site.onMissing,
  onGone: site.policy.onGone,
  readOnly: site.readOnly,
  offline: site.offline,
  failOpen: site.failOpen,
  freshFor: formatDuration(site.policy.freshFor),
  staleWhileRevalidate: formatDuration(site.policy.staleWhileRevalidate),
  staleIfError: formatDuration(site.policy.staleIfError),
  grantFor: formatDuration(site.grantFor),
  publicFor: formatDuration(site.publicFor),
  staleAccess: formatDuration(site.staleAccess),
  rules: site.rules.map(showRule),
});

/** Every number in a rule is a time. */
const showRule = (rule: Rule) =>
  Object.fromEntries(
    Object.entries(rule).map(([key, value]) => [key, typeof value === "number" ? formatDuration(value) : (value as unknown)]),
  );

/** A query may well be a secret. */
const showUrl = (url: string): string => url.replace(/\?.*$/, "?***");

const showProxy = ({ protocol, username, password, host }: URL): string => {
  const login = password === "" ? username : `${username}:***`;
  return `${protocol}//${login}${login === "" ? "" : "@"}${host}`;
};

/** By the file that a secret comes from, where there is one: it is read again as it changes. */
const showCredentials = (credentials: SiteCredentials) => {
  const { username, password, token, passwordFile, tokenFile, helper } = credentials;
  return {
    ...(username !== undefined && { username }),
    ...(passwordFile === undefined ? password !== undefined && { password: "<set>" } : { passwordFile }),
    ...(tokenFile === undefined ? token !== undefined && { token: "<set>" } : { tokenFile }),
    ...(helper !== undefined && { helper }),
  };
};
