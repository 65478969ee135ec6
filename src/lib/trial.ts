// One at a time finds something out; whoever else wants to know waits for it, for a while.
import { abortable, TimedOut, within } from "./abort.ts";

export class Trial {
  #running: PromiseWithResolvers<void> | undefined;

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Only when none is running. Gives what ends it, which may be called again. */
  begin(): () => void {
    const running = Promise.withResolvers<void>();
    this.#running = running;
    return () => {
      if (this.#running === running) this.#running = undefined;
      running.resolve();
    };
  }

  /** Resolves with whether the one that is running ended within `ms`. Throws the signal's reason. */
  async isOver(ms: number, signal: AbortSignal): Promise<boolean> {
    if (this.#running === undefined) return true;
    if (ms <= 0) return false;
    const over = this.#running.promise.then(() => true);
    return within(abortable(over, signal), ms).catch((error: unknown) => {
      if (error instanceof TimedOut) return false;
      throw error;
    });
  }
}
