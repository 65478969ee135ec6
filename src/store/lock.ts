// Two processes never write one store. SQLite's exclusive file lock does it: the kernel takes it back however its holder ends,
// and it holds between containers that share a volume.
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreInUse, StoreUnusable } from "./unusable.ts";

/** How long a predecessor that is just ending is waited for. Milliseconds. */
const WAIT = 15_000;
const TRY_EVERY = 100;

/** Gives what unlocks it. Throws StoreInUse when another process goes on holding it for `wait` ms. */
export const lockFolder = async (folder: string, wait = WAIT): Promise<() => void> => {
  const until = performance.now() + wait;
  for (;;) {
    const lock = attempt(join(folder, "lock"), folder);
    if (lock !== undefined) return () => lock.close();
    if (performance.now() >= until) throw new StoreInUse(folder);
    await new Promise((resolve) => setTimeout(resolve, TRY_EVERY));
  }
};

/** `undefined`: somebody else has it. */
const attempt = (path: string, folder: string): DatabaseSync | undefined => {
  let lock: DatabaseSync | undefined;
  try {
    lock = new DatabaseSync(path);
    lock.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock?.close();
    if (error instanceof Error && /locked|busy/i.test(error.message)) return undefined;
    throw new StoreUnusable(folder, error);
  }
};
