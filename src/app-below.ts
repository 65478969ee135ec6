// The doors of hosts that wildcards stand for. Anybody who can ask can make up names, so a bounded number of them is open at a time: the
// one that has been unused for longest makes room, one that is in use never, and none stays open that nobody has used for a while. No client alone
// keeps more than half of them in use.

import type { ServerResponse } from "node:http";
import { finished } from "node:stream";
import { clientOf } from "./lib/headcount.ts";
import type { Logger } from "./lib/log.ts";
import { Seldom } from "./lib/seldom.ts";
import { OciError } from "./oci/error.ts";
import type { Care } from "./registry/care.ts";
import type { Site } from "./sites.ts";

const MAX_OPEN = 128;
const IDLE_FOR = 10 * 60_000;
const LOOK_EVERY = 60_000;

interface Closable<D> {
  readonly door: D;
  close(): Promise<void>;
}

interface Held<D> {
  readonly opened: Closable<D>;
  readonly door: D;
  /** Whose request it was opened for; undefined: nobody's. */
  readonly client: string | undefined;
  users: number;
  usedAt: number;
}

export class DoorsBelow<D extends { readonly site: Site; readonly care: Care }> {
  readonly #open: (site: Site) => Closable<D>;
  readonly #log: Logger;
  readonly #max: number;
  /** Monotonic milliseconds. */
  readonly #now: () => number;
  /** By host; that which was used last stands last. */
  readonly #held = new Map<string, Held<D>>();
  readonly #closing = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;
  readonly #madeRoom = new Seldom();
  readonly #full = new Seldom();

  constructor(open: (site: Site) => Closable<D>, log: Logger, { max = MAX_OPEN, now = () => performance.now() } = {}) {
    this.#open = open;
    this.#log = log;
    this.#max = max;
    this.#now = now;
    this.#timer = setInterval(() => this.closeIdle(), LOOK_EVERY).unref();
  }

  /** In use until `response` is over. Throws UNAVAILABLE where all that may be open are in use, TOOMANYREQUESTS where its client has half of them. */
  of(site: Site, response?: ServerResponse): D {
    const held = this.#use(site, response && clientOf(response.req.socket.remoteAddress ?? ""));
    if (response !== undefined) finished(response, this.#begin(held));
    return held.door;
  }

  /** In use until `leave`, for no client. Throws UNAVAILABLE as `of` does. */
  enter(site: Site): { readonly door: D; readonly leave: () => void } {
    const held = this.#use(site, undefined);
    return { door: held.door, leave: this.#begin(held) };
  }

  opened(): D[] {
    return [...this.#held.values()].map(({ door }) => door);
  }

  closeIdle(): void {
    for (const [host, { users, usedAt }] of this.#held) if (users === 0 && this.#now() - usedAt >= IDLE_FOR) this.#close(host);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const host of [...this.#held.keys()]) this.#close(host);
    await Promise.all(this.#closing);
  }

  #use(site: Site, client: string | undefined): Held<D> {
    const held = this.#held.get(site.host) ?? this.#opened(site, client);
    this.#held.delete(site.host);
    this.#held.set(site.host, held);
    held.usedAt = this.#now();
    return held;
  }

  #opened(site: Site, client: string | undefined): Held<D> {
    if (client !== undefined) this.#refuseGreedy(site, client);
    if (this.#held.size >= this.#max) this.#makeRoom(site);
    const opened = this.#open(site);
    const during = async <T>(work: () => Promise<T>): Promise<T> => {
      const end = this.#begin(held);
      return work().finally(end);
    };
    const held: Held<D> = {
      opened,
      door: { ...opened.door, care: inUse(opened.door.care, during) },
      client,
      users: 0,
      usedAt: 0,
    };
    return held;
  }

  #refuseGreedy({ wildcard }: Site, client: string): void {
    const inUse = [...this.#held.values()].filter((one) => one.client === client && one.users > 0).length;
    if (inUse < this.#max / 2) return;
    this.#full.tell((times) =>
      this.#log.warn({ wildcard, client, inUse, times }, "one client uses too many hosts below wildcards"),
    );
    throw new OciError("TOOMANYREQUESTS", `too many hosts below ${wildcard} at once`, { retryAfterMs: 1_000 });
  }

  #makeRoom({ wildcard }: Site): void {
    const unused = [...this.#held].find(([, { users }]) => users === 0)?.[0];
    const about = { wildcard, open: this.#held.size };
    if (unused === undefined) {
      this.#full.tell((times) => this.#log.error({ ...about, times }, "too many hosts below wildcards are in use at once"));
      throw new OciError("UNAVAILABLE", `too many hosts below wildcards such as ${wildcard} are in use at once`);
    }
    this.#madeRoom.tell((times) =>
      this.#log.warn({ ...about, times }, "many hosts below wildcards: those unused for longest are closed"),
    );
    this.#close(unused);
  }

  #begin(held: Held<D>): () => void {
    held.users += 1;
    return () => {
      held.users -= 1;
      held.usedAt = this.#now();
    };
  }

  /** What is still on its way through it comes to its end. */
  #close(host: string): void {
    const closing = this.#held
      .get(host)!
      .opened.close()
      .catch((error: unknown) => this.#log.error({ site: host, err: String(error) }, "a site could not be closed"));
    this.#held.delete(host);
    this.#closing.add(closing);
    void closing.then(() => this.#closing.delete(closing));
  }
}

/** What is done for nobody's response. */
const inUse = (care: Care, during: <T>(work: () => Promise<T>) => Promise<T>): Care => ({
  explain: (...about) => during(() => care.explain(...about)),
  warm: (...about) => during(() => care.warm(...about)),
  refresh: (...about) => during(() => care.refresh(...about)),
});
