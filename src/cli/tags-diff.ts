// `layover tags diff`, for people to read. Exit status 0 whether anything differs or not.
import type { ConfigChange, DiffSide, ImageDiff, LayerEntry, ReferrerEntry, TagDiff } from "../admin/tags-answers.ts";
import { about } from "../lib/units.ts";
import { print } from "./print.ts";
import { ask, type ReachOptions } from "./reach.ts";
import { short } from "./table.ts";

export const tagsDiff = (
  reference: string,
  from: string | undefined,
  to: string | undefined,
  options: ReachOptions,
): Promise<void> =>
  ask(options, async (operations, { signal }) => {
    const diff = await operations.tagDiff({ reference, from, to }, { signal, progress: () => undefined });
    print(options, diff, printDiff);
    return undefined;
  });

export const printDiff = ({ reference, from, to, same, platforms, images, notHeld }: TagDiff): string => {
  const lines = [
    reference,
    sideLine("from", from),
    sideLine("to", to),
    ...(same ? ["they are the same"] : []),
    ...platforms.removed.map((platform) => `- ${platform || "image"}`),
    ...platforms.added.map((platform) => `+ ${platform || "image"}`),
    ...platforms.same.map((platform) => `= ${platform || "image"}`),
    ...images.flatMap(imageLines),
    ...referrerLines("-", from.referrers),
    ...referrerLines("+", to.referrers),
    ...notHeld.map(({ side, digest, what }) => `? ${side}: ${what} ${short(digest)} is not held: nothing is known of it`),
  ];
  return `${lines.join("\n")}\n`;
};

const sideLine = (name: string, { digest, created, held }: DiffSide): string =>
  `${name.padEnd(4)}  ${digest}${created === undefined ? "" : `  made ${created}`}${held === "whole" ? "" : held === "no" ? "  not held" : "  held in part"}`;

const imageLines = ({ platform, from, to, config, layers }: ImageDiff): string[] => [
  `~ ${platform ?? "image"}  ${short(from)}  →  ${short(to)}`,
  ...config.flatMap(changeLines),
  `  = layers: ${layers.shared.count}, ${about(layers.shared.bytes)}`,
  ...layers.removed.map((layer) => `  - layer ${layerText(layer)}`),
  ...layers.added.map((layer) => `  + layer ${layerText(layer)}`),
];

const changeLines = ({ what, name, from, to }: ConfigChange): string[] => {
  const about = name === undefined ? what : `${what} ${name}`;
  return [
    ...(from === undefined ? [] : [`  - ${about}${from === "" ? "" : `: ${from}`}`]),
    ...(to === undefined ? [] : [`  + ${about}${to === "" ? "" : `: ${to}`}`]),
  ];
};

const layerText = ({ digest, size }: LayerEntry): string => `${short(digest)}${size === undefined ? "" : `  ${about(size)}`}`;

const referrerLines = (sign: string, referrers: readonly ReferrerEntry[] = []): string[] =>
  referrers.map(({ digest, artifactType, tag }) => `${sign} referrer ${short(digest)}  ${artifactType ?? tag ?? ""}`.trimEnd());
