// Where Layover's own credentials for a site may go besides its upstream. A realm is whatever upstream says it is, so it gets them by https
// alone, and where it is of the same registrable domain as the upstream or the site, known for the site, or listed (CVE-2026-33540 is the lesson).
import { isIP } from "node:net";
import { plainHost } from "../lib/host-name.ts";
import type { Logger } from "../lib/log.ts";
import { Seldom } from "../lib/seldom.ts";
import { OciError } from "../oci/error.ts";
import type { Site } from "../sites.ts";

/** Hosts that the built-in sites' token servers have other than their own. */
const KNOWN_REALMS: Readonly<Record<string, readonly string[]>> = {
  "registry-1.docker.io": ["auth.docker.io"],
  "registry.gitlab.com": ["gitlab.com"],
};

/** What is said of a name that upstream has made up, at the most. Characters. */
const MAX_NAME = 100;

/** Throws UPSTREAM_INVALID, and says so in the log once in a while, where our credentials for the site are not to go to the realm. */
export type OwnRealms = (realm: URL, upstream: URL) => Promise<void>;

export const ownRealms = ({ host, realms }: Pick<Site, "host" | "realms">, log: Logger): OwnRealms => {
  const refusals = new Seldom();
  return async (realm, upstream) => {
    const why = await whyNot(realm, upstream, host, realms);
    if (why === undefined) return;
    const named = `${realm.protocol}//${realm.host}`.slice(0, MAX_NAME);
    const about = { site: host, upstream: upstream.origin, realm: named, why };
    refusals.tell((times) => log.warn({ ...about, times }, "our credentials are not sent to the realm that upstream names"));
    throw new OciError("UPSTREAM_INVALID", `our credentials are not sent to the realm ${named}: ${why}`);
  };
};

/** `undefined` where they may go there. */
const whyNot = async (realm: URL, upstream: URL, site: string, listed: readonly string[]): Promise<string | undefined> => {
  if (realm.username !== "" || realm.password !== "") return "it has a user's name in it";
  // an upstream that we talk to in clear gets them in clear, and nobody else does
  const isUpstream = realm.origin === upstream.origin;
  if (realm.protocol !== "https:" && !isUpstream) return "it is not https";
  const host = plainHost(realm.hostname);
  // URLs may have them, DNS has not; what else would take them for one name is not ours to say
  if (host.split(".").includes("")) return "its name has an empty part";
  const known = [upstream.hostname, site, ...(KNOWN_REALMS[site] ?? []), ...listed].map(plainHost);
  if (known.includes(host) || (await isOfDomain(host, [upstream.hostname, site]))) return undefined;
  return `it is of another domain than ${upstream.hostname}; if that is right, list ${host.slice(0, MAX_NAME)} in the site's realms`;
};

/** By the public suffix list, private suffixes (github.io, s3.amazonaws.com) included: under one of those each name is somebody else's. */
const isOfDomain = async (host: string, others: readonly string[]): Promise<boolean> => {
  if (isIP(host.replace(/^\[|\]$/g, "")) !== 0) return false;
  // only where upstream and realm are apart, and nobody has said so: the list is 10 MB that most never need
  const { getDomain } = await import("tldts");
  const domainOf = (name: string) => getDomain(name, { allowPrivateDomains: true, extractHostname: false });
  const domain = domainOf(host);
  return domain !== null && others.some((name) => domainOf(name) === domain);
};
