// Finds out which repositories are public: after a yes to somebody's credential the same question is asked once as an anonymous
// client would, in the background. Then neither other clients nor an outage need a question for it.
import { LRUCache } from "lru-cache";
import type { Logger } from "../lib/log.ts";
import { upTo } from "../lib/lru.ts";
import { isOciError } from "../oci/error.ts";
import { ownContext } from "../oci/own-context.ts";
import type { Repository } from "../oci/reference.ts";
import type { BlobQuery, Context, ManifestQuery, Operation, Registry } from "../oci/registry.ts";
import type { Rights } from "./rights.ts";

const AT_ONCE = 4;
const ASK_WITHIN = 30_000;
/** Upstream could not be asked, or is to be left to clients: that says nothing of the repository, and a question is due before long. */
const AGAIN_AFTER = 60_000;

export interface Publicity {
  /** Asks, unless it is known or has been asked within `publicFor`; returns at once. */
  find(operation: Operation, query: { readonly repo: Repository }): void;
  close(): void;
}

/** `anonymous` fetches anonymous tokens itself. `publicFor` in ms, `now` in monotonic ones. */
export const publicity = (
  anonymous: Registry,
  rights: Rights,
  publicFor: number,
  log: Logger,
  now = () => performance.now(),
): Publicity => {
  const asked = new LRUCache<Repository, true>({
    ...upTo(50_000),
    ttl: Math.max(1, publicFor),
    ttlResolution: 0,
    perf: { now },
  });
  const stop = new AbortController();
  let running = 0;
  const ask = async (operation: Operation, query: { readonly repo: Repository }) => {
    if (await rights.isPublic(query.repo)) return;
    const ctx = ownContext("public?", AbortSignal.any([stop.signal, AbortSignal.timeout(ASK_WITHIN)]));
    const asked = rights.asking();
    try {
      await question(anonymous, operation, query, ctx);
    } catch (error) {
      // what it was once is no right in the next outage
      if (isOciError(error) && error.isRefusal) await rights.hidden(query.repo);
      throw error;
    }
    rights.published(query.repo, asked);
  };
  return {
    find(operation, query) {
      if (running >= AT_ONCE || asked.has(query.repo) || stop.signal.aborted) return;
      asked.set(query.repo, true);
      running += 1;
      ask(operation, query)
        .catch((error: unknown) => {
          log.debug({ repo: query.repo, err: String(error) }, "not public");
          // no time at all would be for ever
          if (isOciError(error) && error.isOutage) asked.set(query.repo, true, { ttl: error.retryAfterMs || AGAIN_AFTER });
        })
        .finally(() => {
          running -= 1;
        });
    },
    close: () => stop.abort(new Error("closing")),
  };
};

/** The cheapest question that shows the same right. */
const question = (
  registry: Registry,
  operation: Operation,
  query: { readonly repo: Repository },
  ctx: Context,
): Promise<unknown> => {
  if (operation === "getBlob" || operation === "statBlob") return registry.statBlob(query as BlobQuery, ctx);
  if (operation === "getManifest" || operation === "statManifest") return registry.statManifest(query as ManifestQuery, ctx);
  return registry.listTags({ repo: query.repo, n: 1 }, ctx);
};
