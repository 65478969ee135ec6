// Deletes that go by. What was pushed before one is kept and noted only afterwards, by when it may be gone: no link is made of it then.
import { LRUCache } from "lru-cache";
import { upTo } from "../lib/lru.ts";
import type { Repository } from "../oci/reference.ts";

/** Far more than there are pushes whose keeping is under way. */
const REMEMBERED = 10_000;

export class Deletes {
  readonly #last = new LRUCache<string, number>(upTo(REMEMBERED));
  #count = 0;

  /** To be taken when a push begins. Moments are counted in deletes: between two of them nothing happens that matters here. */
  get moment(): number {
    return this.#count;
  }

  /** One begins, or has ended. */
  note(site: string, repo: Repository, digest: string): void {
    this.#count += 1;
    this.#last.set(`${site}\n${repo}\n${digest}`, this.#count);
  }

  /** Whether one has begun or ended since. */
  since(moment: number, site: string, repo: Repository, digest: string): boolean {
    return (this.#last.get(`${site}\n${repo}\n${digest}`) ?? 0) > moment;
  }
}
