// Tags that stay what they are, whatever is said of them upstream or written to them: because a rule pins them, because they are mirrored, and
// move by a sync alone, or because somebody holds them (store/facts.ts, Hold). What makes up their images stays with them.
import { setImmediate as turn } from "node:timers/promises";
import type { Digest } from "../oci/digest.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { FactStore, Hold, TagFact } from "../store/facts.ts";
import { tagsFor } from "../store/hosting.ts";
import { keptOver } from "../store/mirroring.ts";
import type { Policy, Ruling } from "./policy.ts";

export interface StayingParts {
  readonly site: { readonly host: string };
  readonly policy: { readonly of: (...about: Parameters<Policy["of"]>) => Staying };
  readonly facts: FactStore;
}

export interface StayingTag {
  readonly tag: Tag;
  readonly fact: TagFact & { readonly digest: Digest };
}

/** An index, its manifests, their layers. */
const MAX_DEPTH = 2;
/** A blob that more manifests need is looked for in these. */
const MAX_LOOKED_AT = 200;
const TURN_EVERY = 100;

export const stays = (fact: TagFact | undefined, ruling: Staying): fact is TagFact & { readonly digest: Digest } =>
  fact?.digest !== undefined && (fact.hold !== undefined || staysOnce(ruling));

/** From the first time that it is held. */
export const staysOnce = ({ pin, mirrored }: Staying): boolean => pin || mirrored !== undefined;

/** Only a sync moves it. */
export const movesBySync = (fact: TagFact | undefined, { pin, mirrored }: Staying): boolean =>
  fact?.digest !== undefined && fact.hold === undefined && !pin && mirrored !== undefined;

type Staying = Pick<Ruling, "pin" | "mirrored">;

/** What a tag is held by, in words. */
export const aHold = ({ kind }: Hold): string => (kind === "backup" ? "the mirror as a backup" : `a ${kind}`);

/** A tag of the repository that stays, and needs the digest: it stands for it, or for a held manifest that names it. */
export const stayingFor = async (parts: StayingParts, repo: Repository, digest: Digest): Promise<StayingTag | undefined> => {
  const looked = new Set<Digest>();
  let level: readonly Digest[] = [digest];
  for (let depth = 0; depth <= MAX_DEPTH && level.length > 0; depth += 1) {
    const above: Digest[] = [];
    for (const each of level) {
      if (looked.size === MAX_LOOKED_AT || looked.has(each)) continue;
      looked.add(each);
      const found = await stayingAs(parts, repo, each);
      if (found !== undefined) return found;
      above.push(...(await parts.facts.holdings.neededBy(each, MAX_LOOKED_AT)));
    }
    level = above;
  }
  return undefined;
};

export const stayingAs = async (
  { site, policy, facts }: StayingParts,
  repo: Repository,
  digest: Digest,
): Promise<StayingTag | undefined> => {
  let looked = 0;
  for await (const tag of tagsFor(facts.hosting, { site: site.host, repo, digest })) {
    // facts are answered at once: without this nobody else would have a turn
    if (++looked % TURN_EVERY === 0) await turn();
    const fact = await facts.tag({ site: site.host, repo, tag });
    if (stays(fact, policy.of(repo, tag))) return { tag, fact };
  }
  return undefined;
};

/** Whether it is kept for a rollback, or part of what is: the repository goes on having it, though no tag stands for it now. */
export const isKept = async (
  { site, facts }: Omit<StayingParts, "policy">,
  repo: Repository,
  digest: Digest,
): Promise<boolean> => {
  for await (const _ of keptOver(facts, { site: site.host, repo, digest })) return true;
  return false;
};
