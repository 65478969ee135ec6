// Around the upstream: with each question the token that comes with it is looked at, and each refusal tells where tokens come from.
import { isOciError } from "../oci/error.ts";
import type { Registry } from "../oci/registry.ts";
import type { Challenges } from "./challenges.ts";
import { intercept } from "./intercept.ts";
import type { Subjects } from "./subjects.ts";

export interface HeedParts {
  readonly site: string;
  readonly subjects: Pick<Subjects, "meet">;
  readonly challenges: Pick<Challenges, "heard">;
}

export const heed = (upstream: Registry, { site, subjects, challenges }: HeedParts): Registry =>
  intercept(upstream, async (_operation, query, ctx, next) => {
    // upstream is not kept waiting for it: what comes of it is for the next question
    if (ctx.credential !== undefined) void Promise.resolve(subjects.meet(ctx.credential)).catch(() => undefined);
    return next(query, ctx).catch((error: unknown) => {
      if (isOciError(error) && error.upstream?.status === 401) challenges.heard(site, error.upstream.challenges);
      throw error;
    });
  });
