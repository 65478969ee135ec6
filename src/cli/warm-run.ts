// `layover warm` and `layover refresh` at work, and what they say for people. Exit status 1: something could not be had.
import type { FailureEntry, RefreshAnswer, RefreshedImage, WarmAnswer, WarmedImage } from "../admin/answers.ts";
import type { Call, Operations } from "../admin/operations.ts";
import { about } from "../lib/units.ts";
import { credentialIn } from "./credential.ts";
import { print } from "./print.ts";
import { showing } from "./progress.ts";
import { short } from "./table.ts";
import type { FetchOptions, WarmOptions } from "./warm.ts";

type Asked = readonly [Operations, Pick<Call, "signal">];

export const warm = async (references: string[], options: WarmOptions, ...[operations, { signal }]: Asked): Promise<number> => {
  const credential = await credentialIn(options.credentials);
  const input = { references, credential, platforms: options.allPlatforms === true ? ("all" as const) : options.platform };
  const answer = await showing("warm", (progress) => operations.warm(input, { signal, progress }));
  print(options, answer, printWarmed);
  return answer.images.every(({ failures }) => failures.length === 0) ? 0 : 1;
};

export const refresh = async (
  references: string[],
  options: FetchOptions,
  ...[operations, { signal }]: Asked
): Promise<number> => {
  const credential = await credentialIn(options.credentials);
  const answer = await showing("refresh", (progress) => operations.refresh({ references, credential }, { signal, progress }));
  print(options, answer, printRefreshed);
  return answer.images.every(({ failure, outcome }) => failure === undefined && outcome !== "unkept") ? 0 : 1;
};

export const printWarmed = ({ images }: WarmAnswer): string => images.flatMap(warmedLines).join("");

const warmedLines = ({ reference, digest, manifests, blobs, held, fetched, failures }: WarmedImage): string[] => [
  digest === undefined
    ? `${reference}  failed\n`
    : `${reference}  ${short(digest)}  ${manifests} manifests, ${blobs} blobs: ${about(fetched)} fetched, ${about(held)} held before\n`,
  ...failures.map((failure) => failureLine(failure, reference)),
];

export const printRefreshed = ({ images }: RefreshAnswer): string => images.flatMap(refreshedLines).join("");

const refreshedLines = ({ reference: image, outcome, before, upstream, failure }: RefreshedImage): string[] => {
  const moved = before === undefined || before === upstream ? [] : [short(before), "→"];
  return [
    `${[image, outcome, ...moved, ...(upstream === undefined ? [] : [short(upstream)])].join("  ")}\n`,
    ...(failure === undefined ? [] : [failureLine(failure, image)]),
  ];
};

/** Of a part by its digest; the image itself is named by the line above. */
const failureLine = ({ reference, code, message }: FailureEntry, image: string): string =>
  `  ${reference === image ? "" : `${short(reference)}: `}${code}: ${message}\n`;
