// Token servers that are away, of those that we ask for ourselves: after a failure one question at a time finds out whether that is over, after
// pauses that grow. Everybody else is told at once, so that nobody waits for a token again and again; an answer, also a refusal, ends it.

import { LRUCache } from "lru-cache";
import { upTo } from "../lib/lru.ts";
import { stepOf } from "../lib/pauses.ts";
import { Trial } from "../lib/trial.ts";
import { isOciError, OciError } from "../oci/error.ts";

const PAUSES_MS = [500, 1_000, 2_000, 5_000, 10_000, 30_000];
const MAX_SERVERS = 1_000;
/** How long others wait for the one that finds out. Milliseconds. */
const PATIENCE = 300;

interface Away {
  readonly trial: Trial;
  until: number;
  times: number;
  why: string;
}

export class TokenServers {
  readonly #now: () => number;
  readonly #away = new LRUCache<string, Away>(upTo(MAX_SERVERS));

  /** `now` in monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** `ask` settles by itself. Throws what it throws, or UPSTREAM_UNREACHABLE while the server is known to be away. */
  async ask<T>({ origin, host }: URL, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    const end = await this.#enter(origin, host, signal);
    try {
      const answer = await ask();
      this.#away.delete(origin);
      return answer;
    } catch (error) {
      if (isOciError(error) && error.code === "UPSTREAM_UNREACHABLE") this.#failed(origin, error.message);
      else if (isOciError(error)) this.#away.delete(origin);
      throw error;
    } finally {
      end();
    }
  }

  async #enter(origin: string, host: string, signal: AbortSignal): Promise<() => void> {
    const until = this.#now() + PATIENCE;
    for (;;) {
      const away = this.#away.get(origin);
      if (away === undefined) return () => undefined;
      const isOver = this.#now() >= away.until && (await away.trial.isOver(until - this.#now(), signal));
      if (!isOver) throw this.#refusal(host, away);
      if (this.#away.get(origin) === away && this.#now() >= away.until && !away.trial.isRunning) return away.trial.begin();
    }
  }

  #failed(origin: string, why: string): void {
    const away = this.#away.get(origin) ?? { trial: new Trial(), until: 0, times: 0, why };
    // what failed beside the first is no reason for a longer pause
    if (this.#now() < away.until) return;
    away.until = this.#now() + stepOf(PAUSES_MS, away.times);
    away.times += 1;
    this.#away.set(origin, away);
  }

  #refusal(host: string, { until, why }: Away): OciError {
    const retryAfterMs = Math.max(1_000, Math.ceil(until - this.#now()));
    return new OciError("UPSTREAM_UNREACHABLE", `the token server ${host} is away: ${why}`, { retryAfterMs });
  }
}
