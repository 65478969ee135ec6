// A right from before is worth something only while upstream cannot be asked. That questions wait for each other here, which a client can see
// to by itself, is no such while: whoever has been struck off would let himself in by asking for much.
import { TimedOut, within } from "../lib/abort.ts";
import { isOciError, OciError } from "../oci/error.ts";
import type { Repository } from "../oci/reference.ts";
import type { Context } from "../oci/registry.ts";
import { PATIENCE, patiently } from "./patience.ts";
import type { Rights, Standing } from "./rights.ts";
import type { Health } from "./witness.ts";

export const AWAY = Symbol("upstream is away");

/** How long a question may wait here for its turn, and how often it is looked whether it has come. Milliseconds. */
const TURN_WITHIN = 30_000;
const STEP = 500;

export interface UnlessAwayParts {
  readonly rights: Pick<Rights, "standing">;
  readonly health: Health;
}

/**
 * What upstream says; AWAY where it cannot be asked and the right still stands. Throws upstream's refusal and 404, and UNAVAILABLE where
 * a right that is this client's alone would have to be asked for, and it is not its turn.
 */
export const unlessAway = async <T>(
  { rights, health }: UnlessAwayParts,
  { repo, standing }: { readonly repo: Repository; readonly standing: Standing },
  ctx: Context,
  ask: (ctx: Context) => Promise<T>,
): Promise<T | typeof AWAY> => {
  if (!health.up) return AWAY;
  const isDoubtful = standing !== "live" && (await rights.standing(repo, undefined)) === "none";
  try {
    return await patiently(ask, ctx, health, isDoubtful ? (question) => inTurn(question, ctx, health) : undefined);
  } catch (error) {
    if (!isOciError(error) || !error.isOutage || (isDoubtful && error.code === "UNAVAILABLE")) throw error;
    // it may have been taken away while this was asked
    if ((await rights.standing(repo, ctx.credential)) === "none") throw error;
    return AWAY;
  }
};

/** Patience begins when the question has gone out, and ends before where upstream turns out to be away. Throws TimedOut and UNAVAILABLE. */
const inTurn = async <T>(question: Promise<T>, { tally }: Context, health: Health): Promise<T> => {
  const before = tally.upstreamRequests;
  let out = 0;
  for (let waited = STEP; waited <= TURN_WITHIN; waited += STEP) {
    const isOut = tally.upstreamRequests > before;
    try {
      return await within(question, STEP);
    } catch (error) {
      if (!(error instanceof TimedOut)) throw error;
      out += isOut ? STEP : 0;
      if (waited >= PATIENCE) health.late();
      if (out >= PATIENCE || (waited >= PATIENCE && !health.up)) throw error;
    }
  }
  throw new OciError("UNAVAILABLE", "too many questions are under way", { retryAfterMs: PATIENCE });
};
