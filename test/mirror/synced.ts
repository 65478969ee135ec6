// What a sync tells of, as tests make it up.
import type { EntryReport, SyncedTag } from "../../src/mirror/outcome.ts";

export const digestOf = (nth: number): string => `sha256:${String(nth).padStart(64, "0")}`;

export const synced = (tag: string, more: Partial<SyncedTag> = {}): SyncedTag => ({
  entry: "apps",
  source: { site: "registry.example", repository: "acme/app", tag },
  change: "moved",
  now: digestOf(1),
  upstream: digestOf(2),
  outcome: "done",
  fetched: 1_000,
  ...more,
});

export const failed = (tag: string, message = "upstream is away"): SyncedTag =>
  synced(tag, { outcome: "failed", failure: { reference: tag, code: "UPSTREAM_UNREACHABLE", message } });

export const reportOf = (run: string, tags: readonly SyncedTag[], more: Partial<EntryReport> = {}): EntryReport => ({
  entry: "apps",
  startedAt: "2026-11-24T08:00:00.000Z",
  endedAt: "2026-11-24T08:00:12.500Z",
  run,
  isGood: tags.every(({ outcome }) => outcome === "done" || outcome === "skipped"),
  tags,
  expired: [],
  failures: [],
  fetched: tags.reduce((sum, { fetched }) => sum + fetched, 0),
  ...more,
});
