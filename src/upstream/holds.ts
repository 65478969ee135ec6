// "Come again in …" of a 5xx: kept to by whoever asks for the repository of which it was said, and by all for whom it holds: where it was said
// of no repository, or of several with nothing answered well in between. One repository that is ill takes nothing from the others.
import { LRUCache } from "lru-cache";
import { upTo } from "../lib/lru.ts";

/** It is believed up to here. Milliseconds. */
const AT_MOST = 60_000;
/** So many repositories that say it are the registry. */
const SEVERAL = 3;

export class Holds {
  readonly #now: () => number;
  readonly #byRepository = new LRUCache<string, number>(upTo(1_000));
  readonly #saying = new Set<string>();
  #all = 0;

  /** `now` in monotonic milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Until when nobody is to ask. */
  get all(): number {
    return this.#all;
  }

  /** Until when nobody is to ask for this one, whatever holds for all. */
  of(repository: string | undefined): number {
    return repository === undefined ? 0 : (this.#byRepository.get(repository) ?? 0);
  }

  /** Gives whether it holds for all. */
  said(repository: string | undefined, ms: number): boolean {
    const until = this.#now() + Math.min(ms, AT_MOST);
    if (repository !== undefined) {
      this.#byRepository.set(repository, until);
      this.#saying.add(repository);
    }
    const isForAll = repository === undefined || this.#saying.size >= SEVERAL;
    if (isForAll) this.#all = until;
    return isForAll;
  }

  well(repository: string | undefined): void {
    this.#all = 0;
    this.#saying.clear();
    if (repository !== undefined) this.#byRepository.delete(repository);
  }
}

/** Which repository a path, or what names a question, is about. */
export const repositoryIn = (path: string): string | undefined =>
  /\/v2\/(.+)\/(?:manifests|blobs|tags|referrers)\//.exec(path)?.[1];
