// `layover mirror sync`. Exit status: 1 when something failed, was stopped by its `pre` hook, or has not ended in the time that was given.
import type { MirrorSyncAnswer } from "../admin/answers.ts";
import type { MirrorSyncInput } from "../admin/operations.ts";
import { parseDuration, UnitError } from "../lib/units.ts";
import { bars } from "./bars.ts";
import type { MirrorSyncOptions } from "./mirror.ts";
import { printSynced } from "./mirror-print.ts";
import { print } from "./print.ts";
import { ask, Failure } from "./reach.ts";

export const mirrorSync = (entries: readonly string[], options: MirrorSyncOptions): Promise<void> =>
  ask(
    options,
    async (operations, { signal }) => {
      const input = inputOf(entries, options);
      const answer = await bars("mirror sync", (progress) => operations.mirrorSync(input, { signal, progress })).catch(
        (error) => {
          // behind the bars, which are gone by now
          if (signal.aborted && input.waitMs !== 0) process.stderr.write(`layover: ${TO_GO_ON}\n`);
          throw error;
        },
      );
      print(options, answer, (synced) => printSynced(synced, options.all === true));
      return exitOf(answer, input.waitMs === 0);
    },
    { alone: false },
  );

const TO_GO_ON = "what was copied is kept, nothing half done is visible, and the same command goes on from there";

const inputOf = (entries: readonly string[], { missing, run, wait }: MirrorSyncOptions): MirrorSyncInput => ({
  ...(entries.length > 0 && { entries }),
  ...(missing === true && { missingOnly: true }),
  ...(run !== undefined && { run }),
  ...(wait === false && { waitMs: 0 }),
  ...(typeof wait === "string" && { waitMs: durationOf(wait) }),
});

/** Nothing is not waited for: that is --no-wait. */
const durationOf = (text: string): number => {
  try {
    return Math.max(1, parseDuration(text));
  } catch (error) {
    if (!(error instanceof UnitError)) throw error;
    throw new Failure(2, `--wait: ${error.message}`);
  }
};

const exitOf = ({ entries }: MirrorSyncAnswer, isOnlyBegun: boolean): number => {
  const isGood = entries.every(({ state, report }) => (state === "going" ? isOnlyBegun : report?.isGood === true));
  return isGood ? 0 : 1;
};
