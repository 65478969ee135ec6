// The list of what is mirrored, followed while serving: a changed file is taken up within seconds. Whatever is wrong with it, the list from
// before goes on, and says so.
import { stat } from "node:fs/promises";
import type { Logger } from "../lib/log.ts";
import { whyUnread } from "../lib/text-file.ts";
import type { MirrorConfig, MirrorEntry } from "../mirrors.ts";
import { mirrorApart } from "./apart.ts";
import type { Config } from "./config.ts";
import { lastListIn } from "./last-list.ts";
import { ConfigError } from "./problems.ts";

export interface FollowedMirrors {
  readonly file: string | undefined;
  readonly entries: readonly MirrorEntry[];
  /** ms since the epoch. */
  readonly readAt: number;
  /** What is wrong with the file as it is now, for people. */
  readonly problem: string | undefined;
  close(): void;
}

export interface FollowOptions {
  readonly sites: Pick<Config, "sites" | "wildcards" | "excluded" | "data">;
  /** Called with each list that differs from the one before. */
  readonly changed: (entries: readonly MirrorEntry[]) => void;
  readonly clock: () => number;
  readonly log: Logger;
}

const LOOK_MS = 2_000;
const JUST_NOW = 60_000;
/** Of a list with many mistakes, for the log and the status. */
const MOST_TOLD = 1_000;

/** What stands in the configuration itself is as it was at the start. */
export const followMirrors = (given: MirrorConfig, options: FollowOptions): FollowedMirrors => {
  const { sites, changed, clock, log } = options;
  const { file } = given;
  let { entries } = given;
  let readAt = clock();
  let problem = given.problem?.slice(0, MOST_TOLD);
  const take = (next: readonly MirrorEntry[]): void => {
    const before = JSON.stringify(entries);
    if (problem !== undefined) log.info({ file }, "mirror: the list is right again");
    problem = undefined;
    readAt = clock();
    if (JSON.stringify(next) === before) return;
    entries = next;
    log.info({ file, entries: next.length }, "mirror: the list has changed and was taken up");
    changed(next);
  };
  const refuse = (error: unknown): void => {
    const why = (error instanceof ConfigError ? error.message : whyUnread(error)).slice(0, MOST_TOLD);
    if (why !== problem) log.warn({ file, why }, "mirror: the list was changed and is not right: the one from before goes on");
    problem = why;
  };

  const over = Promise.withResolvers<void>();
  let seen: string | undefined;
  /** At the last look: an editor may be in the middle of writing what changed since then, and half a list is a list. */
  let settling: string | undefined;
  let isLooking = false;
  /** As it was read, unless it has changed again meanwhile. */
  const read = async (path: string, state: string): Promise<void> => {
    await mirrorApart(path, sites, over.promise).then(
      (next) => next && take(next.entries),
      (error: unknown) => {
        if (!(error instanceof ConfigError)) throw error;
        refuse(error);
      },
    );
    seen = (await stateOf(path)) === state ? state : undefined;
  };
  const look = async (path: string): Promise<void> => {
    if (isLooking) return;
    isLooking = true;
    try {
      const state = await stateOf(path);
      if (state !== seen && state === settling) await read(path, state);
      settling = state;
    } catch (error) {
      seen = undefined;
      refuse(error);
    } finally {
      isLooking = false;
    }
  };
  if (file !== undefined)
    void settledState(file, clock(), lastListIn(sites.data)).then((state) => {
      seen ??= state;
    });
  const timer = file === undefined ? undefined : setInterval(() => void look(file), LOOK_MS).unref();
  return {
    file,
    get entries() {
      return entries;
    },
    get readAt() {
      return readAt;
    },
    get problem() {
      return problem;
    },
    close() {
      clearInterval(timer);
      over.resolve();
    },
  };
};

/**
 * What has changed just now may have changed after it was read for the first time: it is read again. A change's own time cannot be set. So
 * is what has no copy yet, as at the first start, which made the folder for it.
 */
const settledState = async (file: string, now: number, last: string): Promise<string | undefined> => {
  try {
    await stat(last);
    const { ctimeMs } = await stat(file);
    return now - ctimeMs > JUST_NOW ? await stateOf(file) : undefined;
  } catch {
    return undefined;
  }
};

/** Follows links, as a list in a repository or a Kubernetes volume may be one. Rejects where there is none. */
const stateOf = async (file: string): Promise<string> => {
  const { ino, mtimeNs, size } = await stat(file, { bigint: true });
  return `${ino} ${mtimeNs} ${size}`;
};
