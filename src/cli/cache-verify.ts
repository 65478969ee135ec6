// `layover cache verify`.
import type { Verified } from "../admin/answers.ts";
import { about } from "../lib/units.ts";
import { print } from "./print.ts";
import { showing } from "./progress.ts";
import { ask, type ReachOptions } from "./reach.ts";

/** Exit status 1: something was corrupt, or gone. */
export const cacheVerify = (options: ReachOptions): Promise<void> =>
  ask(options, async (operations, { signal }) => {
    const verified = await showing("verify", (progress) => operations.verify({}, { signal, progress }));
    print(options, verified, printVerified);
    return verified.spoiltCount + verified.dropped === 0 ? 0 : 1;
  });

const printVerified = ({ checked, spoilt, spoiltCount, dropped, added, strange }: Verified): string => {
  const lines = [
    ...spoilt.map(({ digest, size, why }) => `corrupt  ${digest}  ${about(size)}  ${why}`),
    ...strange.map((path) => `strange  ${path}`),
    `${checked.count.toLocaleString("en-US")} blobs, ${about(checked.bytes)} read: ${spoiltCount} corrupt, ${dropped} gone, ${added} found`,
  ];
  return `${lines.join("\n")}\n`;
};
