// Which resolver is asked first. One that failed is asked last until it has answered again, so that a dead one costs the first
// query its time-out and no other; now and then it gets a copy of a query, for which nobody waits, to show that it is back.
import { performance } from "node:perf_hooks";
import type { Clock } from "../lib/clock.ts";

interface Health<T> {
  readonly resolver: T;
  /** When it may be probed; undefined: well. */
  probeAt: number | undefined;
}

export class ResolverOrder<T> {
  readonly #all: readonly Health<T>[];
  readonly #probeEvery: number;
  readonly #now: Clock;

  /** `probeEvery` in milliseconds; `now` should be monotonic. */
  constructor(resolvers: readonly T[], probeEvery: number, now: Clock = () => performance.now()) {
    this.#all = resolvers.map((resolver) => ({ resolver, probeAt: undefined }));
    this.#probeEvery = probeEvery;
    this.#now = now;
  }

  /** All of them; as configured, but those that failed last. */
  order(): T[] {
    const well = this.#all.filter((health) => health.probeAt === undefined);
    const failed = this.#all.filter((health) => health.probeAt !== undefined);
    return [...well, ...failed].map((health) => health.resolver);
  }

  /** Those whose time for a probe has come, while another one does the work; each only once for its time. */
  takeProbes(): T[] {
    if (this.#all.every((health) => health.probeAt !== undefined)) return [];
    const due = this.#all.filter(({ probeAt }) => probeAt !== undefined && probeAt <= this.#now());
    for (const health of due) health.probeAt = this.#now() + this.#probeEvery;
    return due.map((health) => health.resolver);
  }

  /** Whether that is news. */
  failed(resolver: T): boolean {
    const health = this.#find(resolver);
    const news = health?.probeAt === undefined;
    if (health) health.probeAt = this.#now() + this.#probeEvery;
    return news;
  }

  /** Whether that is news. */
  answered(resolver: T): boolean {
    const health = this.#find(resolver);
    const news = health?.probeAt !== undefined;
    if (health) health.probeAt = undefined;
    return news;
  }

  #find(resolver: T): Health<T> | undefined {
    return this.#all.find((health) => health.resolver === resolver);
  }
}
