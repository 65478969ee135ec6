// Around a write that is passed through: what it brings is kept beside, and what becomes of it is noted. A question that was asked before it
// may not bring the old digest back, and of two writes that are under way at once nobody knows which was the last.
import { setImmediate as turn } from "node:timers/promises";
import type { Logger } from "../lib/log.ts";
import { type Digest, isDigest } from "../oci/digest.ts";
import { isDigestReference, isTag, type Repository, type Tag } from "../oci/reference.ts";
import type { OciRequest, WriteRequest } from "../oci/request.ts";
import type { Deletes } from "../registry/deletes.ts";
import type { Policy } from "../registry/policy.ts";
import type { Push, Pushed, Watch } from "../registry/pushed.ts";
import { isKept, stayingFor, stays } from "../registry/staying.ts";
import type { Site } from "../sites.ts";
import type { FactStore, MoveReason, TagKey } from "../store/facts.ts";
import { tagsFor } from "../store/hosting.ts";

export interface ObserveParts {
  readonly site: Site;
  readonly policy: Policy;
  readonly facts: FactStore;
  readonly clock: () => number;
  readonly log: Logger;
  readonly deletes: Pick<Deletes, "note">;
  /** Listens to what goes by, to keep it. */
  readonly watch: (push: Push, request: OciRequest) => Watch | undefined;
}

/** Sends it, and tells `offer` of the body as it goes by. Throws when nobody knows what became of it. */
export type Send = (offer: ((bytes: Buffer) => void) | undefined) => Promise<Pushed>;

/** Resolves when all is noted and kept. Throws what `send` does. */
export const observe = async (parts: ObserveParts, push: Push, request: OciRequest, send: Send): Promise<void> => {
  const watch = parts.watch(push, request);
  const offer = watch?.offer?.bind(watch);
  const isNoted = request.kind === "write" && request.what !== "upload";
  const before = isNoted ? await raise(parts, request) : [];
  let pushed: Pushed | undefined;
  noteDelete(parts, push, request);
  try {
    pushed = await send(offer);
  } finally {
    noteDelete(parts, push, request);
    const kept = await watch?.over(pushed);
    if (isNoted) await settle(parts, push, request, { before, pushed, kept });
  }
};

/** What is deleted by its digest. */
const deletedBy = ({ method }: Push, request: OciRequest): string | undefined => {
  if (method !== "DELETE" || request.kind !== "write" || request.what === "upload") return undefined;
  return request.digest ?? request.reference;
};

const noteDelete = ({ deletes, site }: ObserveParts, push: Push, request: OciRequest): void => {
  const digest = deletedBy(push, request);
  if (digest !== undefined && "repo" in request) deletes.note(site.host, request.repo, digest);
};

const isDone = (pushed: Pushed | undefined): boolean => pushed !== undefined && pushed.status >= 200 && pushed.status < 300;

/** A tag that is written, and its generation from before: 0 where nothing was known of it. */
interface Written {
  readonly key: TagKey;
  readonly generation: number;
}

/** Those that a manifest is pushed as, by its path and by `?tag=`; or the one that is deleted. */
const tagsOf = ({ reference, tags = [] }: WriteRequest): Tag[] => {
  const named = reference === undefined || isDigestReference(reference) ? [] : [reference];
  return [...new Set([...named, ...tags.filter((tag) => isTag(tag))])];
};

const raise = (parts: ObserveParts, request: WriteRequest): Promise<Written[]> =>
  Promise.all(
    tagsOf(request).map(async (tag) => {
      const key = { site: parts.site.host, repo: request.repo, tag };
      // only what is known: whoever sends writes that are refused must not be able to fill the store with names
      const generation = await noted(parts, key, async () => {
        const fact = await parts.facts.tag(key);
        return fact === undefined || stays(fact, parts.policy.of(key.repo, tag)) ? fact?.generation : parts.facts.raiseTag(key);
      });
      return { key, generation: generation ?? 0 };
    }),
  );

