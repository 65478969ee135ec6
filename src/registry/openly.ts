// Clients that show no credential, at repositories known to be public: whatever takes a token to ask is asked with an anonymous one of our
// own. So no token server stands between them and what is held. Everywhere else they hear upstream's challenge, as they need to log in.
import { isOciError, OciError } from "../oci/error.ts";
import type { Context, Operation, Registry } from "../oci/registry.ts";
import { intercept } from "./intercept.ts";
import type { Rights } from "./rights.ts";
import type { Health } from "./witness.ts";

export interface OpenlyParts {
  /** Asked with the client's own credential, or none. */
  readonly asClient: Registry;
  /** Fetching tokens as anybody may. */
  readonly anonymous: Registry;
  readonly rights: Pick<Rights, "standing" | "hidden">;
  readonly health: Pick<Health, "up">;
}

export const openly = ({ asClient, anonymous, rights, health }: OpenlyParts): Registry =>
  intercept(asClient, async (operation, query, ctx, next) => {
    if (ctx.credential !== undefined || isOnAccount(operation, ctx)) return next(query, ctx);
    if ((await rights.standing(query.repo, undefined)) === "none") return next(query, ctx);
    try {
      // the same operation of the same interface: its query and answer are of the same types
      return await (anonymous[operation] as unknown as typeof next)(query, ctx);
    } catch (error) {
      if (!isOciError(error) || (error.isOutage && (error.upstream !== undefined || !health.up))) throw error;
      if (error.isRefusal) await rights.hidden(query.repo);
      // with a login it may be there: this client is to hear how to show one
      const own = next(query, ctx);
      return error.isOutage ? own.catch((refusal: unknown) => Promise.reject(outage(error, refusal))) : own;
    }
  });

/** Registries count what is fetched: that is on the account of whom it is fetched for, which a client may yet show. */
const isOnAccount = (operation: Operation, { client }: Context): boolean =>
  client !== "" && (operation === "getManifest" || operation === "getBlob");

/** Upstream is there, and we have no token to ask it with: what is held can be served as in any outage. Where nothing is, the client has its challenge (ask-login.ts). */
const outage = ({ code, message, upstream, retryAfterMs }: OciError, cause: unknown): OciError =>
  new OciError(code, message, { ...(upstream !== undefined && { upstream }), retryAfterMs, cause });
