// Makes room: what was used longest ago goes first, and never what somebody reads, what is pinned, or what a held manifest needs.
// One sweep at a time, however many wait for room; each is bounded by what is missing, and gives way after every few blobs.
import { setImmediate as turn } from "node:timers/promises";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { Turns } from "../lib/turns.ts";
import type { Digest } from "../oci/digest.ts";
import type { Reference, Repository } from "../oci/reference.ts";
import type { FactStore, TagKey } from "./facts.ts";
import type { Held } from "./held.ts";
import type { Holding } from "./holdings.ts";
import { everyRow, type Linker, type Page } from "./inventory.ts";
import type { Readers } from "./readers.ts";
import type { Uses } from "./uses.ts";

/** Whether what this reference stands for is never to go. */
export type IsPinned = (site: string, repo: Repository, reference: Reference) => boolean;

export interface SweepParts {
  readonly held: Pick<Held, "evict" | "reconcile">;
  readonly facts: Pick<FactStore, "holdings" | "inventory">;
  readonly readers: Readers;
  readonly uses: Uses;
  readonly isPinned: IsPinned;
  readonly clock: Clock;
  readonly log: Logger;
}

/** What became of one sweep; plain JSON. */
export interface SweepReport {
  readonly at: number;
  /** Bytes that were missing; `undefined`: it was for age. */
  readonly wanted: number | undefined;
  readonly freed: number;
  readonly count: number;
  /** What was in the way and stayed: how many, and why. `failed`: the disk or the facts did not let them go. */
  readonly kept: { readonly pinned: number; readonly read: number; readonly used: number; readonly failed: number };
  /** Everything that may go has gone, and it was not enough. */
  readonly exhausted: boolean;
}

type Verdict = "gone" | keyof SweepReport["kept"];

interface Goal {
  /** Until so many bytes are free. */
  readonly bytes: number;
  /** Only what was not used since. */
  readonly before: number;
}

const PAGE = 100;
/** What was used no longer than this after its manifest came with it: the same pull. Milliseconds. */
const ONE_PULL = 60 * 60_000;
/** How long it is believed that nothing may go, before it is looked through again: milliseconds, and how many times as long as that took. */
const BARREN_FOR = 1_000;
const BARREN_TIMES = 50;

export class Sweep {
  readonly #parts: SweepParts;
  #last: SweepReport | undefined;
  /** Since when nothing may go, and how long that is believed. */
  #barren: { readonly since: number; readonly for: number } | undefined;
  readonly #turns = new Turns<"sweep">();
  #isClosed = false;

  constructor(parts: SweepParts) {
    this.#parts = parts;
  }

  get last(): SweepReport | undefined {
    return this.#last;
  }

  /** For `Room.relieve`: true when anything went. */
  readonly makeWay = async (missing: number): Promise<boolean> => {
    const { freed } = await this.#turns.take("sweep", async () =>
      this.#isBarren() ? { freed: 0 } : this.#run({ bytes: missing, before: Number.POSITIVE_INFINITY }),
    );
    return freed > 0;
  };

  /** Lets go what was not used for `maxAge` ms. */
  expire(maxAge: number): Promise<SweepReport> {
    return this.#turns.take("sweep", () => this.#run({ bytes: Number.POSITIVE_INFINITY, before: this.#parts.clock() - maxAge }));
  }

  /** Ends what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#turns.take("sweep", () => Promise.resolve());
  }

  #isBarren(): boolean {
    if (this.#isClosed) return true;
    return this.#barren !== undefined && Math.abs(this.#parts.clock() - this.#barren.since) < this.#barren.for;
  }

  async #run(goal: Goal): Promise<SweepReport> {
    await this.#parts.uses.flush();
    const began = performance.now();
    const kept = { pinned: 0, read: 0, used: 0, failed: 0 };
    let freed = 0;
    let count = 0;
    let looked = 0;
    let exhausted = true;
    for await (const [holding, verdict] of this.#candidates(goal)) {
      if (verdict !== "gone") kept[verdict] += 1;
      else {
        freed += holding.size;
        count += 1;
      }
      looked += 1;
      if (looked % PAGE === 0) await turn();
      if (freed < goal.bytes && !this.#isClosed) continue;
      exhausted = false;
      break;
    }
    const isForAge = goal.bytes === Number.POSITIVE_INFINITY;
    const at = this.#parts.clock();
    this.#last = { at, wanted: isForAge ? undefined : goal.bytes, freed, count, kept, exhausted: exhausted && !isForAge };
    const believed = Math.max(BARREN_FOR, (performance.now() - began) * BARREN_TIMES);
    this.#barren = this.#last.exhausted && freed === 0 ? { since: at, for: believed } : undefined;
    return this.#last;
  }

  /** What may go, in order, each with what became of it: a manifest, then what came with it and nobody else needs, then the next. */
  async *#candidates({ before }: Goal): AsyncGenerator<readonly [Holding, Verdict]> {
    const { holdings } = this.#parts.facts;
    let page: Holding[] = [];
    let at = 0;
    const orphans: Holding[] = [];
    for (;;) {
      if (orphans.length === 0 && at === page.length) {
        page = await holdings.idle(page.at(-1), PAGE);
        at = 0;
        if (page.length === 0) return;
      }
      const holding = orphans.pop() ?? page[at++]!;
      if (holding.usedAt >= before) return;
      const parts = holding.isManifest ? await holdings.heldParts(holding.digest) : [];
      const verdict = await this.#judge(holding);
      if (verdict === "gone") orphans.push(...(await this.#orphans(parts, holding.usedAt + ONE_PULL, before)));
      yield [holding, verdict];
    }
  }

  async #orphans(parts: readonly Digest[], until: number, before: number): Promise<Holding[]> {
    const { holdings } = this.#parts.facts;
    const found: Holding[] = [];
    for (const part of parts) {
      const holding = await holdings.holding(part);
      const isAlone = holding !== undefined && (await holdings.neededBy(part, 1)).length === 0;
      if (isAlone && holding.usedAt <= until && holding.usedAt < before) found.push(holding);
    }
    return found;
  }

  async #judge({ digest, usedAt }: Holding): Promise<Verdict> {
    const { held, readers, uses, log } = this.#parts;
    if (readers.has(digest)) return "read";
    if ((uses.since(digest) ?? 0) > usedAt) return "used";
    try {
      if (await this.#isPinned(digest)) return "pinned";
      if (await held.evict(digest)) return "gone";
      return readers.has(digest) ? "read" : "used";
    } catch (error) {
      log.error({ digest, err: String(error) }, "a blob could not be deleted");
      return "failed";
    }
  }

  /** By a tag that stands for it, or by its repository, however many there are of either. */
  async #isPinned(digest: Digest): Promise<boolean> {
    const { isPinned, facts } = this.#parts;
    const { inventory } = facts;
    const tags = everyRow((page: Page<TagKey>) => inventory.tagsOf(digest, page));
    for await (const { site, repo, tag } of tags) if (isPinned(site, repo, tag)) return true;
    const linkers = everyRow((page: Page<Linker>) => inventory.linkers(digest, page));
    for await (const { site, repo } of linkers) if (isPinned(site, repo, digest)) return true;
    return false;
  }
}
