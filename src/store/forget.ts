// Makes a site forget a tag, a digest of a repository, or a whole repository: the tags, the links, and then the bytes that nobody
// else needs. What another repository holds as well stays; so does what another manifest of this one needs. It is no refusal: who
// asks for it again gets it again, from upstream.
import { setImmediate as turn } from "node:timers/promises";
import type { Digest } from "../oci/digest.ts";
import { isDigestReference, type Reference, type Repository, type Tag } from "../oci/reference.ts";
import { tagsFor } from "./hosting.ts";
import { isKnown } from "./inventory.ts";
import type { Kept } from "./kept.ts";
import type { OnProgress } from "./progress.ts";
import type { Swept } from "./quarantine.ts";

export interface Forgotten {
  /** A site's own name. */
  readonly site: string;
  readonly repo: Repository;
  /** `undefined`: the whole repository. */
  readonly reference?: Reference | undefined;
}

/** Plain JSON. */
export interface ForgetReport {
  /** Tags that stood for something; the first so many. */
  readonly tags: readonly Tag[];
  readonly tagCount: number;
  readonly links: number;
  readonly blobs: Swept;
  /** Blobs that stay because something else needs them, or somebody reads them. */
  readonly stayed: number;
}

export type ForgetParts = Pick<Kept, "blobs" | "facts" | "clock">;

const PAGE = 200;
const MOST_NAMED = 1_000;
const MANY = 1_000;

/** Throws the signal's reason; what is forgotten by then stays forgotten. */
export const forget = async (
  parts: ForgetParts,
  { site, repo, reference }: Forgotten,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<ForgetReport> => {
  const work = new Forgetting(parts, site, repo, onProgress, signal);
  if (reference === undefined) await work.everything();
  else if (isDigestReference(reference)) await work.digest(reference);
  else await work.tag(reference);
  return work.report();
};

class Forgetting {
  readonly #parts: ForgetParts;
  readonly #site: string;
  readonly #repo: Repository;
  readonly #onProgress: OnProgress;
  readonly #signal: AbortSignal;
  readonly #tags: Tag[] = [];
  #tagCount = 0;
  #links = 0;
  #count = 0;
  #bytes = 0;
  #stayed = 0;

  constructor(parts: ForgetParts, site: string, repo: Repository, onProgress: OnProgress, signal: AbortSignal) {
    this.#parts = parts;
    this.#site = site;
    this.#repo = repo;
    this.#onProgress = onProgress;
    this.#signal = signal;
  }

  report(): ForgetReport {
    const blobs = { count: this.#count, bytes: this.#bytes };
    return { tags: this.#tags, tagCount: this.#tagCount, links: this.#links, blobs, stayed: this.#stayed };
  }

  async tag(tag: Tag): Promise<void> {
    const digest = await this.#untag(tag);
    if (digest === undefined || (await this.#isNeededHere(digest, new Set()))) return;
    await this.#drop(digest);
  }

  async digest(digest: Digest): Promise<void> {
    for (const tag of await this.#tagsHere(digest)) await this.#untag(tag);
    await this.#drop(digest);
  }

  async everything(): Promise<void> {
    const { facts } = this.#parts;
    const { inventory } = facts;
    for (let after: Tag | undefined; ; ) {
      const page = await inventory.tags(this.#site, this.#repo, { after, limit: PAGE });
      for (const { tag } of page) await this.#untag(tag);
      after = page.at(-1)?.tag;
      // facts are answered at once: without this nobody else would have a turn
      await turn();
      if (after === undefined) break;
    }
    await facts.removeListings(this.#site, this.#repo);
    // first all the links, so that no part stays for the sake of a manifest that goes as well
    const digests: Digest[] = [];
    for (let after: Digest | undefined; ; ) {
      const page = await inventory.links(this.#site, this.#repo, { after, limit: PAGE });
      for (const { digest } of page) await this.#unlink(digest);
      digests.push(...page.map(({ digest }) => digest));
      after = page.at(-1)?.digest;
      await turn();
      if (after === undefined) break;
    }
    await this.#evictAll(digests);
  }

  /** What the tag stood for. */
  async #untag(tag: Tag): Promise<Digest | undefined> {
    this.#signal.throwIfAborted();
    const { facts, clock } = this.#parts;
    const key = { site: this.#site, repo: this.#repo, tag };
    const fact = await facts.tag(key);
    if (fact?.digest === undefined) return undefined;
    const isGone = await facts.moveTag(key, { digest: undefined, at: clock(), reason: "delete" }, fact.generation);
    // a tag's history is on the disk before this goes on: all who wait for an answer have their turn between two of them
    await turn();
    // somebody has written to it, or holds it by now
    if (!isGone) return undefined;
    this.#tagCount += 1;
    if (this.#tags.length < MOST_NAMED) this.#tags.push(tag);
    return fact.digest;
  }

  /** The digest, and those of its parts that nothing else of this repository needs. */
  async #drop(root: Digest): Promise<void> {
    const dropped = new Set<Digest>([root]);
    await this.#unlink(root);
    // a part is looked at again for every manifest that goes: the last of them decides
    for (const digest of dropped) {
      for (const part of await this.#parts.facts.holdings.heldParts(digest)) {
        if (dropped.has(part) || (await this.#isNeededHere(part, dropped))) continue;
        await this.#unlink(part);
        dropped.add(part);
      }
    }
    await this.#evictAll([...dropped]);
  }

  async #isNeededHere(digest: Digest, dropped: ReadonlySet<Digest>): Promise<boolean> {
    const { facts } = this.#parts;
    if ((await this.#tagsHere(digest)).length > 0) return true;
    // a tag may be rolled back to it
    if ((await facts.mirroring.keptFor({ site: this.#site, repo: this.#repo, digest })).length > 0) return true;
    const needing = await facts.holdings.neededBy(digest, MANY);
    for (const manifest of needing) {
      if (dropped.has(manifest)) continue;
      if ((await facts.link({ site: this.#site, repo: this.#repo, digest: manifest })) !== undefined) return true;
    }
    return false;
  }

  async #tagsHere(digest: Digest): Promise<Tag[]> {
    const tags: Tag[] = [];
    const key = { site: this.#site, repo: this.#repo, digest };
    for await (const tag of tagsFor(this.#parts.facts.hosting, key)) tags.push(tag);
    return tags;
  }

  async #unlink(digest: Digest): Promise<void> {
    this.#signal.throwIfAborted();
    const { facts } = this.#parts;
    const key = { site: this.#site, repo: this.#repo, digest };
    if ((await facts.link(key)) === undefined) return;
    await facts.removeLink(key);
    this.#links += 1;
  }

  /** Manifests before what they name, whatever order they come in: what is still needed waits for the next round. */
  async #evictAll(digests: readonly Digest[]): Promise<void> {
    const { blobs, facts } = this.#parts;
    let left: Digest[] = [...digests];
    for (;;) {
      const stayed: Digest[] = [];
      for (const digest of left) {
        this.#signal.throwIfAborted();
        const held = await facts.holdings.holding(digest);
        if (held === undefined) continue;
        if ((await isKnown(facts.inventory, digest)) || !(await blobs.evict(digest))) {
          stayed.push(digest);
          continue;
        }
        this.#count += 1;
        this.#bytes += held.size;
        this.#onProgress({ done: this.#count, total: digests.length, unit: "blobs", at: digest });
      }
      if (stayed.length === left.length || stayed.length === 0) {
        this.#stayed = stayed.length;
        return;
      }
      left = stayed;
    }
  }
}
