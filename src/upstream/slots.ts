// How many requests an origin has of us at once. What is small and waited for (manifests, HEADs, tokens, lists) goes before bodies of blobs,
// and some slots are never theirs: however long downloads take, a manifest finds one. No single client gets all of either, nor do we for what
// no client waits for, nor all the room to wait, however slowly it reads. Every slot that is taken is given back exactly once.
import { abortable, TimedOut, within } from "../lib/abort.ts";
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
  readonly client: string;
  readonly grant: (release: Release) => void;
  readonly refuse: (reason: Error) => void;
}

export class Slots {
  readonly #options: SlotOptions;
  /** As many may be bodies of blobs. With a single slot there is none to keep from them. */
  readonly #bulkAtMost: number;
  readonly #taken = { first: 0, bulk: 0 };
  /** By urgency and client. */
  readonly #takenBy = new Map<string, number>();
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

  /** `client`: its address, "" for our own questions. Resolves with what gives the slot back. Throws UNAVAILABLE when there is none for too long, the signal's reason, or what `refuse` says. */
  async take(urgency: Urgency, signal: AbortSignal, client = ""): Promise<Release> {
    signal.throwIfAborted();
    if (this.#isFree(urgency) && this.#hasShare(urgency, client) && this.#firstOf(urgency) === undefined)
      return this.#grant(urgency, client);
    const { queueAtMost = QUEUE_AT_MOST } = this.#options;
    if (this.waiting >= queueAtMost || this.#waitingOf(client) >= shareOf(queueAtMost)) throw this.#busy("too many wait already");
    return this.#wait(urgency, signal, client);
  }

  /** Nobody who waits needs to wait any longer. */
  refuse(reason: Error): void {
    for (const queue of [this.#queues.first, this.#queues.bulk]) {
      for (const waiting of queue) waiting.refuse(reason);
      queue.clear();
    }
  }

  async #wait(urgency: Urgency, signal: AbortSignal, client: string): Promise<Release> {
    const queue = this.#queues[urgency];
    const { promise, resolve: grant, reject: refuse } = Promise.withResolvers<Release>();
    const waiting: Waiting = { client, grant, refuse };
    queue.add(waiting);
    const { waitAtMost = WAIT_AT_MOST } = this.#options;
    try {
      return await within(abortable(promise, signal), waitAtMost);
    } catch (error) {
      // left in the very moment in which its turn came: the next one has it
      if (!queue.delete(waiting)) void promise.then((release) => release()).catch(() => undefined);
      if (error instanceof TimedOut) throw this.#busy(`no turn within ${waitAtMost} ms`);
      throw error;
    }
  }

  #isFree(urgency: Urgency): boolean {
    if (this.running >= this.#options.total) return false;
    return urgency === "first" || this.#taken.bulk < this.#bulkAtMost;
  }

  #hasShare(urgency: Urgency, client: string): boolean {
    const most = urgency === "bulk" ? this.#bulkAtMost : this.#options.total;
    return (this.#takenBy.get(`${urgency} ${client}`) ?? 0) < shareOf(most);
  }

  #waitingOf(client: string): number {
    if (client === "") return 0;
    let count = 0;
    for (const queue of [this.#queues.first, this.#queues.bulk]) for (const one of queue) if (one.client === client) count += 1;
    return count;
  }

  #grant(urgency: Urgency, client: string): Release {
    this.#taken[urgency] += 1;
    this.#count(urgency, client, 1);
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      this.#taken[urgency] -= 1;
      this.#count(urgency, client, -1);
      this.#next();
    };
  }

  #count(urgency: Urgency, client: string, change: number): void {
    const key = `${urgency} ${client}`;
    const count = (this.#takenBy.get(key) ?? 0) + change;
    if (count === 0) this.#takenBy.delete(key);
    else this.#takenBy.set(key, count);
  }

  #next(): void {
    const next = this.#nextUp();
    if (next === undefined) return;
    const [urgency, waiting] = next;
    this.#queues[urgency].delete(waiting);
    waiting.grant(this.#grant(urgency, waiting.client));
  }

  /** Who has waited longest of those whose turn it may be. */
  #firstOf(urgency: Urgency): Waiting | undefined {
    for (const waiting of this.#queues[urgency]) if (this.#hasShare(urgency, waiting.client)) return waiting;
    return undefined;
  }

  #nextUp(): readonly [Urgency, Waiting] | undefined {
    const bulk = this.#isFree("bulk") ? this.#firstOf("bulk") : undefined;
    // manifests without end must not keep every blob waiting for ever
    if (bulk !== undefined && this.#taken.bulk === 0) return ["bulk", bulk];
    const first = this.#isFree("first") ? this.#firstOf("first") : undefined;
    if (first !== undefined) return ["first", first];
    return bulk === undefined ? undefined : ["bulk", bulk];
  }

  #busy(why: string): OciError {
    const { name, total } = this.#options;
    return new OciError("UNAVAILABLE", `all ${total} requests that ${name} gets at once are under way, and ${why}`, {
      retryAfterMs: COME_AGAIN,
    });
  }
}

/** What one client may have of so many; of a few there is nothing to divide. */
const shareOf = (many: number): number => (many < 4 ? many : many - Math.ceil(many / 4));
