// Uploads that go by in parts: what belongs together is known by the Location that upstream gave last, word for word what the client asks next.
// Two requests at once for one of them, a retry, or anything but strict appending gives it up. Those that nobody goes on with are forgotten.
import type { Places } from "../lib/places.ts";
import type { Repository } from "../oci/reference.ts";
import type { Site } from "../sites.ts";
import type { Beside } from "./beside.ts";

/** Between two requests of one upload. Milliseconds. */
const IDLE = 10 * 60_000;
const LOOK_EVERY = 60_000;

export interface Upload {
  readonly repo: Repository;
  readonly client: string;
  readonly beside: Beside;
}

interface Seen extends Upload {
  isBusy: boolean;
  /** Monotonic milliseconds. */
  usedAt: number;
}

export class UploadsSeen {
  readonly #places: Places;
  readonly #now: () => number;
  readonly #seen = new Map<string, Seen>();
  readonly #sweeper = setInterval(() => this.sweep(), LOOK_EVERY).unref();

  constructor(places: Places, now: () => number) {
    this.#places = places;
    this.#now = now;
  }

  get size(): number {
    return this.#seen.size;
  }

  /** Upstream has begun an upload that goes on at `key`. Where there is no place for it, it goes by. */
  begin(key: string, upload: Upload): void {
    if (this.#seen.has(key) || !this.#places.admit(upload.client)) return;
    this.#seen.set(key, { ...upload, isBusy: false, usedAt: this.#now() });
  }

  /** For one request, which gives it back or ends it. */
  take(key: string): Upload | undefined {
    const seen = this.#seen.get(key);
    if (seen === undefined) return undefined;
    if (!seen.isBusy) {
      seen.isBusy = true;
      return seen;
    }
    this.end(key, new Error("two requests at once go on with it"));
    return undefined;
  }

  /** The request is over, and the next one comes to `next`. */
  giveBack(key: string, upload: Upload, next: string): void {
    const seen = this.#seen.get(key);
    if (seen !== upload) return;
    if (next !== key && this.#seen.has(next)) {
      this.end(key, new Error("two uploads have the same Location"));
      return;
    }
    this.#seen.delete(key);
    seen.isBusy = false;
    seen.usedAt = this.#now();
    this.#seen.set(next, seen);
  }

  /** It is over: kept, where there is no reason against it. */
  end(key: string, why?: Error): void {
    const seen = this.#seen.get(key);
    if (seen === undefined) return;
    this.#seen.delete(key);
    this.#places.takeBack(seen.client);
    if (why !== undefined) seen.beside.drop(why);
  }

  sweep(): void {
    const since = this.#now() - IDLE;
    for (const [key, { isBusy, usedAt }] of this.#seen)
      if (!isBusy && usedAt < since) this.end(key, new Error("nobody goes on with it"));
  }

  /** Resolves when nothing of them is left. */
  async close(): Promise<void> {
    clearInterval(this.#sweeper);
    const all = [...this.#seen];
    for (const [key] of all) this.end(key, new Error("shutting down"));
    await Promise.all(all.map(([, { beside }]) => beside.gone()));
  }
}

/**
 * What a request target or a Location stands for on this site, however its query is ordered or escaped; `undefined`: it leads elsewhere.
 * `base` is the target of the request that it answers.
 */
export const uploadKey = (site: Site, target: string, base = "/"): string | undefined => {
  const origin = `https://${site.host}`;
  if (!URL.canParse(base, origin) || !URL.canParse(target, new URL(base, origin).href)) return undefined;
  const url = new URL(target, new URL(base, origin));
  if (!site.hijackNames.includes(url.hostname)) return undefined;
  const query = [...url.searchParams].filter(([name]) => name !== "digest").map((pair) => pair.join("="));
  return [site.host, url.pathname, ...query.sort()].join("\n");
};
