// At every start, in the background: the files are held against the facts, shelf by shelf. What was put there by hand, by a restore
// or by an older version becomes a holding; what has gone from the disk is one no more. Names are compared, files are not opened:
// a shelf of thousands costs a few milliseconds, and there is a pause after each.
import { readdir } from "node:fs/promises";
import { setTimeout as pause, setImmediate as turn } from "node:timers/promises";
import type { Digest } from "../oci/digest.ts";
import { absent } from "./disk-errors.ts";
import type { Held } from "./held.ts";
import type { Inventory } from "./inventory.ts";
import { digestOn, type Shelf, shelves } from "./layout.ts";

export interface ReconcileParts {
  readonly folder: string;
  readonly held: Pick<Held, "reconcile">;
  readonly inventory: Inventory;
}

/** Plain JSON. */
export interface ReconcileReport {
  /** Files that were compared. */
  readonly files: number;
  /** Files that no fact knew of. */
  readonly added: number;
  /** Facts whose file has gone. */
  readonly dropped: number;
  /** Paths of what does not belong where it is; the first so many. */
  readonly strange: readonly string[];
}

const PAGE = 500;
/** After each shelf, so that other work has most of the time: milliseconds, and how many times as long as the shelf took. */
const PAUSE = 20;
const PAUSES = 4;
const MOST_STRANGE = 100;

/** Rejects with the signal's reason, or what the disk says. `rest`: the least pause, in ms; 0: none. */
export const reconcile = async (parts: ReconcileParts, signal: AbortSignal, rest = PAUSE): Promise<ReconcileReport> => {
  const report = { files: 0, added: 0, dropped: 0, strange: [] as string[] };
  for (const shelf of shelves(parts.folder)) {
    signal.throwIfAborted();
    const began = performance.now();
    const { files, strange } = await filesOn(shelf);
    const differing = await difference(parts.inventory, shelf, files);
    for (const digest of differing) {
      signal.throwIfAborted();
      const outcome = await parts.held.reconcile(digest);
      if (outcome !== "right") report[outcome] += 1;
    }
    report.files += files.size;
    report.strange.push(...strange.slice(0, MOST_STRANGE - report.strange.length));
    const took = performance.now() - began;
    if (rest > 0 && files.size > 0) await pause(Math.max(rest, PAUSES * took), undefined, { signal, ref: false });
  }
  return report;
};

const filesOn = async (shelf: Shelf): Promise<{ files: Set<Digest>; strange: string[] }> => {
  const names = (await readdir(shelf.path).catch(absent)) ?? [];
  const files = new Set<Digest>();
  const strange: string[] = [];
  for (const name of names) {
    const digest = digestOn(shelf, name);
    if (digest === undefined) strange.push(`${shelf.path}/${name}`);
    else files.add(digest);
  }
  return { files, strange };
};

/** Digests that are only among the files, or only among the facts. */
const difference = async (inventory: Inventory, { prefix }: Shelf, files: ReadonlySet<Digest>): Promise<Set<Digest>> => {
  const unseen = new Set(files);
  const differing = new Set<Digest>();
  let after = prefix as Digest;
  for (;;) {
    const page = await inventory.byDigest({ after, limit: PAGE }, `${prefix}~` as Digest);
    for (const { digest } of page) if (!unseen.delete(digest)) differing.add(digest);
    if (page.length < PAGE) break;
    after = page.at(-1)!.digest;
    await turn();
  }
  for (const digest of unseen) differing.add(digest);
  return differing;
};
