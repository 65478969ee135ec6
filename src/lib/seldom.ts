// What may happen with every request is said once a minute, with how often it has happened since it was said last.

const EVERY = 60_000;

export class Seldom {
  readonly #now: () => number;
  #saidAt = Number.NEGATIVE_INFINITY;
  #times = 0;

  /** `now` in monotonic milliseconds. */
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** It has happened. `say` is called when it is time. */
  tell(say: (times: number) => void): void {
    this.#times += 1;
    if (this.#now() - this.#saidAt < EVERY) return;
    this.#saidAt = this.#now();
    say(this.#times);
    this.#times = 0;
  }
}
