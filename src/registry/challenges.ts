// The bearer challenge of each site as its upstream last gave it: where tokens come from, and for which service. Heard in passing;
// what `GET /v2/` was answered is remembered over restarts.
import { LRUCache } from "lru-cache";
import { upTo } from "../lib/lru.ts";
import { Seldom } from "../lib/seldom.ts";
import type { FactStore } from "../store/facts.ts";

export interface BearerChallenge {
  readonly realm: URL;
  readonly service: string | undefined;
}

export interface Challenges {
  /** `WWW-Authenticate` values of a 401. */
  heard(site: string, values: readonly string[]): void;
  /** `undefined`: it has none, or nobody has heard it yet. */
  of(site: string): Promise<BearerChallenge | undefined>;
}

/** Hosts that wildcards stand for are sites as well, and whoever asks makes them up. */
const KEPT = 4_096;

/** `parse` finds the bearer challenge among such values. */
export const challengesOf = (
  facts: Pick<FactStore, "ping">,
  parse: (values: readonly string[]) => BearerChallenge | undefined,
): Challenges => {
  const known = new LRUCache<string, BearerChallenge>(upTo(KEPT));
  return {
    heard(site, values) {
      const challenge = parse(values);
      if (challenge !== undefined) known.set(site, challenge);
    },
    async of(site) {
      const remembered = known.get(site) ?? parse((await facts.ping(site).catch(() => undefined))?.challenges ?? []);
      if (remembered !== undefined) known.set(site, remembered);
      return remembered;
    },
  };
};

/**
 * As `challenges`, for one site: where `GET /v2/` has never been asked, as some clients never do, `ask` asks it for us, so that what it is
 * answered outlives a restart. It is begun once a minute at most, and never waited for.
 */
export const askingFor = (challenges: Challenges, facts: Pick<FactStore, "ping">, ask: () => Promise<unknown>): Challenges => {
  const seldom = new Seldom();
  let isKept = false;
  const askOnce = async (site: string): Promise<void> => {
    isKept ||= (await facts.ping(site)) !== undefined;
    if (!isKept) seldom.tell(() => void ask().catch(() => undefined));
  };
  return {
    heard(site, values) {
      challenges.heard(site, values);
      if (!isKept) void askOnce(site).catch(() => undefined);
    },
    async of(site) {
      const known = await challenges.of(site);
      if (known === undefined) await askOnce(site).catch(() => undefined);
      return known;
    },
  };
};
