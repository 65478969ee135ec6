// How many requests an origin has of us at once. What is small and waited for (manifests, HEADs, tokens, lists) goes before bodies of blobs,
// and some slots are never theirs: however long downloads take, a manifest finds one. Every slot that is taken is given back exactly once.
import { abortable, within } from "../lib/abort.ts";
import { OciError } from "../oci/error.ts";

/** No client is worth a longer wait: it is told to come again. Milliseconds. */
const WAIT_AT_MOST = 30_000;
const QUEUE_AT_MOST = 1_000;
/** What a client is told that finds no room even to wait. Milliseconds. */
const COME_AGAIN = 5_000;

export type Urgency = "first" | "bulk";
export type Release = () => void;

export interface SlotOptions {
  readonly name: string;
  /** At least 1. */
  readonly total: number;
  readonly waitAtMost?: number;
  readonly queueAtMost?: number;
}

interface Waiting {
  readonly grant: (release: Release) => void;
  readonly refuse: (reason: Error) => void;
}

export class Slots {
  readonly #options: SlotOptions;
  /** As many may be bodies of blobs. With a single slot there is none to keep from them. */
  readonly #bulkAtMost: number;
  readonly #taken = { first: 0, bulk: 0 };
  readonly #queues = { first: new Set<Waiting>(), bulk: new Set<Waiting>() };

  constructor(options: SlotOptions) {
    this.#options = options;
    this.#bulkAtMost = options.total - Math.min(options.total - 1, Math.ceil(options.total / 8));
  }

  get running(): number {
    return this.#taken.first + this.#taken.bulk;
  }

  get waiting(): number {
    return this.#queues.first.size + this.#queues.bulk.size;
  }

  /** Resolves with what gives the slot back. Throws UNAVAILABLE when there is none for too long, the signal's reason, or what `refuse` says. */
  async take(urgency: Urgency, signal: AbortSignal): Promise<Release> {
    signal.throwIfAborted();
    if (this.#isFree(urgency) && this.#queues[urgency].size === 0) return this.#grant(urgency);
    if (this.waiting >= (this.#options.queueAtMost ?? QUEUE_AT_MOST)) throw this.#busy("too many wait already");
    return this.#wait(urgency, signal);
  }

  /** Nobody who waits needs to wait any longer. */
  refuse(reason: Error): void {
    for (const queue of [this.#queues.first, this.#queues.bulk]) {
      for (const waiting of queue) waiting.refuse(reason);
      queue.clear();
    }
  }

  async #wait(urgency: Urgency, signal: AbortSignal): Promise<Release> {
    const queue = this.#queues[urgency];
    const { promise, resolve: grant, reject: refuse } = Promise.withResolvers<Release>();
    const waiting: Waiting = { grant, refuse };
    queue.add(waiting);
    const { waitAtMost = WAIT_AT_MOST } = this.#options;
    try {
      return await within(abortable(promise, signal), waitAtMost);
    } catch (error) {
      // left in the very moment in which its turn came: the next one has it
      if (!queue.delete(waiting)) void promise.then((release) => release()).catch(() => undefined);
      if (error instanceof Error && error.name === "TimedOut") throw this.#busy(`no turn within ${waitAtMost} ms`);
      throw error;
    }
  }

  #isFree(urgency: Urgency): boolean {
    if (this.running >= this.#options.total) return false;
    return urgency === "first" || this.#taken.bulk < this.#bulkAtMost;
  }

  #grant(urgency: Urgency): Release {
    this.#taken[urgency] += 1;
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      this.#taken[urgency] -= 1;
      this.#next();
    };
  }

  #next(): void {
    const urgency = this.#nextUrgency();
    if (urgency === undefined) return;
    const queue = this.#queues[urgency];
    const [waiting] = queue;
    queue.delete(waiting!);
    waiting!.grant(this.#grant(urgency));
  }

  #nextUrgency(): Urgency | undefined {
    const { first, bulk } = this.#queues;
    const mayBulk = bulk.size > 0 && this.#isFree("bulk");
    // manifests without end must not keep every blob waiting for ever
    if (mayBulk && this.#taken.bulk === 0) return "bulk";
    if (first.size > 0 && this.#isFree("first")) return "first";
    return mayBulk ? "bulk" : undefined;
  }

  #busy(why: string): OciError {
    const { name, total } = this.#options;
    return new OciError("UNAVAILABLE", `all ${total} requests that ${name} gets at once are under way, and ${why}`, {
      retryAfterMs: COME_AGAIN,
    });
  }
}
