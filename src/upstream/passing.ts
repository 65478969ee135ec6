// What clients send through to an upstream, as its breaker sees it: in no slot and no budget, as nobody's push waits for another's pull. But an
// upstream that is known to be away is not waited for, and what becomes of each is heard.
import type { OciError } from "../oci/error.ts";
import type { Breaker } from "./breaker.ts";

export class Passing {
  readonly #breaker: Breaker;
  #underWay = 0;

  constructor(breaker: Breaker) {
    this.#breaker = breaker;
  }

  /** Requests whose answers are not over. */
  get underWay(): number {
    return this.#underWay;
  }

  /** Gives what to call when it is over. Throws UPSTREAM_UNREACHABLE where upstream is away, and a look for it does not find it at once. */
  async enter(signal: AbortSignal): Promise<() => void> {
    await this.#breaker.reach(signal);
    this.#underWay += 1;
    return () => {
      this.#underWay -= 1;
    };
  }

  /** Somebody is there, whatever the answer says: of one push nobody knows whether it is its own fault. */
  answered(status: number): void {
    this.#breaker.answered("pass", { status, isPage: false, retryAfter: undefined });
  }

  /** There was no connection. What breaks off later may be the client's, or the way's. */
  unreachable(error: OciError): void {
    this.#breaker.unreachable(error);
  }
}
