// What somebody holds is not forgotten by the way: it is let go first.
import { setImmediate as turn } from "node:timers/promises";
import { isDigestReference, type Reference, type Repository, type Tag } from "../oci/reference.ts";
import { stayingFor } from "../registry/staying.ts";
import type { FactStore } from "../store/facts.ts";
import { AdminError } from "./error.ts";
import { written } from "./references.ts";

const PAGE = 200;
const FEW = 5;

export interface Forgotten {
  readonly site: string;
  readonly repo: Repository;
  /** `undefined`: all of the repository. */
  readonly reference: Reference | undefined;
}

/** Throws HELD where a held tag is it, or needs it. */
export const refuseHeld = async (facts: FactStore, forgotten: Forgotten): Promise<void> => {
  const { site, repo, reference } = forgotten;
  const tags = await heldTags(facts, forgotten);
  if (tags.length === 0) return;
  const names = tags.map((tag) => written(site, repo, tag));
  throw new AdminError(
    "HELD",
    `nothing of ${written(site, repo, reference)} is forgotten: ${names.slice(0, FEW).join(", ")}${names.length > FEW ? " and others are" : " is"} held; \`layover tags unpin ${names[0]}\` lets it go`,
  );
};

/** By a hold alone: what a rule pins may be forgotten, and is then what comes first. */
const BY_NO_RULE = { of: () => ({ pin: false, mirrored: undefined }) };

/** Some of them. */
const heldTags = async (facts: FactStore, { site, repo, reference }: Forgotten): Promise<Tag[]> => {
  if (reference === undefined) return heldOf(facts, site, repo);
  if (isDigestReference(reference)) {
    const found = await stayingFor({ site: { host: site }, policy: BY_NO_RULE, facts }, repo, reference);
    return found === undefined ? [] : [found.tag];
  }
  return (await facts.tag({ site, repo, tag: reference }))?.hold === undefined ? [] : [reference];
};

const heldOf = async ({ inventory }: FactStore, site: string, repo: Repository): Promise<Tag[]> => {
  const held: Tag[] = [];
  for (let after: Tag | undefined; held.length <= FEW; ) {
    const page = await inventory.tags(site, repo, { after, limit: PAGE });
    held.push(...page.filter(({ hold }) => hold !== undefined).map(({ tag }) => tag));
    after = page.at(-1)?.tag;
    if (page.length < PAGE) break;
    await turn();
  }
  return held;
};
