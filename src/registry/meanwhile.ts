// Stale tags that are served at once while upstream is asked behind them (RFC 5861 §3): one question a tag, so many in all,
// and none again soon after one that led nowhere. Whoever is served so has a live right, by which the question is asked too.
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { upTo } from "../lib/lru.ts";
import type { Digest } from "../oci/digest.ts";
import { isOciError } from "../oci/error.ts";
import { ownContext } from "../oci/own-context.ts";
import type { Repository, Tag } from "../oci/reference.ts";
import type { Context } from "../oci/registry.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { TagFact } from "../store/facts.ts";
import type { ConfirmParts } from "./confirm.ts";
import { freshnessOf } from "./freshness.ts";
import type { ManifestFetch } from "./manifest-fetch.ts";
import type { Resolved, Tags } from "./tags.ts";

const AT_ONCE = 16;
const ASK_WITHIN = 30_000;
/** Until a tag is asked for again after a question that did not confirm or move it. Milliseconds. */
const AGAIN_AFTER = 10_000;

export interface MeanwhileParts extends ConfirmParts {
  readonly blobs: BlobStore;
  readonly tags: Tags;
  readonly clock: Clock;
  readonly log: Logger;
  /** Gets a manifest and keeps it, whereupon its tag moves. */
  readonly fetch: ManifestFetch;
}

/** How the last question ended that left the fact as it was. */
interface Ended {
  readonly checkedAt: number;
  readonly at: number;
  /** Upstream said no: from then on each client hears that for itself. */
  readonly isNo: boolean;
}

/** `undefined`, at once or in the end: it is not served so. Most hits are not, and shall not wait to learn it. */
export type Meanwhile = (repo: Repository, tag: Tag, fact: TagFact, ctx: Context) => Promise<Resolved | undefined> | undefined;

export const meanwhile = (parts: MeanwhileParts): Meanwhile => {
  const { policy, clock, rights, health } = parts;
  const ended = new LRUCache<string, Ended>(upTo(10_000));
  const running = new Set<string>();

  const begin = (repo: Repository, tag: Tag, { checkedAt }: TagFact, ctx: Context): void => {
    const key = `${repo}:${tag}`;
    running.add(key);
    const { credential, accept, trace } = ctx;
    // the client may leave: what it has asked for goes on at nobody's cost
    askBehind(parts, repo, tag, ownContext(trace, AbortSignal.timeout(ASK_WITHIN), { credential, accept }))
      .then(() => ended.set(key, { checkedAt, at: clock(), isNo: false }))
      .catch((error: unknown) => {
        ended.set(key, { checkedAt, at: clock(), isNo: isOciError(error) && !error.isOutage });
        parts.log.debug({ repo, ref: tag, err: String(error) }, "a stale tag could not be asked for behind its client");
      })
      .finally(() => running.delete(key));
  };

  const serve = async (
    repo: Repository,
    tag: Tag,
    fact: TagFact,
    ctx: Context,
    digest: Digest,
  ): Promise<Resolved | undefined> => {
    const last = ended.get(`${repo}:${tag}`);
    const isSame = last?.checkedAt === fact.checkedAt;
    if (isSame && last?.isNo === true) return undefined;
    if ((await rights.standing(repo, ctx.credential)) !== "live") return undefined;
    const isTooSoon = isSame && last !== undefined && Math.abs(clock() - last.at) < AGAIN_AFTER;
    const isRoom = running.size < AT_ONCE && !running.has(`${repo}:${tag}`);
    if (isRoom && !isTooSoon && health.up) begin(repo, tag, fact, ctx);
    return { digest, how: "stale", age: clock() - fact.checkedAt };
  };

  return (repo, tag, fact, ctx) => {
    const ruling = policy.of(repo, tag);
    if (ruling.staleWhileRevalidate === 0 || fact.digest === undefined) return undefined;
    const { state } = freshnessOf(fact, ruling, clock());
    return state === "meanwhile" ? serve(repo, tag, fact, ctx, fact.digest) : undefined;
  };
};

/** HEAD; only what has moved is fetched. */
export const askBehind = async (
  { tags, blobs, fetch }: Pick<MeanwhileParts, "tags" | "blobs" | "fetch">,
  repo: Repository,
  tag: Tag,
  ctx: Context,
): Promise<Digest> => {
  const { digest } = (await tags.ask(repo, tag, ctx)).descriptor;
  if ((await blobs.stat(digest)) === undefined) await fetch({ repo, reference: digest }, ctx, NOT_HELD);
  return digest;
};

export const NOT_HELD = () => Promise.resolve(undefined);
