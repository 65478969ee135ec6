// Who has joined a flight, and by whose way upstream is opened next: one that reads before one that has left, and nobody twice who was refused.
import type { Open } from "./opening.ts";

/** What a joiner brings. */
export interface Joining {
  /** Under its own credential. */
  readonly open: Open;
  /** The client's address; "" for our own. */
  readonly client: string;
  /** The site it comes through: who comes through one whose upstream is away hears so at once. */
  readonly site: string;
  /** False when its right has been refused meanwhile. */
  readonly isEntitled: () => Promise<boolean>;
}

export interface Joiner {
  readonly joining: Joining;
  /** What it is told when upstream has nothing for it. */
  readonly refuse: (reason: Error) => void;
}

/** Of those who have left so many may still lend their way; each keeps what its request was made of. */
const MOST_LEFT = 8;

export class Joiners {
  /** Those who read or wait. */
  readonly #present = new Set<Joiner>();
  /** Ways to upstream of those who are present, and of those who have left; the next to be used first. */
  #ways: Joiner[] = [];
  #leftWays: Joiner[] = [];

  /** Whether anybody has ever joined. */
  hadAny = false;

  get present(): number {
    return this.#present.size;
  }

  add(joiner: Joiner): void {
    this.hadAny = true;
    this.#present.add(joiner);
    this.#ways.push(joiner);
  }

  leave(joiner: Joiner): void {
    this.#present.delete(joiner);
    if (this.#ways.includes(joiner)) this.#leftWays = [...this.#leftWays, joiner].slice(-MOST_LEFT);
    this.#ways = this.#ways.filter((other) => other !== joiner);
  }

  /** `undefined`: nobody is left who may open upstream. Those who have left lend their way only where nobody else is there. */
  next(): Joiner | undefined {
    return this.present > 0 ? this.#ways[0] : this.#leftWays[0];
  }

  /** Whether there is another's way to try, of those who are present. */
  hasOther(joiner: Joiner): boolean {
    return this.#ways.some((other) => other !== joiner);
  }

  isPresent(joiner: Joiner): boolean {
    return this.#present.has(joiner);
  }

  /** Upstream, or a right that has ended, keeps this one's way from being used again. */
  bar(joiner: Joiner): void {
    this.#ways = this.#ways.filter((other) => other !== joiner);
    this.#leftWays = this.#leftWays.filter((other) => other !== joiner);
  }

  /** Upstream says no to it, or to all through its site. */
  refuse(joiner: Joiner, reason: Error, others = false): void {
    const { site } = joiner.joining;
    for (const one of [...this.#present]) {
      if (one !== joiner && (!others || one.joining.site !== site)) continue;
      one.refuse(reason);
      this.bar(one);
      this.#present.delete(one);
    }
    this.bar(joiner);
  }

  /** The next time another's way is tried first: it may lead to another upstream. */
  rotate(): void {
    this.#ways.push(...this.#ways.splice(0, 1));
    this.#leftWays.push(...this.#leftWays.splice(0, 1));
  }

  /** All hear why there is nothing more. */
  end(reason: Error): void {
    for (const joiner of this.#present) joiner.refuse(reason);
    this.#ways = [];
    this.#leftWays = [];
  }
}
