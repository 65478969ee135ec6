// The mirror door: on Layover's own name a request says itself which site it is for, by `?ns=` (containerd, BuildKit) or by the first part
// of its path; else it is for Docker Hub. What is said is looked up in the site table, and is nothing that anybody connects to.
import { plainHost } from "../lib/host-name.ts";
import { OciError } from "../oci/error.ts";
import type { Site, Sites } from "../sites.ts";

/** A request as it would have come to its site's own name. */
export interface Mirrored {
  readonly site: Site;
  readonly path: string;
  readonly query: URLSearchParams;
  /** A path of the site's, with its query, as it is reached through this door. */
  readonly outward: (path: string) => string;
}

/** Docker Hub by the name that images are written with. */
const HUB = "docker.io";

export const isApi = (path: string): boolean => path === "/v2" || path.startsWith("/v2/");

/** `undefined`: `GET /v2/` of no site, which is no more than a question whether there is a registry. Throws NAME_INVALID, NAME_UNKNOWN. */
export const mirrored = (sites: Sites, path: string, query: URLSearchParams): Mirrored | undefined => {
  refuseOddPath(path);
  const named = query.getAll("ns");
  if (named.length > 1) throw new OciError("NAME_INVALID", "ns is given more than once");
  const first = /^\/v2\/([^/]+)(?=\/)/.exec(path)?.[1];
  return named.length === 1 ? byNamespace(sites, named[0]!, first, path, query) : byPath(sites, first, path, query);
};

/** Names are compared as they came: nothing may stand in them that another reads otherwise. */
const refuseOddPath = (path: string): void => {
  if (/[%\\]|\/\/|\/\.{1,2}(?:\/|$)/.test(path))
    throw new OciError("NAME_INVALID", `a path that can be read in two ways: ${path.slice(0, 300)}`);
};

/** The path is the site's own, but where a client is set up to put the same site's name in front as well. */
const byNamespace = (sites: Sites, ns: string, first: string | undefined, path: string, query: URLSearchParams): Mirrored => {
  const site = known(sites, ns);
  const isTwice = first !== undefined && isHostLike(first) && lookUp(sites, first) === site;
  const rest = new URLSearchParams(query);
  rest.delete("ns");
  const behind = prefixed(isTwice ? first : undefined);
  return {
    ...asOf(sites, site, isTwice ? withoutFirst(path, first) : path, rest),
    outward: (own) => `${behind(own)}${own.includes("?") ? "&" : "?"}ns=${encodeURIComponent(ns)}`,
  };
};

const byPath = (sites: Sites, first: string | undefined, path: string, query: URLSearchParams): Mirrored | undefined => {
  if (first !== undefined && isHostLike(first) && !(BARE.test(path) && lookUp(sites, first) === undefined))
    return { ...asOf(sites, known(sites, first), withoutFirst(path, first), query), outward: prefixed(first) };
  if (path === "/v2" || path === "/v2/") return undefined;
  return { ...asOf(sites, known(sites, HUB), path, query), outward: prefixed(undefined) };
};

/** As Docker tells a registry from a part of a repository's name; with nothing behind it it may be a name of the Hub's all the same. */
const isHostLike = (part: string): boolean => part.includes(".") || part.includes(":");

/** The registries that are stood in for are those on 443. */
const lookUp = (sites: Sites, name: string): Site | undefined => sites.byLookup(name.replace(/:443$/, ""));

/** A quick 404 sends a client on to the registry itself: Docker Hub is not asked for what is another's. */
const known = (sites: Sites, name: string): Site => {
  const site = lookUp(sites, name);
  if (site === undefined) throw new OciError("NAME_UNKNOWN", `Layover does not stand in for ${name.slice(0, 255)}`);
  return site;
};

const withoutFirst = (path: string, first: string): string => {
  if (first !== plainHost(first)) throw new OciError("NAME_INVALID", `${first.slice(0, 255)} is no part of a name`);
  return `/v2/${path.slice(`/v2/${first}/`.length)}`;
};

const prefixed = (first: string | undefined) => (own: string) =>
  first === undefined ? own : own.replace("/v2/", `/v2/${first}/`);

const asOf = (sites: Sites, site: Site, path: string, query: URLSearchParams): Omit<Mirrored, "outward"> => ({
  site,
  path: site === sites.byLookup(HUB) ? path.replace(BARE, "/v2/library/$1/$2/") : path,
  query,
});

/** A repository of one part: what is called `ubuntu` is the Hub's `library/ubuntu`, as clients know that speak to it by its own name. */
const BARE = /^\/v2\/([^/]+)\/(manifests|blobs|tags|referrers)\/(?=[^/]*$)/;
