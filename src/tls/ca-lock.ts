// Only one process at a time changes the CA's files. SQLite holds the lock: the kernel lets go of it when a process dies, however it dies.

import { closeSync, fchownSync, lstatSync, openSync, statSync } from "node:fs";
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
    make(path);
    database = new DatabaseSync(path);
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

/**
 * The folder is another user's where root gives the command: that user is left a file that is made here, and could otherwise not lock again.
 * What is there already is nobody's to give away, and a link that lies there leads root nowhere.
 */
const make = (path: string): void => {
  let fd: number;
  try {
    fd = openSync(path, "wx", 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    // looked at without opening it: closing it again would let go of the lock that this process may hold (POSIX)
    if (lstatSync(path).isFile()) return;
    throw new Error("it is a link or no file at all: remove it");
  }
  try {
    const { uid, gid } = statSync(dirname(path));
    if (process.geteuid?.() === 0) fchownSync(fd, uid, gid);
  } finally {
    closeSync(fd);
  }
};

const held = (path: string): CaError =>
  new CaError({
    path,
    problem: `another process has held the CA's files for ${PATIENCE_MS / 1000} s`,
    mend: "see whether another Layover hangs there (`fuser` names it), stop it, and start again",
  });