/** A store that is ill must not take a push from anybody. */
const noted = async <T>(
  { log }: ObserveParts,
  about: { readonly site: string; readonly repo: Repository; readonly tag?: Tag },
  note: () => Promise<T>,
): Promise<T | undefined> => {
  try {
    return await note();
  } catch (error) {
    log.error({ ...about, err: String(error) }, "a write could not be noted");
    return undefined;
  }
};

interface Outcome {
  readonly before: readonly Written[];
  /** `undefined`: nobody knows. */
  readonly pushed: Pushed | undefined;
  /** The manifest that is held now, and that upstream has taken. */
  readonly kept: Digest | undefined;
}

const settle = async (
  parts: ObserveParts,
  push: Push,
  request: WriteRequest,
  { before, pushed, kept }: Outcome,
): Promise<void> => {
  const { repo, what } = request;
  const about = { site: parts.site.host, repo };
  const reason = push.method === "DELETE" ? "delete" : "push";
  const deleted = deletedBy(push, request);
  for (const written of before) {
    const { tag } = written.key;
    // by `?tag=` only as upstream says itself: one that knows no such parameter takes the manifest all the same
    const isMoved = tag === request.reference || pushed?.tags?.includes(tag) === true;
    await noted(parts, written.key, () => settleTag(parts, written, pushed, { digest: kept, reason, isMoved }));
  }
  if (!isDone(pushed)) return;
  if (deleted !== undefined && isDigest(deleted)) await noted(parts, about, () => forgetDigest(parts, repo, deleted));
  if (what === "manifest") await noted(parts, about, () => parts.facts.removeListings(parts.site.host, repo));
};

/** How often a tag is written anew to which others write all the time. */
const ATTEMPTS = 3;

interface Settled {
  readonly digest: Digest | undefined;
  readonly reason: MoveReason;
  readonly isMoved: boolean;
}

/** Done: what was held is not the tag any more, and what was pushed is if that is known. Refused: it is. Unknown: upstream is to be asked. */
const settleTag = async (
  parts: ObserveParts,
  { key, generation: before }: Written,
  pushed: Pushed | undefined,
  { digest, reason, isMoved }: Settled,
): Promise<void> => {
  // upstream took nothing: what was asked meanwhile is as good as what was asked before, and strangers drive no more writes here
  if (pushed?.status === 401 || pushed?.status === 403) return;
  const { facts, clock } = parts;
  const fact = await facts.tag(key);
  if (stays(fact, parts.policy.of(key.repo, key.tag))) return;
  if (fact === undefined && pushed !== undefined && !isDone(pushed)) return;
  let generation = await facts.raiseTag(key);
  if (!isDone(pushed) || !isMoved) return;
  // another write has begun or ended meanwhile: either may be what upstream has now
  const isAlone = generation === before + 1;
  if (await facts.moveTag(key, { digest: isAlone ? digest : undefined, at: clock(), reason }, generation)) return;
  for (let attempt = 1; attempt < ATTEMPTS; attempt += 1) {
    generation = await facts.raiseTag(key);
    if (await facts.moveTag(key, { digest: undefined, at: clock(), reason }, generation)) return;
  }
};

const forgetDigest = async (parts: ObserveParts, repo: Repository, digest: Digest): Promise<void> => {
  const { facts, site, policy, clock } = parts;
  // without the link, what stays could be served to nobody: upstream has it no more
  const isNeeded = (await stayingFor(parts, repo, digest)) !== undefined || (await isKept(parts, repo, digest));
  if (!isNeeded) await facts.removeLink({ site: site.host, repo, digest });
  for await (const tag of tagsFor(facts.hosting, { site: site.host, repo, digest })) {
    const key = { site: site.host, repo, tag };
    const fact = await facts.tag(key);
    if (fact?.digest !== digest || stays(fact, policy.of(repo, tag))) continue;
    await facts.moveTag(key, { digest: undefined, at: clock(), reason: "delete" }, await facts.raiseTag(key));
    // each is on the disk before the next: others have their turn between two of them
    await turn();
  }
};
