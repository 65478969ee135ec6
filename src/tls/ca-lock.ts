// Only one process at a time changes the CA's files. SQLite holds the lock: the kernel lets go of it when a process dies, however it dies.

import { chownSync, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { CaError } from "./ca-error.ts";

const PATIENCE_MS = 10_000;
const RETRY_MS = 10;
const SQLITE_BUSY = 5;

/** Runs `work`, which must not wait for anything, while no other process runs its own. Leaves an empty file at `path`. Throws CaError. */
export const withLock = async <T>(path: string, work: () => T): Promise<T> => {
  const lock = await acquire(path);
  try {
    return work();
  } finally {
    lock.close();
  }
};

const acquire = async (path: string): Promise<DatabaseSync> => {
  for (const deadline = performance.now() + PATIENCE_MS; ; await sleep(RETRY_MS)) {
    const lock = tryLock(path);
    if (lock) return lock;
    if (performance.now() > deadline) throw held(path);
  }
};

const tryLock = (path: string): DatabaseSync | undefined => {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    leaveToOwner(path);
    database.exec("BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined;
    throw new CaError(
      {
        path,
        problem: `cannot be locked: ${(error as Error).message}`,
        mend: "let the user that Layover runs as write in its directory",
      },
      error,
    );
  }
};

/** Of the folder: root's commands must not keep Layover's own user out. */
const leaveToOwner = (path: string): void => {
  if (process.getuid?.() !== 0 || !existsSync(path)) return;
  const { uid, gid } = statSync(dirname(path));
  chownSync(path, uid, gid);
};

const held = (path: string): CaError =>
  new CaError({
    path,
    problem: `another process has held the CA's files for ${PATIENCE_MS / 1000} s`,
    mend: "see whether another Layover hangs there (`fuser` names it), stop it, and start again",
  });
