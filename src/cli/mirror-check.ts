// `layover mirror check`. Exit status: 1 when something could not be asked, 4 (by --exit-code) when a sync would change something.
import type { MirrorCheckAnswer } from "../admin/answers.ts";
import type { Change } from "../mirror/outcome.ts";
import { bars } from "./bars.ts";
import type { MirrorCheckOptions } from "./mirror.ts";
import { printChecked } from "./mirror-print.ts";
import { print } from "./print.ts";
import { ask } from "./reach.ts";

const CHANGING: readonly Change[] = ["missing", "moved", "incomplete"];
const WOULD_CHANGE = 4;

export const mirrorCheck = (entries: readonly string[], options: MirrorCheckOptions): Promise<void> =>
  ask(
    options,
    async (operations, { signal }) => {
      const input = entries.length === 0 ? {} : { entries };
      const answer = await bars("mirror check", (progress) => operations.mirrorCheck(input, { signal, progress }));
      print(options, answer, (checked) => printChecked(checked, options.all === true, Date.now()));
      return exitOf(answer, options.exitCode === true);
    },
    { alone: false },
  );

const exitOf = ({ entries }: MirrorCheckAnswer, tellsChange: boolean): number => {
  if (entries.some(({ failures }) => failures.length > 0)) return 1;
  return tellsChange && entries.some(({ tags }) => tags.some(({ change }) => CHANGING.includes(change))) ? WOULD_CHANGE : 0;
};
