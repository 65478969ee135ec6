// A repository's tags, page by page, and where each has been.
import { setImmediate as turn } from "node:timers/promises";
import type { Tag } from "../oci/reference.ts";
import { createdOf } from "../registry/created.ts";
import type { Sites } from "../sites.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore, TagMove } from "../store/facts.ts";
import { holdOf, isoOf, weigh } from "./cache-list.ts";
import { AdminError } from "./error.ts";
import { parsePlace } from "./references.ts";
import type { MoveEntry, TagHistory, TagPage, TagRow, TagState } from "./tags-answers.ts";
import type { TagListInput } from "./tags-operations.ts";
import { type NamedTag, parseTag, pastOf } from "./tags-state.ts";
import { lookAt } from "./tags-whole.ts";

const DEFAULT_LIMIT = 100;
/** Moves of one answer. */
const MAX_TOLD = 50;

export interface TagParts {
  readonly sites: Sites;
  readonly facts: FactStore;
  /** The disk itself: to look at something is no use of it. */
  readonly blobs: BlobStore;
}

/** Throws INVALID, UNKNOWN_SITE. */
export const listTags = async (
  { sites, facts, blobs }: TagParts,
  { of, after, limit = DEFAULT_LIMIT }: TagListInput,
): Promise<TagPage> => {
  const { site, repo } = parsePlace(of, sites);
  if (repo === undefined) throw new AdminError("INVALID", `${of}: expected a repository, found a site`);
  const rows = await facts.inventory.tags(site.host, repo, { after: after as Tag | undefined, limit });
  const tags: TagRow[] = [];
  for (const { tag, digest, isHeld, hold } of rows) {
    await turn();
    const [move] = await facts.tagHistory({ site: site.host, repo, tag }, 1);
    const isNow = move?.digest === digest;
    const created = (isNow ? move.created : undefined) ?? (isHeld ? await createdOf(blobs, digest) : undefined);
    tags.push({
      ...{ tag, digest },
      ...(isNow && { movedAt: isoOf(move.at), reason: move.reason }),
      ...(created !== undefined && { created: isoOf(created) }),
      ...holdOf({ hold }),
      ...{ held: isHeld, bytes: (await weigh(facts, digest)).bytes },
    });
  }
  const last = rows.length < limit ? undefined : rows.at(-1)?.tag;
  return { site: site.host, repository: repo, tags, ...(last !== undefined && { next: last }) };
};

/** Throws INVALID, UNKNOWN_SITE, NOT_HELD. */
export const historyOf = async (parts: TagParts, text: string): Promise<TagHistory> => {
  const named = parseTag(text, parts.sites);
  const { fact, moves } = await pastOf(parts.facts, named, MAX_TOLD + 1);
  const states = new Map<string, TagState>();
  const told: MoveEntry[] = [];
  for (const [i, move] of moves.slice(0, MAX_TOLD).entries()) {
    await turn();
    const { digest, at, reason } = move;
    const state = digest === undefined ? undefined : (states.get(digest) ?? (await stateOf(parts, named, move)));
    if (digest !== undefined && state !== undefined) states.set(digest, state);
    const now = digest !== undefined && digest === fact?.digest && !told.some((newer) => newer.now);
    told.push({ line: i + 1, ...state, at: isoOf(at), reason, now });
  }
  return {
    reference: named.name,
    site: named.site.host,
    repository: named.repo,
    tag: named.tag,
    ...(fact?.digest !== undefined && { digest: fact.digest }),
    ...holdOf({ hold: fact?.hold }),
    moves: told,
    more: moves.length > MAX_TOLD,
  };
};

/** `created`: what was known as it moved, else what is held says. */
export const stateOf = async (
  parts: Pick<TagParts, "facts" | "blobs">,
  named: NamedTag,
  { digest, created: known }: Pick<TagMove, "digest" | "created">,
): Promise<TagState | undefined> => {
  if (digest === undefined) return undefined;
  const { held } = await lookAt(parts, named, digest);
  const created = known ?? (await createdOf(parts.blobs, digest));
  return { digest, held, ...(created !== undefined && { created: isoOf(created) }) };
};
