// Shared work: whoever asks for a key while it is under way waits for the same answer. The work stops only when nobody waits any more.
import { abortable } from "./abort.ts";

interface Shared<T> {
  readonly result: Promise<T>;
  readonly stop: AbortController;
  waiting: number;
}

export class SingleFlight<T> {
  readonly #running = new Map<string, Shared<T>>();

  /** `work` gets a signal of its own; `signal` only makes this caller leave. `led` tells whether this call began the work. */
  async run(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<{ value: T; led: boolean }> {
    const running = this.#running.get(key);
    const shared = running ?? this.#start(key, work);
    shared.waiting += 1;
    try {
      return { value: await abortable(shared.result, signal), led: running === undefined };
    } catch (error) {
      throw running === undefined ? error : new FollowerError(error);
    } finally {
      shared.waiting -= 1;
      if (shared.waiting === 0) this.#leave(key, shared);
    }
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<T>): Shared<T> {
    const stop = new AbortController();
    const result = work(stop.signal).finally(() => {
      if (this.#running.get(key)?.stop === stop) this.#running.delete(key);
    });
    result.catch(() => undefined);
    const shared = { result, stop, waiting: 0 };
    this.#running.set(key, shared);
    return shared;
  }

  #leave(key: string, shared: Shared<T>): void {
    if (this.#running.get(key) === shared) this.#running.delete(key);
    shared.stop.abort();
  }
}

/** The work that this caller only followed has failed; the failure may concern its leader alone. */
export class FollowerError extends Error {
  constructor(cause: unknown) {
    super("the shared work failed", { cause });
    this.name = "FollowerError";
  }
}
