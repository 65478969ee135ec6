// Clients that show no credential, at repositories known to be public: whatever takes a token to ask is asked with an anonymous one of our
// own. So no token server stands between them and what is held. Everywhere else they hear upstream's challenge, as they need to log in.
import { isOciError } from "../oci/error.ts";
import type { Context, Operation, Registry } from "../oci/registry.ts";
import { intercept } from "./intercept.ts";
import type { Rights } from "./rights.ts";

/** `asked`: with the client's own credential, or none. `anonymous`: fetching tokens as anybody may. */
export const openly = (asked: Registry, anonymous: Registry, rights: Pick<Rights, "standing" | "hidden">): Registry =>
  intercept(asked, async (operation, query, ctx, next) => {
    if (ctx.credential !== undefined || isOnAccount(operation, ctx)) return next(query, ctx);
    if ((await rights.standing(query.repo, undefined)) === "none") return next(query, ctx);
    try {
      // the same operation of the same interface: its query and answer are of the same types
      return await (anonymous[operation] as unknown as typeof next)(query, ctx);
    } catch (error) {
      if (!isOciError(error) || error.isOutage) throw error;
      if (error.isRefusal) await rights.hidden(query.repo);
      // with a login it may be there: this client is to hear how to show one
      return next(query, ctx);
    }
  });

/** Registries count what is fetched: that is on the account of whom it is fetched for, which a client may yet show. */
const isOnAccount = (operation: Operation, { client }: Context): boolean =>
  client !== "" && (operation === "getManifest" || operation === "getBlob");
