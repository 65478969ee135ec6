// While upstream cannot be asked: many clients show their login only to who asks for it. Where the site is one that asks everybody
// by Basic, that is repeated from memory, as `GET /v2/` does; whoever then shows one that was good here has what is held.
import { isOciError, OciError } from "../oci/error.ts";
import type { Registry } from "../oci/registry.ts";
import type { Site } from "../sites.ts";
import type { FactStore } from "../store/facts.ts";
import { intercept } from "./intercept.ts";

export interface AskLoginParts {
  readonly site: Site;
  readonly facts: FactStore;
}

/** It asks whatever is held or not: who has shown nothing learns nothing. */
export const askLogin = (inner: Registry, { site, facts }: AskLoginParts): Registry =>
  intercept(inner, (_operation, query, ctx, next) => {
    const answer = next(query, ctx);
    if (ctx.credential !== undefined) return answer;
    return answer.catch(async (error: unknown) => {
      if (!isOciError(error) || !(error.isOutage || (site.offline && error.isUnknown))) throw error;
      // upstream is there, and has said so itself
      if (isOciError(error.cause) && error.cause.isRefusal) throw error.cause;
      const challenges = (await facts.ping(site.host).catch(() => undefined))?.challenges ?? [];
      if (!asksBasic(challenges)) throw error;
      const upstream = { status: 401, challenges, contentType: undefined, body: "", retryAfter: undefined };
      throw new OciError("UNAUTHORIZED", "authentication required", { upstream, cause: error });
    });
  });

/** Whether one of these challenges is Basic (RFC 7617): an anonymous client gets nowhere with it. */
export const asksBasic = (challenges: readonly string[]): boolean => challenges.some((value) => /^\s*basic\b/i.test(value));
