// Tells the facts what a write that is passed through does: a question that was asked before it may not bring the old digest back.
import type { Logger } from "../lib/log.ts";
import { isDigest } from "../oci/digest.ts";
import { isDigestReference, type Repository, type Tag } from "../oci/reference.ts";
import type { OciRequest } from "../oci/request.ts";
import type { Policy } from "../registry/policy.ts";
import type { Site } from "../sites.ts";
import type { FactStore, TagFact, TagKey } from "../store/facts.ts";

export interface ObserveParts {
  readonly site: Site;
  readonly policy: Policy;
  readonly facts: FactStore;
  readonly clock: () => number;
  readonly log: Logger;
}

interface Outcome {
  readonly status: number;
}

/** Around the sending of a write. `send` throws when nobody knows what became of it. */
export const observe = async <T extends Outcome>(
  parts: ObserveParts,
  method: string,
  path: string,
  request: OciRequest,
  send: () => Promise<T>,
): Promise<T> => {
  if (request.kind !== "write") return send();
  const { repo, reference } = request;
  if (reference !== undefined && !isDigestReference(reference)) return observeTag(parts, repo, reference, send);
  const outcome = await send();
  if (method === "DELETE" && isDone(outcome)) await forgetDigest(parts, repo, path);
  return outcome;
};

const isDone = ({ status }: Outcome): boolean => status >= 200 && status < 300;

const observeTag = async <T extends Outcome>(
  parts: ObserveParts,
  repo: Repository,
  tag: Tag,
  send: () => Promise<T>,
): Promise<T> => {
  const key = { site: parts.site.host, repo, tag };
  // only what is known: whoever sends writes that are refused must not be able to fill the store with names
  await noted(parts, key, async () => {
    const fact = await parts.facts.tag(key);
    if (fact !== undefined && !stays(parts, key, fact)) await parts.facts.raiseTag(key);
  });
  let outcome: T | undefined;
  try {
    outcome = await send();
    return outcome;
  } finally {
    await noted(parts, key, () => settle(parts, key, outcome));
  }
};

/** A store that is ill must not take a push from anybody. */
const noted = async ({ log }: ObserveParts, key: TagKey, note: () => Promise<void>): Promise<void> => {
  try {
    await note();
  } catch (error) {
    log.error({ site: key.site, repo: key.repo, tag: key.tag, err: String(error) }, "a write could not be noted");
  }
};

/** A pinned tag that is held goes on being what it was, whatever is pushed to it. */
const stays = ({ policy }: ObserveParts, { repo, tag }: TagKey, fact: TagFact | undefined): boolean =>
  fact?.digest !== undefined && policy.of(repo, tag).pin;

/** Done: what was held is not the tag any more. Refused: it is. Unknown: upstream is to be asked. */
const settle = async (parts: ObserveParts, key: TagKey, outcome: Outcome | undefined): Promise<void> => {
  // upstream took nothing: what was asked meanwhile is as good as what was asked before, and strangers drive no more writes here
  if (outcome?.status === 401 || outcome?.status === 403) return;
  const { facts, clock } = parts;
  const fact = await facts.tag(key);
  if (stays(parts, key, fact)) return;
  if (fact === undefined && outcome !== undefined && !isDone(outcome)) return;
  const generation = await facts.raiseTag(key);
  if (outcome !== undefined && isDone(outcome))
    await facts.moveTag(key, { digest: undefined, at: clock(), reason: "push" }, generation);
};

const forgetDigest = async ({ facts, site, log }: ObserveParts, repo: Repository, path: string): Promise<void> => {
  const digest = path.slice(path.lastIndexOf("/") + 1);
  if (!isDigest(digest)) return;
  await facts
    .removeLink({ site: site.host, repo, digest })
    .catch((error: unknown) => log.error({ site: site.host, repo, digest, err: String(error) }, "a delete could not be noted"));
};
