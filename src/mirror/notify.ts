// Tells of syncs: lines in the log, messages to webhooks, and counts. Changes of a run are told together when it ends, or when it is plain that it
// has broken off; a failure at once, but one an entry and run, and the same one daily: an upstream that is away does not fill anybody's chat.
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { plainLine } from "../lib/plain-text.ts";
import type { MirrorCounts } from "./counts.ts";
import { Known } from "./known.ts";
import {
  type Change,
  changeMessage,
  changeOf,
  failedPart,
  failedTag,
  MAX_CHANGES,
  type MirrorMessage,
  type RunName,
} from "./message.ts";
import type { EntryReport, FailedPart, MirrorEvents, SyncedTag } from "./outcome.ts";

export interface NotifyParts {
  /** Whoever wants to know of such an event; never throws, and does not wait. */
  readonly send: (message: MirrorMessage) => void;
  readonly counts: MirrorCounts;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Notices extends MirrorEvents {
  /** What is still to be told of runs that have not ended. */
  readonly close: () => void;
}

/** Lines in the log for the failures of one run, and for those of one reason. */
const MAX_LINES = 100;
const MAX_ALIKE = 5;
const MAX_WORDS = 500;

/** What was heard of a run that has not ended yet. */
interface Heard extends RunName {
  readonly changes: Change[];
  count: number;
  failures: number;
  lines: number;
  readonly alike: Map<string, number>;
  isFailureTold: boolean;
}

export const notices = ({ send, counts, clock, log }: NotifyParts): Notices => {
  /** One sync of an entry goes at a time: another run means that the one before has broken off. */
  const going = new Map<string, Heard>();
  const known = new Known(clock);

  const heard = (entry: string, run: string): Heard => {
    const before = going.get(entry);
    if (before?.run === run) return before;
    if (before !== undefined) tellChanges(before);
    const fresh: Heard = {
      ...{ entry, run, changes: [], count: 0, failures: 0, lines: 0, alike: new Map<never, never>(), isFailureTold: false },
    };
    going.set(entry, fresh);
    return fresh;
  };
  const tellChanges = (run: Heard): void => {
    if (run.count > 0) send(changeMessage(run, run.changes, run.count));
  };
  const tellFailure = (run: Heard, failure: FailedPart, to: string | undefined, message: () => MirrorMessage): void => {
    if (run.isFailureTold || known.has(run.entry, failure, to)) return;
    run.isFailureTold = true;
    send(message());
  };
  const failedLine = (run: Heard, about: object, { code, message }: FailedPart, text: string): void => {
    const alike = (run.alike.get(message) ?? 0) + 1;
    run.failures += 1;
    if (alike > MAX_ALIKE || run.lines >= MAX_LINES) return;
    run.lines += 1;
    run.alike.set(message, alike);
    log.warn({ ...about, code, why: plainLine(message, MAX_WORDS) }, text);
  };

  const tagFailed = (run: Heard, tag: SyncedTag): void => {
    counts.of(tag.entry).failures += 1;
    const failure = tag.failure ?? NO_REASON;
    failedLine(run, aboutTag(tag, run.run), failure, FAILED[tag.outcome]);
    tellFailure(run, failure, tag.upstream, () => failedTag(run, tag));
  };

  return {
    changed(tag, name) {
      const run = heard(tag.entry, name);
      // its `post` hook's
      if (tag.failure !== undefined) tagFailed(run, tag);
      const about = { ...aboutTag(tag, name), fetched: tag.fetched };
      if (!isMove(tag)) return log.info(about, "mirror: a tag is whole again");
      counts.of(tag.entry).changes += 1;
      run.count += 1;
      if (run.changes.length < MAX_CHANGES) run.changes.push(changeOf(tag));
      log.info(about, "mirror: a tag has moved");
    },
    failed(tag, name) {
      tagFailed(heard(tag.entry, name), tag);
    },
    ended(report) {
      const run = heard(report.entry, report.run);
      const ms = Date.parse(report.endedAt) - Date.parse(report.startedAt);
      const count = counts.of(report.entry);
      count.failures += report.failures.length;
      count.fetched += report.fetched;
      for (const failure of report.failures)
        failedLine(
          run,
          { entry: report.entry, run: report.run, reference: failure.reference },
          failure,
          "mirror: it could not be synced",
        );
      const [first] = report.failures;
      if (first !== undefined) tellFailure(run, first, undefined, () => failedPart(run, first));
      if (report.isGood) known.forget(report.entry);
      tellChanges(run);
      going.delete(report.entry);
      logEnd(log, report, ms, run.failures);
    },
    close() {
      for (const run of going.values()) tellChanges(run);
      going.clear();
    },
  };
};

const FAILED: Readonly<Record<SyncedTag["outcome"], string>> = {
  failed: "mirror: a tag could not be synced",
  skipped: "mirror: a tag could not be synced",
  stopped: "mirror: a hook has stopped a tag",
  done: "mirror: a tag has moved, and its post hook has failed",
};
const NO_REASON = { reference: "", code: "UNKNOWN", message: "no reason is known" };

/** What was there in part is put right without anybody's seeing another image. */
const isMove = ({ now, upstream }: SyncedTag): boolean => now !== upstream;

/** Digests and names have been parsed: nothing in them is anybody's text. */
const aboutTag = ({ entry, source, target = source, now, upstream, created, backup }: SyncedTag, run: string) => ({
  ...{ entry, run, site: target.site, repo: target.repository, tag: target.tag },
  ...(target !== source && { source: `${source.site}/${source.repository}:${source.tag}` }),
  ...(now !== undefined && { from: now }),
  ...(upstream !== undefined && { to: upstream }),
  ...(created !== undefined && { created }),
  ...(backup !== undefined && { backup }),
});

const logEnd = (log: Logger, { entry, run, isGood, tags, expired, fetched }: EntryReport, ms: number, failures: number): void => {
  const done = tags.filter(({ outcome }) => outcome === "done");
  const skipped = (change: SyncedTag["change"]) =>
    tags.filter((tag) => tag.outcome === "skipped" && tag.change === change).length;
  const about = {
    ...{ entry, run, good: isGood, ms, fetched, failures, expired: expired.length },
    moved: done.filter(isMove).length,
    repaired: done.filter((tag) => !isMove(tag)).length,
    ...{ same: skipped("same"), held: skipped("held"), young: skipped("young"), gone: skipped("gone") },
  };
  if (isGood) log.info(about, "mirror: a sync has ended");
  else log.warn(about, "mirror: a sync has ended, and not all is well");
};
