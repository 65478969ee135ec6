// `layover cache gc`.
import type { Collected } from "../admin/answers.ts";
import { about } from "../lib/units.ts";
import { print } from "./print.ts";
import { showing } from "./progress.ts";
import { ask, type ReachOptions } from "./reach.ts";

export const cacheGc = (options: ReachOptions & { readonly dryRun?: boolean }): Promise<void> =>
  ask(options, async (operations, { signal }) => {
    const dryRun = options.dryRun === true;
    const collected = await showing("gc", (progress) => operations.collect({ dryRun }, { signal, progress }));
    print(options, collected, printCollected);
    return undefined;
  });

const printCollected = ({ dryRun, blobs, quarantine, links, listings, grants }: Collected): string => {
  const amounts = [
    `${blobs.count} blobs, ${about(blobs.bytes)}`,
    `${quarantine.count} in quarantine, ${about(quarantine.bytes)}`,
    `${links} links, ${listings} listings, ${grants} grants`,
  ];
  return `${dryRun ? "would go" : "gone"}: ${amounts.join("; ")}\n`;
};
