// What upstreams have said about subjects and repositories. Kept in memory, flushed to the facts in batches:
// a crash may forget a grant, and upstream can tell it again; it never invents one.
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { upTo } from "../lib/lru.ts";
import { Seldom } from "../lib/seldom.ts";
import type { FactStore, GrantFact, GrantKey } from "../store/facts.ts";

const FLUSH_EVERY = 1_000;
const IN_MEMORY = 100_000;
const SWEEP_EVERY = 10 * 60_000;
const UNENDED = 10_000;
/** Tried again with each flush. */
const ENDED_AT_ONCE = 100;

export interface GrantOptions {
  readonly clock: Clock;
  /** How long after it was last confirmed a grant can still be of use, in ms. Every pull may bring a new token, so they must go again. */
  readonly keepFor: number;
}

export interface Grants {
  /** `undefined`: upstream has not said yes lately. What is in memory is told at once: every hit asks. */
  get(key: GrantKey): GrantFact | undefined | Promise<GrantFact | undefined>;
  put(grant: GrantFact): void;
  /** Never rejects: it has ended here, whatever the store says to it. */
  end(key: GrantKey): Promise<void>;
  /** Whether the subject has been granted anything on this site since `since`. */
  any(site: string, subject: string, since: number): Promise<boolean>;
  close(): Promise<void>;
}

const keyOf = ({ site, repo, subject }: GrantKey): string => `${site}\n${repo}\n${subject}`;

export const grants = (facts: FactStore, log: Logger, { clock, keepFor }: GrantOptions): Grants => {
  const memory = new LRUCache<string, { fact: GrantFact | undefined }>(upTo(IN_MEMORY));
  const unsaved = new Map<string, GrantFact>();
  // ended, and still among the facts of a store that is ill
  const unended = new LRUCache<string, GrantKey>(upTo(UNENDED));
  const failing = new Seldom();
  const notEnding = new Seldom();
  const remove = async (key: GrantKey) => {
    try {
      await facts.removeGrant(key);
      unended.delete(keyOf(key));
    } catch (error) {
      unended.set(keyOf(key), key);
      notEnding.tell((times) => log.error({ times, err: String(error) }, "grants that have ended could not be taken away"));
    }
  };
  const flush = async () => {
    for (const key of [...unended.values()].slice(0, ENDED_AT_ONCE)) {
      // given again meanwhile
      if (unended.has(keyOf(key))) await remove(key);
    }
    if (unsaved.size === 0) return;
    const batch = [...unsaved.values()];
    unsaved.clear();
    await facts
      .putGrants(batch)
      .catch((error: unknown) => failing.tell((times) => log.error({ times, err: String(error) }, "grants could not be saved")));
  };
  const timer = setInterval(() => void flush(), FLUSH_EVERY);
  timer.unref();
  const sweep = () =>
    facts
      .sweepGrants(clock() - keepFor)
      .catch((error: unknown) => log.error({ err: String(error) }, "grants could not be swept"));
  const sweeper = setInterval(() => void sweep(), SWEEP_EVERY);
  sweeper.unref();
  const lookUp = async (key: GrantKey) => {
    const fact = await facts.grant(key);
    if (unended.has(keyOf(key))) return undefined;
    // a put that came by during the look-up is newer than what was looked up
    if (!memory.has(keyOf(key))) memory.set(keyOf(key), { fact });
    return memory.get(keyOf(key))?.fact;
  };
  return {
    get(key) {
      const known = memory.get(keyOf(key));
      return known === undefined ? lookUp(key) : known.fact;
    },
    put(grant) {
      memory.set(keyOf(grant), { fact: grant });
      unended.delete(keyOf(grant));
      unsaved.set(keyOf(grant), grant);
    },
    async end(key) {
      memory.set(keyOf(key), { fact: undefined });
      unsaved.delete(keyOf(key));
      await remove(key);
    },
    async any(site, subject, since) {
      await flush();
      return facts.anyGrant(site, subject, since);
    },
    async close() {
      clearInterval(timer);
      clearInterval(sweeper);
      await flush();
      await sweep();
    },
  };
};
