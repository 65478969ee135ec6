// A store that is ill is no miss and no reason to fail: upstream is asked in its place, by the client's own right, and nothing is kept.
import type { Logger } from "../lib/log.ts";
import { Seldom } from "../lib/seldom.ts";
import { isOciError } from "../oci/error.ts";
import type { Registry } from "../oci/registry.ts";
import { intercept } from "./intercept.ts";

/** Around the cache: whatever it throws that is no OciError comes of the stores. */
export const degrade = (cache: Registry, upstream: Registry, log: Logger): Registry => {
  const failing = new Seldom();
  return intercept(cache, (operation, query, ctx, next) =>
    next(query, ctx).catch((error: unknown) => {
      if (isOciError(error) || ctx.signal.aborted) throw error;
      const err = error instanceof Error ? error.message : String(error);
      failing.tell((times) => log.error({ operation, times, err }, "the store fails; upstream answers instead"));
      // the same operation of the same interface: its query and answer are of the same types
      return (upstream[operation] as unknown as typeof next)(query, ctx);
    }),
  );
};
