// `docker.io/library/node:22`, `ghcr.io/acme/**`: what an entry's source and target may say. The host stands first, as no default would be safe.
import { isRepository, isTag } from "../oci/reference.ts";
import type { Site, Sites } from "../sites.ts";
import { HUB } from "./builtin.ts";
import { didYouMean } from "./problems.ts";

export interface Place {
  readonly site: Site;
  /** A repository, a glob of such, or empty. */
  readonly repo: string;
  readonly tag: string | undefined;
}

const REPOSITORY_GLOB = /^[a-z0-9*][a-z0-9._*-]*(\/[a-z0-9*][a-z0-9._*-]*)*$/;

/** Throws an Error for people. */
export const parseSource = (text: string, sites: Sites): Place => {
  const { site, repo, tag } = placeOf(text, sites);
  if (repo === "") {
    if (tag !== undefined) throw new Error("expected a repository before the tag");
    return { site, repo: "**", tag };
  }
  if (!repo.includes("*") ? !isRepository(repo) : repo.length > 255 || !REPOSITORY_GLOB.test(repo)) {
    throw new Error(`expected a repository or a glob such as acme/** behind the host, found ${quoted(repo)}`);
  }
  return { site, repo: officialName(site, repo), tag };
};

/** Of a pattern's target the repository is what is put before, and may be left out. Throws an Error for people. */
export const parseTarget = (text: string, sites: Sites, ofPattern: boolean): Place => {
  const { site, repo, tag } = placeOf(text, sites);
  if (repo.includes("*"))
    throw new Error("expected no star: of a pattern the target is what is put before the source's repository");
  if (repo === "" && !ofPattern) throw new Error(`expected a repository behind the host, such as ${site.host}/mirror/node`);
  if (repo !== "" && !isRepository(repo)) throw new Error(`expected a repository behind the host, found ${quoted(repo)}`);
  return { site, repo: ofPattern ? repo : officialName(site, repo), tag };
};

const placeOf = (text: string, sites: Sites): Place => {
  if (/^[a-z+]+:\/\//i.test(text)) throw new Error(`expected no scheme: ${quoted(text.replace(/^[^:]*:\/\//, ""))} is enough`);
  if (text.includes("@"))
    throw new Error("expected no digest: one never moves, so there is nothing to mirror (`layover warm` fetches it)");
  const slash = text.indexOf("/");
  const host = slash === -1 ? text : text.slice(0, slash);
  const rest = slash === -1 ? "" : text.slice(slash + 1);
  const site = siteOf(host, text, sites);
  const colon = rest.lastIndexOf(":");
  const repo = colon === -1 ? rest : rest.slice(0, colon);
  const tag = colon === -1 ? undefined : rest.slice(colon + 1);
  if (tag?.includes("*") === true) throw new Error("expected one tag behind the colon: globs stand in `tags`");
  if (tag !== undefined && !isTag(tag)) throw new Error(`expected a tag behind the colon, found ${quoted(tag)}`);
  return { site, repo: repo.replace(/\/$/, ""), tag };
};

const siteOf = (host: string, text: string, sites: Sites): Site => {
  const site = sites.byLookup(host.replace(/:443$/, ""));
  if (site !== undefined) return site;
  const port = /^([^:]+):\d+$/.exec(host)?.[1];
  if (port !== undefined && host !== text)
    throw new Error(`${quoted(host)}: a site has no port; write ${port}, and its origin under sites.${port}.upstream`);
  if (!host.includes("."))
    throw new Error(`${quoted(host)} is no site of the configuration: the host stands first, as in docker.io/${text}`);
  const known = sites.all.flatMap(({ lookupNames }) => lookupNames);
  throw new Error(`${quoted(host)} is no site of the configuration: add it under \`sites\`${didYouMean(host, known)}`);
};

/** `docker.io/node` is `library/node` there. */
const officialName = (site: Site, repo: string): string =>
  site.host === HUB && !repo.includes("/") && !repo.includes("**") ? `library/${repo}` : repo;

const quoted = (text: string): string => JSON.stringify(text.slice(0, 120));
