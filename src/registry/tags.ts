// Which digest a tag stands for: from the fact while it is fresh, else by one shared HEAD.
// A tag moves only to a manifest that is held, and only if no write went by since upstream was asked.
import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { upTo } from "../lib/lru.ts";
import { FollowerError, SingleFlight } from "../lib/single-flight.ts";
import { Turns } from "../lib/turns.ts";
import { createdOfManifest } from "../oci/created.ts";
import type { Digest } from "../oci/digest.ts";
import { isOciError } from "../oci/error.ts";
import { beyondKnown } from "../oci/media.ts";
import { isDigestReference, type Reference, type Repository, type Tag } from "../oci/reference.ts";
import type { Context, Manifest, ManifestQuery, ManifestStat, Registry } from "../oci/registry.ts";
import type { Site } from "../sites.ts";
import type { FactStore, TagFact, TagKey, TagMove } from "../store/facts.ts";
import { freshnessOf } from "./freshness.ts";
import { patiently } from "./patience.ts";
import type { Policy } from "./policy.ts";
import type { Rights } from "./rights.ts";
import { movesBySync, stays, staysOnce } from "./staying.ts";
import { told } from "./told.ts";
import type { Health } from "./witness.ts";

/** A move that waits for its manifest: clients ask HEAD for the tag, then GET the digest, and only that brings the bytes. */
interface Pending {
  readonly key: TagKey;
  readonly generation: number;
}

const MAX_PENDING = 10_000;
const PENDING_FOR = 10 * 60_000;

/** `confirmed`: upstream has just said so. `fresh`: no question was due. `stale`: it could not be asked. */
export interface Resolved {
  readonly digest: Digest;
  readonly how: "confirmed" | "fresh" | "stale";
  /** ms since upstream last confirmed it. */
  readonly age: number;
}

export interface TagParts {
  readonly site: Site;
  readonly policy: Policy;
  readonly upstream: Registry;
  readonly facts: FactStore;
  readonly rights: Pick<Rights, "standing">;
  readonly health: Health;
  readonly clock: Clock;
  /** Whether the manifest's bytes are in the store. */
  readonly isHeld: (digest: Digest) => Promise<boolean>;
  /** Stores what a question had to fetch; upstream shall not send it again because its tag has moved. */
  readonly keep: (manifest: Manifest) => Promise<unknown>;
}

/** Gets a manifest and keeps it, by this client's right. */
export type FetchLate = (digest: Digest, ctx: Context) => Promise<unknown>;

export class Tags {
  readonly #parts: TagParts;
  readonly #questions = new SingleFlight<ManifestStat | Manifest>();
  /** What is being fetched of which upstream spoke late. */
  readonly #following = new Set<string>();
  /** Of two manifests that arrive together for a tag that stays the first is what it is. */
  readonly #pins = new Turns<string>();
  readonly #pending = new LRUCache<string, readonly Pending[]>({ ...upTo(MAX_PENDING), ttl: PENDING_FOR });

  /** What upstream has said last of a tag that waits: what it was before comes too late. */
  readonly #awaited = new LRUCache<string, Digest>({ ...upTo(MAX_PENDING), ttl: PENDING_FOR });

  constructor(parts: TagParts) {
    this.#parts = parts;
  }

