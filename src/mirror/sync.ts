// A sync of one entry: what its plan says is done, what is missing first, then what is kept for long enough goes, and all of it is reported.
// A failure of one image is that image's alone.
import { setImmediate as turn } from "node:timers/promises";
import { eachOf } from "../lib/at-once.ts";
import { failureOf } from "../registry/warm.ts";
import type { TagKey } from "../store/facts.ts";
import { changeTag, type Outcome } from "./change.ts";
import { Copying, readCreated } from "./copy.ts";
import { isoOf } from "./find.ts";
import { toDo } from "./judge.ts";
import type { EntryReport, FailedPart, SyncedTag, TagName } from "./outcome.ts";
import { type Plan, planOf } from "./plan.ts";
import { letGoPushed } from "./pushed-backups.ts";
import { letGoOld } from "./retention.ts";
import { type Found, type Run, written } from "./run.ts";

const TURN = 100;

/** Throws the signal's reason alone. */
export const syncEntry = async (run: Run, number: string, missingOnly: boolean): Promise<EntryReport> => {
  const { parts, entry, telling, signal } = run;
  const startedAt = parts.clock();
  const plan = await planOf(run, missingOnly);
  const queue = toDo(
    plan.found.map((found) => ({ ...found, change: found.planned.change })),
    missingOnly,
  );
  const synced = new Map<Found["place"], SyncedTag>();
  telling.begin("copying", queue.length);
  await eachOf(queue, entry.parallel, async (work) => {
    signal.throwIfAborted();
    const tag = await bring(run, work, number);
    synced.set(work.place, tag);
    tell(run, tag, number);
  });
  telling.begin("tidying");
  const failures = [...plan.failures];
  if (!missingOnly) await confirm(run, plan.found, startedAt);
  const expired = missingOnly ? [] : await tidy(run, plan, failures);
  const tags = plan.found.map(
    ({ place, planned }): SyncedTag => synced.get(place) ?? { ...planned, outcome: "skipped", fetched: 0 },
  );
  const report: EntryReport = {
    entry: entry.name,
    startedAt: isoOf(startedAt),
    endedAt: isoOf(parts.clock()),
    run: number,
    isGood: failures.length === 0 && tags.every(({ failure }) => failure === undefined),
    ...{ tags, expired, failures },
    fetched: telling.fetched,
  };
  parts.events.ended(report);
  return report;
};

const bring = async (run: Run, work: Found, number: string): Promise<SyncedTag> => {
  const { place, digest } = work;
  const ctx = run.context();
  const reference = written(place.target);
  const telling = run.telling.image(reference, ctx.tally);
  let planned = work.planned;
  const end = (outcome: Outcome): SyncedTag => ({ ...planned, ...outcome, fetched: ctx.tally.upstreamBytes });
  try {
    await new Copying(run, place, digest!, ctx, telling).copy();
    // it is there whether it says when it was made or not
    const created = await readCreated(run, place, digest!, ctx).catch(() => undefined);
    if (created !== undefined) planned = { ...planned, created: isoOf(created) };
    if (planned.change === "incomplete") return end({ outcome: "done" });
    const to = { digest: digest!, ...(created !== undefined && { created }) };
    return end(await changeTag(run, work, to, planned, number, telling, ctx));
  } catch (error) {
    run.signal.throwIfAborted();
    return end({ outcome: "failed", failure: failureOf(reference, error) });
  } finally {
    telling.end();
  }
};

const tell = ({ parts }: Run, tag: SyncedTag, number: string): void => {
  if (tag.outcome === "done") parts.events.changed(tag, number);
  if (tag.outcome === "failed" || tag.outcome === "stopped") parts.events.failed(tag, number);
};

/** What upstream still says of a tag is not as old as its last move. */
const confirm = async ({ parts, target }: Run, found: readonly Found[], at: number): Promise<void> => {
  if (target.isElsewhere === true) return;
  for (const [nth, { place, now, digest }] of found.entries()) {
    if (now?.generation !== undefined && now.digest === digest)
      await parts.facts.touchTag(place.target, now.digest, at, now.generation);
    // facts are answered at once: without this nobody else would have a turn
    if (nth % TURN === TURN - 1) await turn();
  }
};

const tidy = async (run: Run, { found, failures: unknown, outrun }: Plan, failures: FailedPart[]): Promise<TagName[]> => {
  const expired: TagName[] = [];
  const noting = async (key: TagKey, work: () => Promise<void>) => {
    run.signal.throwIfAborted();
    await work().catch((error: unknown) => failures.push(failureOf(written(key), error)));
  };
  if (run.target.isElsewhere === true) {
    // of what could not be looked at names may be there that belong to it
    if (unknown.length > 0 || run.only !== undefined) return expired;
    for (const [repo, all] of Map.groupBy(found, ({ place }) => place.target.repo)) {
      const tags = new Set<string>(all.flatMap(({ place }) => [place.target.tag, ...(place.names ?? [])]));
      await noting(all[0]!.place.target, async () => {
        expired.push(...(await letGoPushed(run, repo, tags)));
      });
    }
    return expired;
  }
  for (const { place, digest } of found) {
    await noting(place.target, async () => {
      expired.push(...(await letGoOld(run, place.target, digest)));
    });
  }
  for (const key of outrun) await noting(key, () => letGoAll(run, key));
  return expired;
};

/** It goes on to be served for as long as it is held, as what is cached is. */
const letGoAll = async ({ parts }: Run, key: TagKey): Promise<void> => {
  const { mirroring } = parts.facts;
  for (const { root } of await mirroring.kept(key)) await mirroring.letGo(key, root);
};
