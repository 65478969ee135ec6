// A site as it is read on Layover's own name, where its clients could as well go to the registry itself, and do so when they are told no:
// a no comes quickly. A client's credential is not for this registry: whoever asks is anybody, and a hit takes the right of anybody.
import { TimedOut, within } from "../lib/abort.ts";
import { isOciError, OciError } from "../oci/error.ts";
import type { Context, Registry } from "../oci/registry.ts";
import { intercept } from "./intercept.ts";
import { NotMirrored } from "./not-mirrored.ts";

/** How long a client waits for the word on what it asks for. A body may take its time, as upstream's queue is no reason to go round us. Milliseconds. */
const PATIENCE = 5_000;

/** `site` is what it is called in errors. */
export const forAnybody = (inner: Registry, site: string): Registry =>
  intercept(inner, async (operation, query, ctx, next) => {
    try {
      const answer = next(query, nobody(ctx));
      return await (operation === "getBlob" ? answer : within(answer, PATIENCE));
    } catch (error) {
      throw quickNo(error, `${site}/${query.repo}`, site);
    }
  });

const nobody = (ctx: Context): Context => ({
  credential: undefined,
  accept: ctx.accept,
  agent: ctx.agent,
  client: ctx.client,
  trace: ctx.trace,
  tally: ctx.tally,
  get signal() {
    return ctx.signal;
  },
});

/**
 * Upstream's challenge is not given on: what a client has to show for Layover's name is for a hosted site, or for another upstream, and it
 * would take it to whatever realm the challenge names.
 */
const quickNo = (error: unknown, image: string, site: string): unknown => {
  if (error instanceof TimedOut) return new OciError("UPSTREAM_UNREACHABLE", `${site} does not answer in time`, { cause: error });
  // whoever is told so is anybody; that clients go to the registry itself then is theirs to decide, or their network's
  if (!isOciError(error) || !error.isRefusal || error instanceof NotMirrored) return error;
  if (isOciError(error.cause) && error.cause.isOutage) return error.cause;
  const message = `not for everybody to read, or not there: try it under its own name, ${image}`;
  return new OciError("NAME_UNKNOWN", message, { cause: error });
};
