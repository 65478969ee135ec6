// The one gate in front of everything that is held: a hit needs the same right as a miss.
import type { Clock } from "../lib/clock.ts";
import type { Digest } from "../oci/digest.ts";
import { isOciError, type OciError } from "../oci/error.ts";
import type { Repository } from "../oci/reference.ts";
import type { Context, Provenance, Registry } from "../oci/registry.ts";
import type { Site } from "../sites.ts";
import type { FactStore } from "../store/facts.ts";
import type { Policy } from "./policy.ts";
import type { Rights, Standing } from "./rights.ts";
import { isKept, stayingFor } from "./staying.ts";
import { AWAY, unlessAway } from "./unless-away.ts";
import type { Health } from "./witness.ts";

export interface ConfirmParts {
  readonly site: Site;
  readonly policy: Policy;
  /** Witnessed: its yes makes the grant and the link. */
  readonly upstream: Registry;
  readonly rights: Rights;
  readonly facts: FactStore;
  readonly health: Health;
  readonly clock: Clock;
}

export interface Held {
  readonly repo: Repository;
  readonly digest: Digest;
  /** Whether upstream has ever said that this repository holds it. */
  readonly linked: boolean;
  readonly onGone: "keep" | "drop";
  /** Asks upstream about just this thing, without its body. */
  readonly ask: (ctx: Context) => Promise<unknown>;
}

/** Whether upstream was heard for this answer: `live` it was not needed, `asked` it said yes, `stale` it could not be asked. */
export interface Confirmation {
  readonly how: "live" | "asked" | "stale";
  /** Of a stale one: ms since upstream last said yes. */
  readonly age?: number;
}

const LIVE: Confirmation = { how: "live" };
const ASKED: Confirmation = { how: "asked" };

/**
 * Says, at once where nobody need be asked, that the client may have the held thing. Rejects with upstream's refusal or 404,
 * or with UPSTREAM_UNREACHABLE without a right to go by.
 */
export const confirm = (parts: ConfirmParts, held: Held, ctx: Context): Confirmation | Promise<Confirmation> => {
  const standing = held.linked ? parts.rights.standing(held.repo, ctx.credential) : "none";
  return standing === "live" ? LIVE : confirmBy(standing, parts, held, ctx);
};

const confirmBy = async (
  known: Standing | Promise<Standing>,
  parts: ConfirmParts,
  held: Held,
  ctx: Context,
): Promise<Confirmation> => {
  const standing = await known;
  if (standing === "live") return LIVE;
  try {
    const mayServeStale = standing === "stale";
    const answer = await (mayServeStale ? unlessAway(parts, { ...held, standing }, ctx, held.ask) : held.ask(ctx));
    return answer === AWAY ? await staleSince(parts, held.repo, ctx) : ASKED;
  } catch (error) {
    if (isOciError(error) && error.isUnknown && held.linked) return await stillThere(parts, held, ctx, error);
    throw error;
  }
};

const staleSince = async ({ rights, clock }: ConfirmParts, repo: Repository, ctx: Context): Promise<Confirmation> => {
  const at = await rights.confirmedAt(repo, ctx.credential);
  return { how: "stale", ...(at !== undefined && { age: Math.max(0, clock() - at) }) };
};

/**
 * Upstream says 404, behind which some registries hide what one may not see. Only a yes to a question about the repository
 * with the same credential proves the right to read; then `onGone` decides, and `dropped` is called where it says so and no tag that stays
 * needs the thing. Otherwise its 404 is the answer, and takes nothing from others.
 */
export const stillThere = async (
  parts: ConfirmParts,
  held: Omit<Held, "ask" | "linked">,
  ctx: Context,
  gone: OciError,
  dropped: () => Promise<unknown> = () => Promise.resolve(),
): Promise<Confirmation> => {
  await parts.upstream.listTags({ repo: held.repo, n: 1 }, ctx).catch((error: unknown) => {
    throw isOciError(error) ? gone : error;
  });
  if (held.onGone === "keep" || (await stayingFor(parts, held.repo, held.digest)) !== undefined) return ASKED;
  if (await isKept(parts, held.repo, held.digest)) return ASKED;
  await parts.facts.removeLink({ site: parts.site.host, repo: held.repo, digest: held.digest });
  await dropped();
  throw gone;
};

export const provenanceOf = ({ how, age }: Confirmation): Provenance => {
  if (how !== "stale") return { source: "hit" };
  return { source: "stale", ...(age !== undefined && { age: Math.floor(age / 1000) }) };
};
