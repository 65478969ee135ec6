// Waiting with a deadline: no test sleeps blindly, and none waits for ever.
import { setTimeout as sleep } from "node:timers/promises";

/** Asks `probe` again and again until it gives something, for `ms` milliseconds at most; its last error is in what is thrown then. */
export const until = async <T>(
  what: string,
  ms: number,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> => {
  const deadline = Date.now() + ms;
  let last: unknown;
  do {
    try {
      const found = await probe();
      if (found !== undefined && found !== false) return found;
    } catch (error) {
      last = error;
    }
    await sleep(50);
  } while (Date.now() < deadline);
  throw new Error(`waited ${ms} ms in vain: ${what}`, { cause: last });
};
