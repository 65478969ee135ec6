// The managed mirror put together: its list, which is followed, the syncs of its entries, their schedule, and who hears of them.
import type { MirrorStatusAnswer, WorkEntry } from "./admin/answers.ts";
import { isoOf } from "./admin/cache-list.ts";
import { mirrorOperations } from "./admin/mirror-operations.ts";
import { mirrorProgress } from "./admin/mirror-progress.ts";
import { mirrorStatus } from "./admin/mirror-status.ts";
import type { Operations } from "./admin/operations.ts";
import { openNotices } from "./app-notify.ts";
import type { SiteDoors } from "./app-sites.ts";
import type { Config } from "./config/config.ts";
import { type FollowedMirrors, followMirrors } from "./config/follow-mirrors.ts";
import { type EngineParts, type MirrorEngine, mirrorEngine } from "./mirror/engine.ts";
import type { MirrorFigures } from "./mirror/figures.ts";
import { runHook } from "./mirror/hook.ts";
import type { MirrorEvents } from "./mirror/outcome.ts";
import { type Going, Runner } from "./mirror/runner.ts";
import { Schedule } from "./mirror/schedule.ts";
import { Standings } from "./mirror/standing.ts";
import { Uncovered } from "./mirror/uncovered.ts";
import type { Covers } from "./mirrors/covers.ts";
import type { LiveMirrors } from "./mirrors/live.ts";
import type { MirrorEntry } from "./mirrors.ts";
import { OciError } from "./oci/error.ts";
import { pinnedBy } from "./registry/policy.ts";
import type { Site, Sites } from "./sites.ts";

export interface MirrorEndParts extends Pick<EngineParts, "blobs" | "flights" | "facts" | "clock" | "log"> {
  readonly sites: Sites;
  readonly doors: Pick<SiteDoors, "sourceOf" | "targetOf">;
  /** What everybody goes by. */
  readonly live: LiveMirrors;
  /** Our `Via` value. */
  readonly via: string;
  readonly version: string;
}

export interface MirrorEnd {
  readonly operations: Pick<Operations, "mirrorCheck" | "mirrorSync" | "mirrorStatus">;
  work(): WorkEntry[];
  figures(): MirrorFigures;
  /** What is wrong, for people. */
  readonly notes: () => string[];
  /** The same for everybody: it names nothing. */
  readonly hints: () => string[];
  close(): Promise<void>;
}

export const openMirror = (config: Config, parts: MirrorEndParts): MirrorEnd => {
  const { sites, live, facts, clock, log } = parts;
  const notices = openNotices(config, { ...parts, webhooks: config.notify });
  const engine = engineOf(parts, notices.events);
  const standings = new Standings({ mirroring: facts.mirroring, clock, log });
  const runner = new Runner({ engine, ended: (entry, run) => standings.ended(entry, run), clock, log });
  const runs = (entry: string) => standings.runs(entry);
  const covers: Covers = (...name) => live.covers(...name);
  const uncovered = new Uncovered({
    count: () => engine.countUncovered(covers),
    letGo: () => engine.letGoUncovered(covers),
    now: () => performance.now(),
    log,
  });
  const looked = (): void => {
    standings.tell();
    if (uncovered.isDue) next(() => uncovered.look());
  };
  const schedule = new Schedule({ runner, runs, looked, clock, log });

  /** What is no more what it was is ended first: it would write what is let go then. */
  const takeUp = async (entries: readonly MirrorEntry[]): Promise<void> => {
    await runner.keepOnly(entries);
    await standings.follow(entries);
    schedule.follow(entries);
    notices.counts.keepOnly(entries.map(({ name }) => name));
    await uncovered.follow(entries);
  };
  let taken = Promise.resolve();
  const next = (work: () => Promise<void>): void => {
    taken = taken
      .then(work)
      .catch((error: unknown) => log.error({ err: String(error) }, "mirror: the list could not be taken up"));
  };
  const changed = (entries: readonly MirrorEntry[]): void => {
    if (entries !== live.entries) live.take(entries);
    next(() => takeUp(entries));
  };
  changed(live.entries);
  const list = followMirrors(config.mirror, { sites: config, changed, clock, log });

  const listProblem = () =>
    list.problem === undefined ? [] : [`mirror: the list ${list.file} is not right, and the one from before goes on`];
  const overdueNow = () => new Set(standings.overdue().map(({ entry }) => entry));
  const figures = (): MirrorFigures => {
    const [overdue, begun] = [overdueNow(), runner.going().filter(({ startedAt }) => startedAt !== undefined)];
    const isRunning = new Set(begun.map(({ entry }) => entry));
    const entries = live.entries.map(({ name }) => ({
      ...{ entry: name, runs: standings.runs(name), nextAt: schedule.next(name) },
      ...{ isRunning: isRunning.has(name), isOverdue: overdue.has(name) },
    }));
    return { entries, counts: notices.counts };
  };
  const status = async () => {
    const overdue = overdueNow();
    return mirrorStatus({
      ...{ entries: live.entries, facts, list: listStatus(list), now: clock(), going: runner.going() },
      ...{ next: (entry) => schedule.next(entry), isOverdue: (entry) => overdue.has(entry) },
    });
  };
  return {
    operations: mirrorOperations({ sites, entries: () => live.entries, engine, runner, status }),
    work: () => runner.going().flatMap(workOf),
    figures,
    notes: () => [...listProblem(), ...standings.notes()],
    hints: () => hintsOf(list.problem !== undefined, overdueNow().size),
    async close() {
      list.close();
      schedule.close();
      await runner.close();
      await taken;
      await notices.close();
    },
  };
};

const engineOf = ({ sites, doors, ...parts }: MirrorEndParts, events: MirrorEvents): MirrorEngine => {
  const { log } = parts;
  const siteCalled = (host: string): Site => {
    const site = sites.byHost(host);
    if (site === undefined) throw new OciError("UNAVAILABLE", `${host} is no site of this Layover any more`);
    return site;
  };
  return mirrorEngine({
    ...parts,
    events,
    sourceOf: (host) => doors.sourceOf(siteCalled(host)),
    targetOf: (host) => doors.targetOf(siteCalled(host)),
    isPinned: pinnedBy(sites),
    hook: (command, about, call) => runHook(command, about, { ...call, log }),
  });
};

const listStatus = ({ file, readAt, problem }: FollowedMirrors): MirrorStatusAnswer["list"] =>
  file === undefined ? undefined : { file, readAt: isoOf(readAt), ...(problem !== undefined && { problem }) };

const hintsOf = (isListWrong: boolean, overdue: number): string[] => [
  ...(isListWrong ? [`mirror: its list is not right, and the one from before goes on${SEE_STATUS}`] : []),
  ...(overdue > 0 ? [`mirror: ${overdue} without a good sync for too long${SEE_STATUS}`] : []),
];
const SEE_STATUS = " (`layover mirror status`)";

/** What waits for its turn is no work yet. */
const workOf = ({ entry, startedAt, progress }: Going): WorkEntry[] =>
  startedAt === undefined
    ? []
    : [{ operation: `mirror sync ${entry}`, since: isoOf(startedAt), progress: mirrorProgress([progress]) }];
