// So many at once, the others in the order in which they came; who stops waiting loses the place in the queue.

export class Seats {
  #free: number;
  readonly #queue = new Set<() => void>();

  constructor(total: number) {
    this.#free = total;
  }

  /** What to call, once, when it is over. Throws the signal's reason. */
  async take(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn(signal);
    return () => this.#leave();
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = () => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = () => {
        this.#queue.delete(enter);
        reject(signal.reason as Error);
      };
      this.#queue.add(enter);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  /** The seat goes straight to who waits: nobody who comes just now is before them. */
  #leave(): void {
    const [next] = this.#queue;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#queue.delete(next);
    next();
  }
}
