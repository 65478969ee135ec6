// The managed mirror put together: its list, which is followed, the syncs of its entries, their schedule, and who hears of them.
import type { MirrorStatusAnswer, WorkEntry } from "./admin/answers.ts";
import { isoOf } from "./admin/cache-list.ts";
import { mirrorOperations } from "./admin/mirror-operations.ts";
import { mirrorProgress } from "./admin/mirror-progress.ts";
import { mirrorStatus } from "./admin/mirror-status.ts";
import type { Operations } from "./admin/operations.ts";
import type { Config } from "./config/config.ts";
import { type FollowedMirrors, followMirrors } from "./config/follow-mirrors.ts";
import type { Clock } from "./lib/clock.ts";
import type { Logger } from "./lib/log.ts";
import type { MirrorEngine } from "./mirror/engine.ts";
import { type Going, Runner } from "./mirror/runner.ts";
import { Schedule } from "./mirror/schedule.ts";
import { Standings } from "./mirror/standing.ts";
import type { LiveMirrors } from "./mirrors/live.ts";
import type { MirrorEntry } from "./mirrors.ts";
import type { Sites } from "./sites.ts";
import type { FactStore } from "./store/facts.ts";

export interface MirrorEndParts {
  readonly sites: Sites;
  /** What everybody goes by. */
  readonly live: LiveMirrors;
  readonly engine: MirrorEngine;
  readonly facts: FactStore;
  /** What else goes by the names of the entries. */
  readonly keepOnly: (entries: readonly string[]) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface MirrorEnd {
  readonly operations: Pick<Operations, "mirrorCheck" | "mirrorSync" | "mirrorStatus">;
  work(): WorkEntry[];
  /** What is wrong, for people. */
  readonly notes: () => string[];
  close(): Promise<void>;
}

export const openMirror = (config: Pick<Config, "mirror">, parts: MirrorEndParts): MirrorEnd => {
  const { sites, live, engine, facts, keepOnly, clock, log } = parts;
  const standings = new Standings({ mirroring: facts.mirroring, clock, log });
  const runner = new Runner({ engine, ended: (entry, run) => standings.ended(entry, run), clock, log });
  const runs = (entry: string) => standings.runs(entry);
  const schedule = new Schedule({ runner, runs, looked: () => standings.tell(), clock, log });

  /** What is no more what it was is ended first: it would write what is let go then. */
  const takeUp = async (entries: readonly MirrorEntry[]): Promise<void> => {
    await runner.keepOnly(entries);
    await standings.follow(entries);
    schedule.follow(entries);
    keepOnly(entries.map(({ name }) => name));
    const count = await engine.letGoUncovered(entries);
    if (count > 0) log.info({ tags: count }, "mirror: what no entry covers any more may make way again");
  };
  let taken = Promise.resolve();
  const changed = (entries: readonly MirrorEntry[]): void => {
    if (entries !== live.entries) live.take(entries);
    taken = taken
      .then(() => takeUp(entries))
      .catch((error: unknown) => log.error({ err: String(error) }, "mirror: the list could not be taken up"));
  };
  changed(live.entries);
  const list = followMirrors(config.mirror, { sites, env: process.env, cwd: process.cwd(), changed, clock, log });

  const listProblem = () =>
    list.problem === undefined ? [] : [`mirror: the list ${list.file} is not right, and the one from before goes on`];
  const status = async () => {
    const overdue = new Set(standings.overdue().map(({ entry }) => entry));
    return mirrorStatus({
      ...{ entries: live.entries, facts, list: listStatus(list), now: clock(), going: runner.going() },
      ...{ next: (entry) => schedule.next(entry), isOverdue: (entry) => overdue.has(entry) },
    });
  };
  return {
    operations: mirrorOperations({ sites, entries: () => live.entries, engine, runner, status }),
    work: () => runner.going().flatMap(workOf),
    notes: () => [...listProblem(), ...standings.notes()],
    async close() {
      list.close();
      schedule.close();
      await runner.close();
      await taken;
    },
  };
};

const listStatus = ({ file, readAt, problem }: FollowedMirrors): MirrorStatusAnswer["list"] =>
  file === undefined ? undefined : { file, readAt: isoOf(readAt), ...(problem !== undefined && { problem }) };

/** What waits for its turn is no work yet. */
const workOf = ({ entry, startedAt, progress }: Going): WorkEntry[] =>
  startedAt === undefined
    ? []
    : [{ operation: `mirror sync ${entry}`, since: isoOf(startedAt), progress: mirrorProgress([progress]) }];
