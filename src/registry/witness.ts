// Around the upstream: every answer that it gives leaves a fact behind. A yes makes a grant and, for a digest, a link;
// a refusal ends the grant. Nothing else makes either: never a manifest's contents (they can be forged).
import type { Logger } from "../lib/log.ts";
import { Seldom } from "../lib/seldom.ts";
import { isOciError } from "../oci/error.ts";
import type { Repository } from "../oci/reference.ts";
import type { Context, Operation, Registry } from "../oci/registry.ts";
import type { Site } from "../sites.ts";
import type { FactStore } from "../store/facts.ts";
import { intercept } from "./intercept.ts";
import type { Rights } from "./rights.ts";

/** How a site's upstreams stand; they hear themselves how questions end. */
export interface Health {
  /** False while upstream is known to be away: what is held is then served without asking. */
  readonly up: boolean;
  /** Whether `GET /v2/` is worth asking: it may be answered while nothing else is. */
  readonly answersPings: boolean;
  /** A question to which there was something to fall back on has not been answered in time. */
  late(): void;
}

export interface WitnessParts {
  readonly site: Site;
  readonly facts: FactStore;
  readonly rights: Rights;
  /** Told of every yes to a credential, so that it can find out whether the repository is public. */
  readonly granted: (operation: Operation, query: { readonly repo: Repository }) => void;
  readonly log: Logger;
}

export const witness = (upstream: Registry, parts: WitnessParts): Registry => {
  const { rights } = parts;
  const unsaved = new Seldom();
  return intercept(upstream, async (operation, query, ctx, next) => {
    const asked = rights.asking();
    const answer = await next(query, ctx).catch(async (error: unknown) => {
      await noteFailure(error, query.repo, ctx, rights);
      throw error;
    });
    rights.granted(query.repo, ctx.credential, asked);
    await addLink(parts, query.repo, answer, unsaved);
    if (ctx.credential !== undefined) parts.granted(operation, query);
    return answer;
  });
};

const noteFailure = async (error: unknown, repo: Repository, ctx: Context, rights: Rights): Promise<void> => {
  if (ctx.signal.aborted || !isOciError(error)) return;
  if (error.isRefusal) await rights.refused(repo, ctx.credential);
};

const addLink = async ({ site, facts, log }: WitnessParts, repo: Repository, answer: unknown, unsaved: Seldom): Promise<void> => {
  const descriptor = descriptorOf(answer);
  if (descriptor === undefined) return;
  const { digest, mediaType } = descriptor;
  const isBlob = mediaType === BLOB_TYPE;
  // the answer is worth more than the memory of it: a store that is ill must not take it from the client
  await facts
    .addLink({ site: site.host, repo, digest }, { mediaType: isBlob ? undefined : mediaType })
    .catch((error: unknown) =>
      unsaved.tell((times) => log.error({ site: site.host, times, err: String(error) }, "links could not be saved")),
    );
};

/** The type under which blobs are answered, whatever a manifest calls them. */
export const BLOB_TYPE = "application/octet-stream";

const descriptorOf = (answer: unknown): { digest: never; mediaType: string } | undefined =>
  typeof answer === "object" && answer !== null && "descriptor" in answer
    ? (answer.descriptor as { digest: never; mediaType: string })
    : undefined;
