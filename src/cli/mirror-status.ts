// `layover mirror status`, also of the store alone. Exit status 1: the last good sync of an entry is too old, or the list is not right.
import type { MirrorStatusAnswer } from "../admin/answers.ts";
import { printMirrorStatus } from "./mirror-print.ts";
import { print } from "./print.ts";
import { ask, type ReachOptions } from "./reach.ts";

export const mirrorStatus = (options: ReachOptions): Promise<void> =>
  ask(options, async (operations, { signal }) => {
    const status = await operations.mirrorStatus({}, { signal, progress: () => undefined });
    print(options, status, (answer) => printMirrorStatus(answer, Date.now()));
    return isWell(status) ? 0 : 1;
  });

const isWell = ({ list, entries }: MirrorStatusAnswer): boolean =>
  list?.problem === undefined && entries.every(({ overdue }) => !overdue);
