// `GET /v2/` of a site: upstream's own answer, so that clients log in as they would without us; in an outage what is remembered of it.
import type { ServerResponse } from "node:http";
import { isOciError, OciError } from "../oci/error.ts";
import type { Context } from "../oci/registry.ts";
import { asksBasic } from "../registry/ask-login.ts";
import { patiently } from "../registry/patience.ts";
import type { Rights } from "../registry/rights.ts";
import type { Health } from "../registry/witness.ts";
import type { Site } from "../sites.ts";
import type { FactStore, PingFact } from "../store/facts.ts";
import type { Exchange } from "./exchange.ts";

/** What upstream says to `GET /v2/`: any status but those of an outage, which are thrown. */
export interface PingAnswer {
  readonly status: number;
  readonly challenges: readonly string[];
  readonly contentType: string | undefined;
  /** At most 64 KiB. */
  readonly body: string;
}

export interface PingParts {
  readonly site: Site;
  readonly ask: (ctx: Context) => Promise<PingAnswer>;
  /** Whether the realm of one of these challenges can be reached: any HTTP answer counts. */
  readonly realmAnswers: (challenges: readonly string[]) => Promise<boolean>;
  /** Whether it has been reached before, and surely cannot be now. */
  readonly realmIsGone: (challenges: readonly string[]) => Promise<boolean>;
  readonly facts: FactStore;
  readonly rights: Rights;
  readonly health: Health;
  readonly clock: () => number;
}

export const pingDoor = (parts: PingParts) => {
  return async ({ res, ctx, note }: Exchange): Promise<void> => {
    const answer = await askUpstream(parts, ctx);
    const isUseless = answer !== undefined && (await leadsNowhere(parts, answer, ctx));
    const given = isUseless ? welcome : (answer ?? (await remembered(parts, ctx)));
    note.verdict = given === answer ? "PASS" : "STALE";
    send(res, given);
  };
};

/** With its realm alone away nobody can meet upstream's challenge, and many clients then ask for nothing more: what is public needs no token. */
const leadsNowhere = async (
  { realmIsGone, rights }: PingParts,
  { status, challenges }: PingAnswer,
  { credential }: Context,
): Promise<boolean> => {
  if (status !== 401 || credential !== undefined || asksBasic(challenges)) return false;
  return (await realmIsGone(challenges)) && (await rights.anyPublic().catch(() => false));
};

/** `undefined`: an outage. */
const askUpstream = async (parts: PingParts, ctx: Context): Promise<PingAnswer | undefined> => {
  const { ask, health, facts, site, clock } = parts;
  if (!health.answersPings) return undefined;
  try {
    const answer = await patiently(ask, ctx, health);
    const { status, challenges } = answer;
    if (ctx.credential === undefined && (status === 200 || status === 401)) {
      await facts.putPing(site.host, { status, challenges, at: clock() }).catch(() => undefined);
    }
    return answer;
  } catch (error) {
    if (!isOciError(error) || !error.isOutage) throw error;
    return undefined;
  }
};

/**
 * The challenge from memory while it leads somewhere: Basic always, Bearer while its realm answers. With the realm gone a client
 * without a credential is let in to what is public; one with a credential only if that has been good for something here.
 */
const remembered = async ({ site, facts, rights, realmAnswers }: PingParts, ctx: Context): Promise<PingAnswer> => {
  // not every client asks for it: that upstream has never been heard here says nothing of what is held
  const known = await facts.ping(site.host).catch(() => undefined);
  if (known?.status === 200) return welcome;
  const leadsSomewhere = known !== undefined && (isBasic(known) || (await realmAnswers(known.challenges)));
  if (ctx.credential === undefined) return leadsSomewhere ? challenge(known) : welcome;
  if (leadsSomewhere && !isBasic(known)) return welcome;
  if (await rights.known(ctx.credential).catch(() => false)) return welcome;
  throw new OciError("UPSTREAM_UNREACHABLE", `${site.host} cannot be reached to check this login`);
};

const isBasic = ({ challenges }: PingFact): boolean => asksBasic(challenges);

const welcome: PingAnswer = { status: 200, challenges: [], contentType: "application/json", body: "{}" };

const challenge = ({ status, challenges }: PingFact): PingAnswer => ({
  status,
  challenges,
  contentType: "application/json",
  body: JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "authentication required", detail: null }] }),
});

const send = (res: ServerResponse, { status, challenges, contentType, body }: PingAnswer): void => {
  res.writeHead(status, {
    "docker-distribution-api-version": "registry/2.0",
    "content-type": contentType ?? "application/json",
    "content-length": Buffer.byteLength(body),
    ...(challenges.length === 0 ? {} : { "www-authenticate": [...challenges] }),
  });
  res.end(body);
};
