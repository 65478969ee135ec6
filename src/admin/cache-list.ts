// What is held, in pages: the sites, a site's repositories, a repository's tags.
import { setImmediate as turn } from "node:timers/promises";
import type { Digest } from "../oci/digest.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { Sites } from "../sites.ts";
import type { FactStore, Hold } from "../store/facts.ts";
import type { RepositoryRow } from "../store/inventory.ts";
import type { HoldEntry, Listing, TagEntry } from "./answers.ts";
import type { ListInput } from "./operations.ts";
import { parsePlace } from "./references.ts";

const DEFAULT_LIMIT = 100;
/** Entries that are looked up in one go: the store answers in this very thread, and clients are served in between. */
const AT_ONCE = 5;
/** An index of indexes of images; deeper means no good. */
const MAX_DEPTH = 3;

interface Parts {
  readonly sites: Sites;
  readonly facts: FactStore;
}

/** Throws AdminError for what is neither a site nor a repository. */
export const listCache = async (parts: Parts, { of, after, limit = DEFAULT_LIMIT }: ListInput): Promise<Listing> => {
  if (of === undefined || of === "") return listSites(parts);
  const { inventory } = parts.facts;
  const { site, repo } = parsePlace(of, parts.sites);
  if (repo === undefined) return listRepositories(parts, site.host, "", after, limit);
  const group = `${repo}/`;
  // no tag has a slash: that is where a page of repositories went on
  if (after?.startsWith(group) === true) return listRepositories(parts, site.host, group, after, limit);
  const rows = await inventory.tags(site.host, repo, { after: after as Tag | undefined, limit });
  if (rows.length === 0 && after === undefined) {
    const below = await listRepositories(parts, site.host, group, undefined, limit);
    if (below.repositories.length > 0) return below;
  }
  const tags: TagEntry[] = [];
  for (const { tag, digest, isHeld, checkedAt, hold } of rows) {
    if (tags.length % AT_ONCE === 0) await turn();
    const { bytes, usedAt } = await weigh(parts.facts, digest);
    tags.push({
      tag,
      digest,
      held: isHeld,
      bytes,
      checkedAt: isoOf(checkedAt),
      ...(usedAt !== undefined && { usedAt: isoOf(usedAt) }),
      ...holdOf({ hold }),
    });
  }
  return { kind: "tags", site: site.host, repository: repo, tags, ...nextOf(rows.at(-1)?.tag, rows.length, limit) };
};

/** Those whose names begin with `group`: all, or what lies under a part of a path that is no repository itself. */
const listRepositories = async (
  { facts }: Parts,
  site: string,
  group: string,
  after: string | undefined,
  limit: number,
): Promise<Extract<Listing, { kind: "repositories" }>> => {
  const rows: RepositoryRow[] = [];
  for (let from = (after ?? group) as Repository; rows.length < limit; ) {
    const page = { after: from, limit: Math.min(AT_ONCE, limit - rows.length) };
    const found = (await facts.inventory.repositories(site, page)).filter(({ repo }) => repo.startsWith(group));
    rows.push(...found);
    if (found.length < page.limit) break;
    from = found.at(-1)!.repo;
    await turn();
  }
  const repositories = rows.map(({ repo, ...counts }) => ({ repository: repo, ...counts }));
  return { kind: "repositories", site, repositories, ...nextOf(rows.at(-1)?.repo, rows.length, limit) };
};

export const isoOf = (time: number): string => new Date(time).toISOString();

export const holdOf = ({ hold }: { readonly hold?: Hold | undefined }): { hold?: HoldEntry } =>
  hold === undefined ? {} : { hold: { kind: hold.kind, since: isoOf(hold.since) } };

const nextOf = (last: string | undefined, found: number, limit: number): { next?: string } =>
  last === undefined || found < limit ? {} : { next: last };

const listSites = async ({ sites, facts }: Parts): Promise<Listing> => {
  const known = new Set(await facts.inventory.sites());
  const { count, bytes } = await facts.holdings.totals();
  const named = new Set(sites.all.map(({ host }) => host));
  const configured = [...named].map((site) => ({ site, configured: true, known: known.has(site) }));
  const others = [...known].filter((site) => !named.has(site));
  const below = new Set(others.map((site) => sites.byHost(site)?.wildcard));
  const wildcards = sites.wildcards.map(({ host }) => ({ site: host, configured: true, known: below.has(host) }));
  return {
    kind: "sites",
    sites: [
      ...configured,
      ...wildcards,
      ...others.map((site) => ({ site, configured: sites.byHost(site) !== undefined, known: true })),
    ],
    totals: { blobs: count, bytes },
  };
};

/** The bytes that are held of a manifest and its parts, each once, and when it was last used. */
export const weigh = async ({ holdings }: FactStore, root: Digest): Promise<{ bytes: number; usedAt: number | undefined }> => {
  const seen = new Set<Digest>();
  let bytes = 0;
  const add = async (digest: Digest, depth: number): Promise<number | undefined> => {
    if (seen.has(digest)) return undefined;
    seen.add(digest);
    const held = await holdings.holding(digest);
    bytes += held?.size ?? 0;
    if (held?.isManifest === true && depth > 0) for (const part of await holdings.heldParts(digest)) await add(part, depth - 1);
    return held?.usedAt;
  };
  const usedAt = await add(root, MAX_DEPTH);
  return { bytes, usedAt };
};
