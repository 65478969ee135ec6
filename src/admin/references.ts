// References as people write them: `ghcr.io/acme/app:1`, `ubuntu`, `docker.io/library/ubuntu@sha256:…`. Parsed once, against the site table.
import { type Digest, parseDigest } from "../oci/digest.ts";
import { isOciError } from "../oci/error.ts";
import { isTag, parseRepository, type Repository, type Tag } from "../oci/reference.ts";
import type { Site, Sites } from "../sites.ts";
import { AdminError } from "./error.ts";

/** The lookup name of the registry that is meant when none is written. */
const DEFAULT_REGISTRY = "docker.io";
const DEFAULT_TAG = "latest" as Tag;
/** Where the Hub keeps what is written without a slash. */
const OFFICIAL = "library/";

/** With both, the digest says what is meant and the tag is a comment, as clients take it. */
export interface Image {
  readonly site: Site;
  readonly repo: Repository;
  readonly tag: Tag | undefined;
  readonly digest: Digest | undefined;
}

/** What one image is: its digest, else its tag, else `latest`. */
export const referenceOf = ({ tag, digest }: Image): Tag | Digest => digest ?? tag ?? DEFAULT_TAG;

/** `ghcr.io/acme/app:1`, `ghcr.io/acme/app@sha256:…`, with the site's own name. */
export const written = (site: string, repo: string, reference?: string): string =>
  `${site}/${repo}${reference === undefined ? "" : `${reference.includes(":") ? "@" : ":"}${reference}`}`;

/** As it is called everywhere else too: of the Hub nobody knows the host. */
export const calledIn = ({ host, lookupNames }: Site, repo: string, reference: string): string =>
  written(lookupNames.includes(DEFAULT_REGISTRY) ? DEFAULT_REGISTRY : host, repo, reference);

/** Throws UNKNOWN_SITE with the names that there are, INVALID for what is no reference. */
export const parseImage = (text: string, sites: Sites): Image => {
  const plain = text.trim().replace(/^docker:\/\//, "");
  const [, name = "", digest] = /^([^@]*)(?:@(.*))?$/s.exec(plain) ?? [];
  const [, path = "", tag] = /^(.*?)(?::([^/:]*))?$/s.exec(name) ?? [];
  const { site, rest } = siteOf(path, sites);
  const isOfficial = site.lookupNames.includes(DEFAULT_REGISTRY) && !rest.includes("/");
  if (tag !== undefined && !isTag(tag)) throw new AdminError("INVALID", `${quote(text)}: ${quote(tag)} is no tag`);
  return checked(text, () => ({
    site,
    repo: parseRepository(isOfficial ? `${OFFICIAL}${rest}` : rest),
    tag: tag as Tag | undefined,
    digest: digest === undefined ? undefined : parseDigest(digest),
  }));
};

/** A site alone (`ghcr.io`), or a repository without tag and digest. */
export const parsePlace = (text: string, sites: Sites): { readonly site: Site; readonly repo: Repository | undefined } => {
  const plain = text.trim().replace(/\/$/, "");
  const alone = plain.includes("/") ? undefined : sites.byLookup(plain);
  if (alone !== undefined) return { site: alone, repo: undefined };
  if (!plain.includes("/") && looksLikeHost(plain)) throw unknownSite(plain, sites);
  const { site, repo, tag, digest } = parseImage(plain, sites);
  if (tag !== undefined || digest !== undefined)
    throw new AdminError("INVALID", `${quote(text)}: expected a site or a repository, found one of its images`);
  return { site, repo };
};

/** As clients have it: what is before the first slash is a registry when it looks like a host, or is the name of a site. */
const siteOf = (path: string, sites: Sites): { site: Site; rest: string } => {
  const slash = path.indexOf("/");
  const first = path.slice(0, Math.max(slash, 0));
  const named = slash === -1 ? undefined : sites.byLookup(first);
  if (named !== undefined) return { site: named, rest: path.slice(slash + 1) };
  if (slash !== -1 && looksLikeHost(first)) throw unknownSite(first, sites);
  const site = sites.byLookup(DEFAULT_REGISTRY);
  if (site === undefined) throw unknownSite(DEFAULT_REGISTRY, sites);
  return { site, rest: path };
};

const looksLikeHost = (name: string): boolean => /[.:]/.test(name) || name === "localhost";

const unknownSite = (name: string, sites: Sites): AdminError =>
  new AdminError("UNKNOWN_SITE", `${name} is no site of this Layover, which has ${namesOf(sites).join(", ")}`);

const namesOf = ({ all, wildcards }: Sites): string[] => [...all, ...wildcards].map(({ host }) => host);

const checked = <T>(text: string, parse: () => T): T => {
  try {
    return parse();
  } catch (error) {
    throw isOciError(error) ? new AdminError("INVALID", `${quote(text)}: ${error.message}`) : error;
  }
};

const quote = (text: string): string => JSON.stringify(text.slice(0, 300));