  keyOf(repo: Repository, tag: Tag): TagKey {
    return { site: this.#parts.site.host, repo, tag };
  }

  fact(repo: Repository, tag: Tag): Promise<TagFact | undefined> {
    return this.#parts.facts.tag(this.keyOf(repo, tag));
  }

  /** The digest that a tag stays, by a rule or a hold; `undefined` for any other reference. */
  async pinnedTo(repo: Repository, reference: Reference): Promise<Digest | undefined> {
    if (isDigestReference(reference)) return undefined;
    const fact = await this.fact(repo, reference);
    return stays(fact, this.#parts.policy.of(repo, reference)) ? fact.digest : undefined;
  }

  /** Whether it is mirrored, held, and free to follow upstream with the next sync. */
  async movesBySync(repo: Repository, reference: Reference): Promise<boolean> {
    if (isDigestReference(reference) || this.#parts.policy.of(repo, reference).mirrored === undefined) return false;
    return movesBySync(await this.fact(repo, reference), this.#parts.policy.of(repo, reference));
  }

  /** What it stands for: of a tag that stays that is its digest, also when the bytes are gone, or upstream knows the tag no more. */
  async settled({ repo, reference }: ManifestQuery): Promise<ManifestQuery> {
    return { repo, reference: (await this.pinnedTo(repo, reference)) ?? reference };
  }

  /**
   * By what is known of the tag just now. Upstream's 404 and refusals are thrown; an outage too, when there is nothing to fall back on.
   * `fetch` is called where upstream's word comes too late for this client, and is a digest that is not held.
   */
  async resolve(repo: Repository, tag: Tag, fact: TagFact, ctx: Context, fetch: FetchLate): Promise<Resolved> {
    const { state, age, mayFallBack } = freshnessOf(fact, this.#parts.policy.of(repo, tag), this.#parts.clock());
    if (fact.digest !== undefined && (state === "fresh" || state === "pinned")) return { digest: fact.digest, how: "fresh", age };
    // who has no right has to ask for it all the same, and is to wait for that as he would for what is not held
    const hasRight = (await this.#parts.rights.standing(repo, ctx.credential)) !== "none";
    const fallback = mayFallBack && hasRight ? fact.digest : undefined;
    if (fallback !== undefined && !this.#parts.health.up) return { digest: fallback, how: "stale", age };
    let isLate = false;
    // whoever's credential it is asked with: the digest is then confirmed for this client before it is given anything
    const ask = async (c: Context) => {
      const answer = await this.#question(repo, tag, c, "everybody");
      if (isLate) await this.#follow(repo, answer.descriptor.digest, c, fetch);
      return answer;
    };
    try {
      const answer = await (fallback === undefined ? ask(ctx) : patiently(ask, ctx, this.#parts.health));
      return { digest: answer.descriptor.digest, how: "confirmed", age: 0 };
    } catch (error) {
      if (fallback === undefined || !isOciError(error) || !error.isOutage) throw error;
      isLate = true;
      return { digest: fallback, how: "stale", age };
    }
  }

  /** Once, however many clients have lost their patience with the same question. */
  async #follow(repo: Repository, digest: Digest, ctx: Context, fetch: FetchLate): Promise<void> {
    const name = `${repo}@${digest}`;
    if (this.#following.has(name) || (await this.#parts.isHeld(digest)) || this.#following.has(name)) return;
    this.#following.add(name);
    await fetch(digest, ctx).finally(() => this.#following.delete(name));
  }

  /** What upstream says to this client's own credential; only those who bring the same share the question. */
  ask(repo: Repository, tag: Tag, ctx: Context): Promise<ManifestStat> {
    return this.#question(repo, tag, ctx, `as ${ctx.credential ?? ""}`);
  }

  /** One HEAD for all `among` whom it is shared; a failure that another's credential met is not this client's. */
  async #question(repo: Repository, tag: Tag, ctx: Context, among: string): Promise<ManifestStat> {
    const key = this.keyOf(repo, tag);
    // read before the question: whatever is written from now on outdates its answer
    const generation = (await this.#parts.facts.tag(key))?.generation ?? 0;
    const question = (signal: AbortSignal) => this.#parts.upstream.statManifest({ repo, reference: tag }, { ...ctx, signal });
    const shared = `${repo}:${tag}\n${generation}\n${beyondKnown(ctx.accept).join()}\n${among}`;
    const answer = await this.#questions
      .run(shared, ctx.signal, question)
      .then(({ value }) => value)
      .catch((error: unknown) => {
        if (!(error instanceof FollowerError)) throw error;
        ctx.signal.throwIfAborted();
        return question(ctx.signal);
      });
    if ("bytes" in answer && !(await this.#parts.isHeld(answer.descriptor.digest))) await this.#parts.keep(answer);
    await this.learn(key, answer.descriptor.digest, generation, "bytes" in answer ? createdOfManifest(answer.bytes) : undefined);
    return answer;
  }

  /**
   * Upstream said that the tag is this digest: touched, moved at once when its manifest is held here, or when that arrives. `created` is
   * what that says of itself, where it has just been read.
   */
  async learn(key: TagKey, digest: Digest, generation: number, created?: number): Promise<void> {
    const { facts, site, policy, clock } = this.#parts;
    const fact = await facts.tag(key);
    if (stays(fact, policy.of(key.repo, key.tag))) return;
    const name = `${key.repo}:${key.tag}`;
    if (fact?.digest === digest) {
      this.#awaited.delete(name);
      return facts.touchTag(key, digest, clock(), generation);
    }
    const link = told(await facts.link({ site: site.host, repo: key.repo, digest }));
    const pending = this.#pending.get(`${key.repo}@${digest}`) ?? [];
    this.#awaited.set(name, digest);
    this.#pending.set(
      `${key.repo}@${digest}`,
      [...pending.filter((other) => other.key.tag !== key.tag), { key, generation }].slice(-20),
    );
    if (link?.mediaType !== undefined && (await this.#parts.isHeld(digest))) await this.arrived(key.repo, digest, created);
  }

  /** The manifest is held now: the tags that were waiting for it move. */
  async arrived(repo: Repository, digest: Digest, created?: number): Promise<void> {
    const pending = this.#pending.get(`${repo}@${digest}`) ?? [];
    this.#pending.delete(`${repo}@${digest}`);
    const at = this.#parts.clock();
    const move = { digest, at, reason: "pull", ...(created !== undefined && { created }) } as const;
    for (const { key, generation } of pending) {
      const name = `${repo}:${key.tag}`;
      if (this.#awaited.get(name) !== digest) continue;
      this.#awaited.delete(name);
      if (staysOnce(this.#parts.policy.of(repo, key.tag))) await this.#pin(key, move, generation);
      else await this.#parts.facts.moveTag(key, move, generation);
    }
  }

  #pin(key: TagKey, move: TagMove, generation: number): Promise<void> {
    const { facts } = this.#parts;
    return this.#pins.take(`${key.repo}:${key.tag}`, async () => {
      if ((await facts.tag(key))?.digest === undefined) await facts.moveTag(key, move, generation);
    });
  }

  /** Upstream has said, to one who may know, that the tag is gone. */
  async forget(repo: Repository, tag: Tag): Promise<void> {
    const fact = await this.fact(repo, tag);
    if (fact?.digest === undefined || stays(fact, this.#parts.policy.of(repo, tag))) return;
    await this.#parts.facts.moveTag(
      this.keyOf(repo, tag),
      { digest: undefined, at: this.#parts.clock(), reason: "delete" },
      fact.generation,
    );
  }
}
