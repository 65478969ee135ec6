// A question of our own, for no client: where little is left of an upstream's budget it is left to those who wait.
import type { Context } from "./registry.ts";

/** As anybody, and of any type, unless told otherwise. `trace` is what the log calls it. */
export const ownContext = (
  trace: string,
  signal: AbortSignal,
  as: Partial<Pick<Context, "credential" | "accept">> = {},
): Context => ({
  credential: as.credential,
  accept: as.accept ?? [],
  client: "",
  signal,
  trace,
  tally: { upstreamBytes: 0, upstreamRequests: 0 },
});
