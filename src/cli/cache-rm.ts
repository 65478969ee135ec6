// `layover cache rm`.
import type { Removed } from "../admin/answers.ts";
import { about } from "../lib/units.ts";
import { print } from "./print.ts";
import { showing } from "./progress.ts";
import { ask, type ReachOptions } from "./reach.ts";

/** Exit status 1: there was nothing to forget. */
export const cacheRm = (reference: string, options: ReachOptions): Promise<void> =>
  ask(options, async (operations, { signal }) => {
    const removed = await showing("rm", (progress) => operations.remove({ reference }, { signal, progress }));
    print(options, removed, printRemoved);
    return undefined;
  });

const printRemoved = ({ reference, tagCount, links, blobs, stayed }: Removed): string => {
  const others = stayed === 0 ? "" : `, ${stayed} blobs stay because something else needs them`;
  return `${reference}: ${tagCount} tags and ${links} digests forgotten; ${blobs.count} blobs gone, ${about(blobs.bytes)}${others}\n`;
};
