// Takes away what is of no use to anybody: blobs that no repository is known to hold and no held manifest names, links to what is not
// held, what was pushed to a hosted site and never named by a manifest, documents too old to be served in any outage, and what has been
// long in quarantine. Nothing that makes up an image goes.
import { setImmediate as turn } from "node:timers/promises";
import type { LinkKey } from "./facts.ts";
import type { Holding, UseCursor } from "./holdings.ts";
import { isKnown } from "./inventory.ts";
import type { Kept } from "./kept.ts";
import type { OnProgress } from "./progress.ts";
import type { Swept } from "./quarantine.ts";

export interface CollectOptions {
  /** Only say what would go. What goes because something else has gone is then not in it. */
  readonly isDry?: boolean;
  /** How long after upstream's last word tag lists and referrers are of use, in ms: the longest `staleIfError`. */
  readonly listingsFor: number;
  /** The same of grants: the longest `staleAccess`. */
  readonly grantsFor: number;
}

/** What went, or would; plain JSON. */
export interface CollectReport {
  readonly isDry: boolean;
  readonly blobs: Swept;
  readonly quarantine: Swept;
  readonly links: number;
  readonly listings: number;
  readonly grants: number;
}

export type CollectParts = Pick<Kept, "blobs" | "disk" | "facts" | "uses" | "clock">;

const PAGE = 200;
/** A blob that many manifests of other repositories name takes a while to look at. */
const FEW = 50;
/** What has just come may have its link still to come. Milliseconds. */
const GRACE = 10 * 60_000;
/** A push may be under way for as long, between its first blob and its manifest. Milliseconds. */
const UNNAMED_FOR = 6 * 60 * 60_000;
/** An index goes, then its manifests, then their layers; and once more to see that nothing is left. */
const MOST_ROUNDS = 5;

/** Throws the signal's reason. */
export const collect = async (
  parts: CollectParts,
  { isDry = false, listingsFor, grantsFor }: CollectOptions,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<CollectReport> => {
  const { disk, facts, clock } = parts;
  const now = clock();
  const unnamed = await collectUnnamed(parts, isDry, signal);
  const blobs = await collectBlobs(parts, isDry, onProgress, signal);
  const links = unnamed + (await collectLinks(parts, isDry, signal));
  return {
    isDry,
    blobs,
    quarantine: await disk.sweepQuarantine(isDry),
    links,
    listings: await facts.sweepListings(now - listingsFor, isDry),
    grants: await facts.sweepGrants(now - grantsFor, isDry),
  };
};

const collectBlobs = async (
  { blobs, facts, clock }: CollectParts,
  isDry: boolean,
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<Swept> => {
  const swept = { count: 0, bytes: 0 };
  const { count: total } = await facts.holdings.totals();
  for (let round = 0; round < (isDry ? 1 : MOST_ROUNDS); round += 1) {
    const before = swept.count;
    let done = 0;
    for await (const { digest, size, addedAt } of idle(facts)) {
      signal.throwIfAborted();
      done += 1;
      if (done % PAGE === 0) onProgress({ done, total: Math.max(total, done), unit: "blobs", at: digest });
      if (addedAt > clock() - GRACE || (await isKnown(facts.inventory, digest))) continue;
      if (!isDry && !(await blobs.evict(digest))) continue;
      swept.count += 1;
      swept.bytes += size;
    }
    if (swept.count === before) break;
  }
  return swept;
};

async function* idle({ holdings }: CollectParts["facts"]): AsyncGenerator<Holding> {
  for (let after: UseCursor | undefined; ; ) {
    const page = await holdings.idle(after, PAGE);
    yield* page;
    // facts are answered at once: without this nobody else would have a turn
    await turn();
    after = page.at(-1);
    if (after === undefined) return;
  }
}

const collectUnnamed = async ({ facts, uses, clock }: CollectParts, isDry: boolean, signal: AbortSignal): Promise<number> => {
  await uses.flush();
  const before = clock() - UNNAMED_FOR;
  let count = 0;
  for (let after: LinkKey | undefined; ; ) {
    signal.throwIfAborted();
    const { unnamed, next } = await facts.hosting.unnamed(before, { after, limit: FEW });
    for (const link of unnamed) {
      // its pusher has been told that it is there: the manifest that names it is on its way
      if ((uses.since(link.digest) ?? 0) >= before) continue;
      if (isDry || (await facts.hosting.unhostUnnamed(link, before))) count += 1;
      // each is on the disk before this goes on: all who wait for an answer have their turn between two of them
      if (!isDry) await turn();
    }
    if (next === undefined) return count;
    after = next;
    await turn();
  }
};

const collectLinks = async ({ blobs, facts }: CollectParts, isDry: boolean, signal: AbortSignal): Promise<number> => {
  let count = 0;
  for (let after: LinkKey | undefined; ; ) {
    signal.throwIfAborted();
    const { loose, next } = await facts.inventory.looseLinks({ after, limit: PAGE });
    for (const link of loose) {
      // its bytes are on their way
      if (blobs.isFilling(link.digest)) continue;
      if (!isDry) await facts.removeLink(link);
      count += 1;
    }
    if (next === undefined) return count;
    after = next;
    await turn();
  }
};
