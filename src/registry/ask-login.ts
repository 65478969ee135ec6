// While upstream cannot be asked: many clients show their login only to who asks for it. Where a login can be told here, because the
// site asks everybody by Basic or it can be told whom its tokens are for, the challenge is repeated from memory, as `GET /v2/` does;
// whoever then shows what was good here, or shows what is, has what is held.
import { isOciError, OciError } from "../oci/error.ts";
import type { Repository } from "../oci/reference.ts";
import type { Registry } from "../oci/registry.ts";
import type { Site } from "../sites.ts";
import type { FactStore } from "../store/facts.ts";
import { intercept } from "./intercept.ts";

export interface AskLoginParts {
  readonly site: Site;
  readonly facts: FactStore;
  /** Whether the realm of one of these challenges can be reached: any HTTP answer counts. */
  readonly realmAnswers: (challenges: readonly string[]) => Promise<boolean>;
  /** Whether it can be told here whom a token is for. */
  readonly tellsTokens: () => Promise<boolean>;
}

/** It asks whatever is held or not: who has shown nothing learns nothing. */
export const askLogin = (inner: Registry, parts: AskLoginParts): Registry =>
  intercept(inner, (_operation, query, ctx, next) => {
    const answer = next(query, ctx);
    if (ctx.credential !== undefined) return answer;
    return answer.catch(async (error: unknown) => {
      if (!isOciError(error) || !(error.isOutage || (parts.site.offline && error.isUnknown))) throw error;
      // upstream is there, and has said so itself
      if (isOciError(error.cause) && error.cause.isRefusal) throw error.cause;
      const challenges = await remembered(parts, query.repo);
      if (challenges === undefined) throw error;
      const upstream = { status: 401, challenges, contentType: undefined, body: "", retryAfter: undefined };
      throw new OciError("UNAUTHORIZED", "authentication required", { upstream, cause: error });
    });
  });

const remembered = async (parts: AskLoginParts, repo: Repository): Promise<string[] | undefined> => {
  const { site, facts, realmAnswers, tellsTokens } = parts;
  const challenges = (await facts.ping(site.host).catch(() => undefined))?.challenges ?? [];
  if (asksBasic(challenges)) return [...challenges];
  if (!(await tellsTokens()) || !(await realmAnswers(challenges))) return undefined;
  return challenges.map((challenge) => forPull(challenge, repo));
};

/** As a registry asks for a repository; `GET /v2/` names none. */
const forPull = (challenge: string, repo: Repository): string =>
  /^\s*bearer\b/i.test(challenge) && !/\bscope=/i.test(challenge) ? `${challenge},scope="repository:${repo}:pull"` : challenge;

/** Whether one of these challenges is Basic (RFC 7617): an anonymous client gets nowhere with it. */
export const asksBasic = (challenges: readonly string[]): boolean => challenges.some((value) => /^\s*basic\b/i.test(value));
