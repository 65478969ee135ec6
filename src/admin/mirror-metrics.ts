// What `/metrics` shows of the managed mirror: an entry's last sync as it is kept, so that a restart changes nothing, and counts since the start.
import type { EntryFigures, MirrorFigures } from "../mirror/figures.ts";
import type { Family, Sample } from "./exposition.ts";
import { counter, each, gauge, seconds, yes } from "./metrics.ts";

export const mirrorFamilies = ({ entries, counts }: MirrorFigures): Family[] => {
  const of = (value: (entry: EntryFigures) => number | undefined): Sample[] =>
    entries.flatMap((figures) => {
      const found = value(figures);
      return found === undefined ? [] : [{ labels: { entry: figures.entry }, value: found }];
    });
  const at = (ms: number | undefined) => (ms === undefined ? undefined : seconds(ms));
  return [
    gauge(
      "layover_mirror_last_good_timestamp_seconds",
      "The end of the last good sync, since the epoch.",
      of(({ runs }) => at(runs.lastGood?.endedAt)),
    ),
    gauge(
      "layover_mirror_last_run_timestamp_seconds",
      "The end of the last sync, since the epoch.",
      of(({ runs }) => at(runs.last?.endedAt)),
    ),
    gauge(
      "layover_mirror_last_run_ok",
      "Whether all was well in it.",
      of(({ runs: { last } }) => last && yes(last.isGood)),
    ),
    gauge(
      "layover_mirror_run_seconds",
      "How long it took.",
      of(({ runs: { last } }) => last && seconds(Math.max(0, last.endedAt - last.startedAt))),
    ),
    gauge(
      "layover_mirror_next_run_timestamp_seconds",
      "When the next is due, since the epoch.",
      of(({ nextAt }) => at(nextAt)),
    ),
    gauge(
      "layover_mirror_running",
      "Whether one is under way.",
      of(({ isRunning }) => yes(isRunning)),
    ),
    gauge(
      "layover_mirror_overdue",
      "Whether the last good one is longer ago than warnAfter.",
      of(({ isOverdue }) => yes(isOverdue)),
    ),
    counter(
      "layover_mirror_changes",
      "Tags that were moved by syncs.",
      of(({ entry }) => counts.of(entry).changes),
    ),
    counter(
      "layover_mirror_failures",
      "Tags, and what else of an entry, that could not be synced.",
      of(({ entry }) => counts.of(entry).failures),
    ),
    counter(
      "layover_mirror_fetched_bytes",
      "What came from upstream for syncs.",
      of(({ entry }) => counts.of(entry).fetched),
    ),
    counter("layover_mirror_webhook_messages", "What became of messages to webhooks.", each("outcome", { ...counts.webhooks })),
  ];
};
