// How a process is told to end, and to hurry up. The first order begins it; a later one can only make it shorter.
import { TTL } from "../dns/ttl.ts";

/** Milliseconds. */
export interface EndOrder {
  /** Clients that hold an answer of our DNS may still come: who does is served for so long, while any do. */
  readonly grace: number;
  /** What is under way then may take so long. */
  readonly drain: number;
}

/** From the parent to its front end. */
export type EndMessage = { readonly kind: "end" } & EndOrder;

const DRAIN = 10_000;
/** As long as any client can hold an answer. */
export const GRACE = TTL * 1_000;
export const IN_PEACE: EndOrder = { grace: GRACE, drain: DRAIN };
/** A person waits at the keyboard. */
const SOON: EndOrder = { grace: 0, drain: 2_000 };
const AT_ONCE: EndOrder = { grace: 0, drain: 0 };

export class Ending {
  readonly begun: Promise<void>;
  readonly #begin: () => void;
  /** Fires with every order. */
  readonly #heard: ((order: EndOrder) => void)[] = [];
  #order: EndOrder | undefined;
  #at = 0;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.begun = promise;
    this.#begin = resolve;
  }

  order(given: EndOrder): void {
    const now = performance.now();
    const gone = now - this.#at;
    this.#order = {
      grace: this.#order === undefined ? given.grace : Math.min(this.#order.grace, gone + given.grace),
      drain: this.#order === undefined ? given.drain : Math.min(this.#order.drain, given.drain),
    };
    if (this.#at === 0) this.#at = now;
    for (const heard of this.#heard) heard(this.left);
    this.#begin();
  }

  /** What is left of it now. */
  get left(): EndOrder {
    const { grace, drain } = this.#order ?? IN_PEACE;
    return { grace: Math.max(0, grace - (this.#at === 0 ? 0 : performance.now() - this.#at)), drain };
  }

  onOrder(heard: (order: EndOrder) => void): void {
    this.#heard.push(heard);
  }
}

/**
 * SIGTERM, SIGINT (soon), a second one of either (at once), or the parent that we belong to has gone. Asked for before anything slow: the
 * first process of a container is not ended by a signal that it has no handler for.
 */
export const ending = (): Ending => {
  const end = new Ending();
  if (process.send === undefined) {
    let signals = 0;
    const signalled = (first: EndOrder) => () => end.order(signals++ === 0 ? first : AT_ONCE);
    process.on("SIGTERM", signalled(IN_PEACE));
    process.on("SIGINT", signalled(SOON));
    return end;
  }
  // systemd tells every process of a service to end, and a keyboard every process in front of it; what follows is the parent's to say
  process.on("SIGTERM", () => end.order(IN_PEACE));
  process.on("SIGINT", () => end.order(SOON));
  process.on("SIGHUP", () => undefined);
  process.on("message", (message: EndMessage) => {
    if (message.kind === "end") end.order(message);
  });
  process.once("disconnect", () => end.order({ ...IN_PEACE, grace: 0 }));
  if (process.connected === false) end.order({ ...IN_PEACE, grace: 0 }); // it went while we were starting
  return end;
};
