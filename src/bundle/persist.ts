// What is asked again where the line breaks or the server starts anew: everything that a bundle asks may be asked twice.
import { AdminError } from "../admin/error.ts";
import { Unreachable } from "../admin/remote.ts";
import { pause } from "../lib/abort.ts";
import { Retry, type RetryOptions } from "../lib/retry.ts";

/** Longer than a server takes to come back; milliseconds. */
const PATIENCE: RetryOptions = { attempts: 9, first: 300, most: 10_000, longest: 10_000 };

export class Persistence {
  readonly #signal: AbortSignal;
  readonly #retry: Retry;

  constructor(signal: AbortSignal, patience = PATIENCE) {
    this.#signal = signal;
    this.#retry = new Retry(patience);
  }

  progressed(bytes: number): void {
    this.#retry.progressed(bytes);
  }

  /** Rejects with what is not worth another try. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#retry.renew();
    for (;;) {
      this.#signal.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        this.#signal.throwIfAborted();
        const ms = isPassing(error) ? this.#retry.next() : undefined;
        if (ms === undefined) throw error;
        // of a process that does nothing but wait no timer of ours keeps it alive: its caller does (cli/reach.ts)
        await pause(ms, this.#signal);
      }
    }
  }
}

const TORN = new Set(["ECONNRESET", "EPIPE", "ECONNREFUSED", "ETIMEDOUT", "ERR_STREAM_PREMATURE_CLOSE"]);

const isPassing = (error: unknown): boolean =>
  error instanceof Unreachable ||
  (error instanceof AdminError && (error.code === "BUSY" || error.code === "UNAVAILABLE")) ||
  TORN.has((error as NodeJS.ErrnoException | undefined)?.code ?? "");
