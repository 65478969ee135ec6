// What can be asked of the managed mirror of a running server. A sync under way is joined, and goes on for who still waits for it.
import type { MirrorEngine } from "../mirror/engine.ts";
import type { EntryPlan, SyncProgress } from "../mirror/outcome.ts";
import type { Runner, Ticket } from "../mirror/runner.ts";
import type { MirrorEntry } from "../mirrors.ts";
import type { Sites } from "../sites.ts";
import type { MirrorCheckAnswer, MirrorStatusAnswer, MirrorSyncAnswer, MirrorSynced, Progress } from "./answers.ts";
import { AdminError } from "./error.ts";
import { mirrorProgress } from "./mirror-progress.ts";
import { asEntry, type Picked, pickEntries } from "./mirror-selection.ts";
import type { Call, MirrorInput, MirrorSyncInput, Operations } from "./operations.ts";

export interface MirrorParts {
  readonly sites: Sites;
  readonly entries: () => readonly MirrorEntry[];
  readonly engine: Pick<MirrorEngine, "check">;
  readonly runner: Pick<Runner, "ask">;
  readonly status: () => Promise<MirrorStatusAnswer>;
}

type MirrorOperations = Pick<Operations, "mirrorCheck" | "mirrorSync" | "mirrorStatus">;

export const mirrorOperations = (parts: MirrorParts): MirrorOperations => ({
  mirrorCheck: (input, call) => check(parts, input, call),
  mirrorSync: (input, call) => sync(parts, input, call),
  mirrorStatus: () => parts.status(),
});

/** Entries that are asked about at once. */
const AT_ONCE = 3;

const check = async (parts: MirrorParts, { entries }: MirrorInput, { signal, progress }: Call): Promise<MirrorCheckAnswer> => {
  const picked = pickEntries(entries, parts.entries(), parts.sites);
  const far = gathering(picked, progress);
  const plans: EntryPlan[] = [];
  const left = [...picked.entries()];
  const work = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) {
      const [i, one] = next;
      plans[i] = await parts.engine.check(asEntry(one), { signal, progress: far(i) });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { entries: plans };
};

const sync = async (parts: MirrorParts, input: MirrorSyncInput, { signal, progress }: Call): Promise<MirrorSyncAnswer> => {
  const { missingOnly = false, run, waitMs } = input;
  const picked = pickEntries(input.entries, parts.entries(), parts.sites);
  signal.throwIfAborted();
  const tickets = picked.map(({ entry, only }) => parts.runner.ask(entry, { run, missingOnly, only }, "asked"));
  const patience = new AbortController();
  const goOn = () => {
    for (const ticket of tickets) ticket.keep();
    patience.abort(new AdminError("UNAVAILABLE", "it takes longer than was to be waited for"));
  };
  if (waitMs === 0) goOn();
  const timer = waitMs === undefined || waitMs === 0 ? undefined : setTimeout(goOn, waitMs);
  try {
    const both = AbortSignal.any([signal, patience.signal]);
    const far = gathering(picked, progress);
    const ends = await Promise.allSettled(tickets.map((ticket, i) => ticket.wait(both, far(i))));
    signal.throwIfAborted();
    return { entries: ends.map((end, i) => syncedOf(picked[i]!, tickets[i]!, end, patience.signal)) };
  } finally {
    clearTimeout(timer);
  }
};

const syncedOf = (
  { entry }: Picked,
  { joined, run }: Ticket,
  end: PromiseSettledResult<NonNullable<MirrorSynced["report"]>>,
  patience: AbortSignal,
): MirrorSynced => {
  const about = { entry: entry.name, run, joined };
  if (end.status === "fulfilled") return { ...about, state: "ended", report: end.value };
  if (patience.aborted && end.reason === patience.reason) return { ...about, state: "going" };
  return { ...about, state: "broken", why: end.reason instanceof Error ? end.reason.message : String(end.reason) };
};

/** The progress of several entries as one. */
const gathering = (picked: readonly Picked[], progress: (progress: Progress) => void) => {
  const all: (SyncProgress | undefined)[] = picked.map(() => undefined);
  return (i: number) => (one: SyncProgress) => {
    all[i] = one;
    progress(mirrorProgress(all));
  };
};
