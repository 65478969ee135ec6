// The way to an entry's upstream in the course of one sync. Where little is left of its budget nobody asks for a while, and then one alone,
// to see. Where it does not answer again and again, the rest is told so at once instead of each waiting for itself.
import { abortable, pause } from "../lib/abort.ts";
import type { Clock } from "../lib/clock.ts";
import type { MirrorEntry } from "../mirrors.ts";
import { isOciError, OciError } from "../oci/error.ts";
import { parseRateLimit } from "../oci/rate-limit.ts";
import type { Metadata, Provenance, Registry } from "../oci/registry.ts";
import { intercept } from "../registry/intercept.ts";
import type { SyncProgress } from "./outcome.ts";

/** Questions in a row that were not answered. */
const AWAY_AFTER = 5;

export interface LineParts {
  readonly rateLimit: MirrorEntry["rateLimit"];
  readonly waits: (waiting: SyncProgress["waiting"]) => void;
  readonly clock: Clock;
}

interface Answer {
  readonly provenance: Provenance;
  readonly metadata: Metadata;
}

export class Line {
  readonly #parts: LineParts;
  #unanswered = 0;
  /** Of performance.now(); 0: open. */
  #closedUntil = 0;
  #why = "";
  /** Who has gone ahead after a wait. */
  #scout: PromiseWithResolvers<void> | undefined;

  constructor(parts: LineParts) {
    this.#parts = parts;
  }

  /** Upstream is away as far as this sync is concerned. */
  get isAway(): boolean {
    return this.#unanswered >= AWAY_AFTER;
  }

  around(registry: Registry): Registry {
    return intercept(registry, (_operation, query, ctx, next) => this.pass(ctx.signal, () => next(query, ctx)));
  }

  async pass<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    const scout = await this.#enter(signal);
    try {
      const answer = await ask();
      this.#heard(answer as Partial<Answer>, scout !== undefined);
      return answer;
    } catch (error) {
      this.#failed(error, scout !== undefined);
      throw error;
    } finally {
      if (scout !== undefined) this.#scout = undefined;
      scout?.resolve();
    }
  }

  async #enter(signal: AbortSignal): Promise<PromiseWithResolvers<void> | undefined> {
    for (;;) {
      signal.throwIfAborted();
      if (this.isAway)
        throw new OciError("UPSTREAM_UNREACHABLE", "upstream has not answered several times in a row: it was not asked");
      if (this.#scout !== undefined) {
        await abortable(this.#scout.promise, signal);
        continue;
      }
      if (this.#closedUntil === 0) return undefined;
      const left = this.#closedUntil - performance.now();
      if (left <= 0) {
        this.#scout = Promise.withResolvers<void>();
        return this.#scout;
      }
      this.#parts.waits({ until: new Date(this.#parts.clock() + left).toISOString(), why: this.#why });
      await pause(left, signal);
    }
  }

  #heard({ provenance, metadata }: Partial<Answer>, isScout: boolean): void {
    if (provenance !== undefined && provenance.source !== "hit" && provenance.source !== "stale") this.#unanswered = 0;
    const { rateLimit } = this.#parts;
    const { remaining } = parseRateLimit((name) => metadata?.rateLimit?.[name]);
    if (rateLimit !== undefined && remaining !== undefined && remaining < rateLimit.min)
      this.#close(rateLimit.retry, `upstream lets us ask ${remaining} times more, and ${rateLimit.min} are to be left`);
    else if (isScout || remaining !== undefined) this.#open();
  }

  #failed(error: unknown, isScout: boolean): void {
    if (!isOciError(error)) return;
    const { rateLimit } = this.#parts;
    if (error.code === "UPSTREAM_UNREACHABLE") this.#unanswered += 1;
    if (error.code === "TOOMANYREQUESTS" && rateLimit !== undefined)
      this.#close(Math.max(rateLimit.retry, error.retryAfterMs ?? 0), "upstream has been asked too often");
    else if (isScout) this.#open();
  }

  #close(ms: number, why: string): void {
    this.#closedUntil = performance.now() + ms;
    this.#why = why;
  }

  #open(): void {
    this.#closedUntil = 0;
    this.#parts.waits(undefined);
  }
}
