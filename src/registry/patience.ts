// How long a client waits for upstream's word that could be served without it.
import { TimedOut, within } from "../lib/abort.ts";
import { OciError } from "../oci/error.ts";
import type { Context } from "../oci/registry.ts";
import type { Health } from "./witness.ts";

/** How long a client that could be served from what is held waits for upstream's word (the idea of RFC 8767 §5). Milliseconds. */
export const PATIENCE = 2_000;
/** How long a question goes on after that, for whoever comes next. Milliseconds. */
const ASK_WITHIN = 30_000;

const inTime = <T>(question: Promise<T>): Promise<T> => within(question, PATIENCE);

/**
 * A question that a held answer can stand in for: when it takes too long, as `wait` says by TimedOut, it is answered otherwise, and upstream is
 * late. The question goes on then, without its client: an upstream that is always slow would never be heard, and what is held never move.
 */
export const patiently = async <T>(
  ask: (ctx: Context) => Promise<T>,
  ctx: Context,
  health: Health,
  wait: (question: Promise<T>) => Promise<T> = inTime,
): Promise<T> => {
  const { credential, accept, client, trace, tally } = ctx;
  const stop = new AbortController();
  const leave = () => stop.abort(ctx.signal.reason);
  ctx.signal.addEventListener("abort", leave);
  if (ctx.signal.aborted) leave();
  const question = ask({ credential, accept, client, trace, tally, signal: stop.signal });
  try {
    return await wait(question);
  } catch (error) {
    if (!(error instanceof TimedOut)) {
      stop.abort(error);
      throw error;
    }
    const timer = setTimeout(() => stop.abort(error), ASK_WITHIN);
    timer.unref();
    void question.catch(() => undefined).finally(() => clearTimeout(timer));
    health.late();
    throw new OciError("UPSTREAM_UNREACHABLE", "upstream does not answer in time", { cause: error });
  } finally {
    ctx.signal.removeEventListener("abort", leave);
  }
};
