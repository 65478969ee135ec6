// The way to one origin: its slots, and its breaker where it is an upstream that somebody configured. Each request is let on to it in its turn,
// and what becomes of it is told to the breaker here and nowhere else.
import { LRUCache } from "lru-cache";
import { upTo } from "../lib/lru.ts";
import { isOciError } from "../oci/error.ts";
import { bareType } from "../oci/media.ts";
import type { Breaker, Heard, Kind } from "./breaker.ts";
import { repositoryIn } from "./holds.ts";
import { Slots } from "./slots.ts";
import type { Received } from "./transport.ts";

/** Redirects may name any number of hosts. */
const MAX_LINES = 1_000;

export class Lines {
  readonly #concurrency: number;
  readonly #lines = new LRUCache<string, Line>(upTo(MAX_LINES));
  readonly #breakers = new Map<string, Breaker>();

  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  /** From now on the breaker is told of every request to its origin. */
  watch(origin: string, breaker: Breaker): void {
    this.#breakers.set(origin, breaker);
    this.#lines.delete(origin);
  }

  of(origin: string): Line {
    const known = this.#lines.get(origin);
    if (known !== undefined) return known;
    const line = new Line(new Slots({ name: origin, total: this.#concurrency }), this.#breakers.get(origin));
    this.#lines.set(origin, line);
    return line;
  }
}

interface Asked {
  readonly kind: Kind;
  readonly signal: AbortSignal;
  readonly client?: string;
}

export class Line {
  readonly slots: Slots;
  readonly #breaker: Breaker | undefined;

  constructor(slots: Slots, breaker: Breaker | undefined) {
    this.slots = slots;
    this.#breaker = breaker;
  }

  /**
   * `check` comes when it is its turn, and may throw; `send` then says with `over` when the answer's body is, however that ends: only then is the
   * slot free. Throws what they throw, and what Slots.take does.
   */
  async ask(
    { kind, signal, client }: Asked,
    check: () => void,
    send: (over: () => void) => Promise<Received>,
  ): Promise<Received> {
    // our own look must not wait behind what waits for its outcome
    const release = kind === "look" ? () => undefined : await this.slots.take(isBulk(kind) ? "bulk" : "first", signal, client);
    let answered: (() => void) | undefined;
    const over = () => {
      answered?.();
      release();
    };
    try {
      check();
      answered = this.#breaker?.sent(kind);
      const received = await send(over);
      this.#breaker?.answered(kind, headOf(received));
      return received;
    } catch (error) {
      // nothing is under way (any more): no body will say that it is over
      over();
      // a write that breaks off, maybe for want of what is to be written, is no outage for those who read
      if (kind !== "upload") this.#failed(error);
      throw error;
    }
  }

  #failed(error: unknown): void {
    if (this.#breaker === undefined || !isOciError(error) || error.code !== "UPSTREAM_UNREACHABLE") return;
    this.#breaker.unreachable(error);
    // nobody waits for a turn at what is not there
    if (this.#breaker.isUnreachable) this.slots.refuse(error);
  }
}

const isBulk = (kind: Kind): boolean => kind === "blob" || kind === "upload";

const headOf = (answer: Received): Heard => ({
  status: answer.status,
  isPage: answer.status < 300 && bareType(answer.header("content-type") ?? "") === "text/html",
  retryAfter: answer.header("retry-after"),
  repository: repositoryIn(answer.url.pathname),
});
