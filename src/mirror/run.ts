// What the parts of one sync, or one check, of an entry share.

import type { MirrorEntry } from "../mirrors.ts";
import type { Digest } from "../oci/digest.ts";
import { ownContext } from "../oci/own-context.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { Context } from "../oci/registry.ts";
import type { TagKey } from "../store/facts.ts";
import type { EngineCall, EngineParts, MirrorSource } from "./engine.ts";
import { Line } from "./line.ts";
import type { PlannedTag, TagName } from "./outcome.ts";
import { Signatures } from "./signatures.ts";
import { siteTarget } from "./site-target.ts";
import type { Target, TargetTag } from "./target.ts";
import { Telling } from "./telling.ts";

/** A tag: where it is read, and where it goes. */
export interface Place {
  readonly repo: Repository;
  readonly tag: Tag;
  readonly target: TagKey;
  /** Of the repository's tags those that belong to images by the name of their digest; none where they were not listed. */
  readonly digestTags: ReadonlyMap<string, readonly Tag[]>;
  /** `undefined`: not listed. */
  readonly names: ReadonlySet<string> | undefined;
}

/** A tag that something is to be done for, as far as it is known. */
export interface Found {
  readonly planned: PlannedTag;
  readonly place: Place;
  readonly now: TargetTag | undefined;
  readonly digest: Digest | undefined;
}

export interface Run {
  readonly entry: MirrorEntry;
  readonly parts: EngineParts;
  /** Every question to it goes by the line. */
  readonly source: MirrorSource;
  readonly target: Target;
  readonly line: Line;
  readonly telling: Telling;
  readonly signatures: Signatures;
  readonly only: EngineCall["only"];
  readonly signal: AbortSignal;
  readonly context: () => Context;
}

/** Throws OciError where a site of the entry is none any more. */
export const runOf = (parts: EngineParts, entry: MirrorEntry, { signal, progress, only }: EngineCall): Run => {
  const { sourceOf, targetOf, clock } = parts;
  const telling = new Telling(progress);
  const line = new Line({ rateLimit: entry.rateLimit, waits: (waiting) => telling.waits(waiting), clock });
  const straight = sourceOf(entry.source.site);
  const { listRepositories } = straight;
  const source: MirrorSource = {
    upstream: line.around(straight.upstream),
    cache: line.around(straight.cache),
    ...(listRepositories !== undefined && {
      listRepositories: (query, ctx) => line.pass(ctx.signal, () => listRepositories(query, ctx)),
    }),
  };
  return {
    ...{ entry, parts, source, line, telling, only, signal },
    target: entry.target === undefined ? siteTarget({ ...parts, site: entry.source.site }) : targetOf(entry.target.site),
    signatures: new Signatures(source, entry),
    context: () => ownContext("mirror", signal),
  };
};

export const nameOf = ({ site, repo, tag }: TagKey): TagName => ({ site, repository: repo, tag });
export const written = ({ site, repo, tag }: TagKey): string => `${site}/${repo}:${tag}`;
