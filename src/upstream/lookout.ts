// Looks for an upstream that is away: after pauses, in the background and at nobody's cost, or at once for somebody who came for what is not
// held. One look at a time, whoever asks for it; no process lives on because of one.
import { Trial } from "../lib/trial.ts";
import { isOciError } from "../oci/error.ts";

export class Lookout {
  readonly #ask: () => Promise<unknown>;
  readonly #ended: (isThere: boolean) => void;
  readonly #look = new Trial();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** `ask` resolves on an HTTP answer, or rejects with an OciError that has it, and settles by itself. `ended` is told of each look. */
  constructor(ask: () => Promise<unknown>, ended: (isThere: boolean) => void) {
    this.#ask = ask;
    this.#ended = ended;
  }

  /** Neither looking nor about to. */
  get isIdle(): boolean {
    return this.#timer === undefined && !this.#look.isRunning;
  }

  now(): void {
    this.rest();
    if (!this.#isClosed && !this.#look.isRunning) void this.#run();
  }

  later(ms: number): void {
    this.rest();
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.now(), ms);
    this.#timer.unref();
  }

  /** What is under way goes on; nothing is planned any more. */
  rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Resolves when the look that is under way has ended, after `ms` at the latest. Throws the signal's reason. */
  async end(ms: number, signal: AbortSignal): Promise<void> {
    await this.#look.isOver(ms, signal);
  }

  close(): void {
    this.rest();
    this.#isClosed = true;
  }

  async #run(): Promise<void> {
    const end = this.#look.begin();
    const isThere = await this.#ask().then(
      () => true,
      // "unauthorized" and "too many requests" come from somebody who is there; 503 may come of what stands before it
      (error: unknown) => isOciError(error) && error.upstream !== undefined && error.upstream.status < 500,
    );
    if (!this.#isClosed) this.#ended(isThere);
    end();
  }
}
