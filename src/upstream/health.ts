// The breaker of one upstream: after a failure to reach it what is held is served without asking, until a probe in the background succeeds.
import type { Logger } from "../lib/log.ts";
import { isOciError } from "../oci/error.ts";

const BACKOFF_MS = [250, 500, 1_000, 2_000, 5_000];

export class UpstreamHealth {
  readonly #name: string;
  readonly #probe: () => Promise<unknown>;
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #isUp = true;
  #isClosed = false;
  #attempts = 0;
  #isLooking = false;

  /** `probe` resolves on an HTTP answer, or rejects with an OciError that has it; it must settle by itself. */
  constructor(name: string, probe: () => Promise<unknown>, log: Logger) {
    this.#name = name;
    this.#probe = probe;
    this.#log = log;
  }

  get up(): boolean {
    return this.#isUp;
  }

  answered(): void {
    if (!this.#isUp) this.#log.warn({ site: this.#name }, "upstream answers again");
    this.#isUp = true;
    this.#attempts = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  failed(error: unknown): void {
    if (this.#isUp)
      this.#log.warn({ site: this.#name, err: error instanceof Error ? error.message : String(error) }, "upstream is away");
    this.#isUp = false;
    if (this.#timer === undefined && !this.#isLooking) this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#isClosed) return;
    const base = BACKOFF_MS[Math.min(this.#attempts, BACKOFF_MS.length - 1)]!;
    this.#attempts += 1;
    this.#timer = setTimeout(() => void this.#look(), base * (0.75 + Math.random() / 2));
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    this.#isLooking = true;
    const isThere = await this.#probe().then(
      () => true,
      // also "503" and "too many requests" come from somebody who is there
      (error: unknown) => isOciError(error) && error.upstream !== undefined,
    );
    this.#isLooking = false;
    if (this.#isClosed) return;
    if (isThere) this.answered();
    else if (!this.#isUp) this.#schedule();
  }
}
