// `layover export` at work: a plan of what is held, what is missing fetched first, then the file.

import type { ExportPlan } from "../admin/answers.ts";
import { AdminError } from "../admin/error.ts";
import type { Call } from "../admin/operations.ts";
import { piecesOf } from "../bundle/pieces.ts";
import { writeToFile, writeToPipe } from "../bundle/write.ts";
import { about } from "../lib/units.ts";
import { credentialIn } from "./credential.ts";
import type { ExportOptions } from "./export.ts";
import { showing } from "./progress.ts";
import { type Asked, Failure } from "./reach.ts";

type Asking = readonly [Asked, Pick<Call, "signal">];

export const exportBundle = async (references: string[], options: ExportOptions, ...asking: Asking): Promise<number> => {
  const [{ content }, { signal }] = asking;
  const toPipe = options.output === "-";
  if (toPipe && process.stdout.isTTY) throw new Failure(2, "a bundle is nothing for a terminal: -o FILE, or send it into a pipe");
  // to have read enough of half a bundle is to have none
  if (toPipe) process.stdout.prependListener("error", () => process.exit(1));
  const plan = await planFor(references, options, asking);
  const written = await showing("export", (progress) => {
    const parts = { pieces: piecesOf(plan), content, signal, progress };
    return toPipe ? writeToPipe(process.stdout, parts) : writeToFile(options.output, parts);
  });
  const out = toPipe ? process.stderr : process.stdout;
  const answer = { output: options.output, ...written, roots: plan.roots, left: plan.left };
  out.write(options.json === true ? `${JSON.stringify(answer, undefined, 2)}\n` : printed(answer, plan));
  return 0;
};

const planFor = async (references: string[], options: ExportOptions, [operations, { signal }]: Asking): Promise<ExportPlan> => {
  const { platform, referrers } = options;
  const input = { references, ...(platform !== undefined && { platforms: platform }), ...(!referrers && { referrers }) };
  const call = { signal, progress: () => undefined };
  const plan = await operations.exportPlan(input, call);
  if (plan.missing.length === 0) return plan;
  const credential = await credentialIn(options.credentials);
  const warmed = await showing("fetch", (progress) => {
    const missing = plan.missing.map(({ reference }) => reference);
    return operations.warm({ references: missing, credential, platforms: platform }, { signal, progress });
  }).catch((error: unknown) => {
    const isAlone = error instanceof AdminError && error.code === "UNAVAILABLE";
    throw isAlone ? notHeld(plan, "and no Layover runs here that could fetch it") : error;
  });
  const whole = await operations.exportPlan(input, call);
  if (whole.missing.length === 0) return whole;
  const [failure] = warmed.images.flatMap(({ failures }) => failures);
  throw notHeld(whole, failure === undefined ? "and could not be kept" : `${failure.code}: ${failure.message}`);
};

const notHeld = ({ missing }: ExportPlan, why: string): Failure =>
  new Failure(
    1,
    `nothing was written: ${missing
      .slice(0, 5)
      .map((one) => `${one.reference}: ${one.why}`)
      .join("; ")}; ${why}`,
  );

const printed = (
  { output, bytes, resumed }: { readonly output: string; readonly bytes: number; readonly resumed: number },
  { roots, blobs, left }: ExportPlan,
): string => {
  const named = roots.flatMap(({ reference, digest }) => (reference === undefined ? [] : [`${reference}  ${digest}\n`]));
  const before = resumed === 0 ? "" : `, ${about(resumed)} of it there before`;
  const others = roots.length === named.length ? "" : `, ${roots.length - named.length} referrers`;
  const without = left.length === 0 ? "" : `left out: ${left.slice(0, 20).join("; ")}\n`;
  return `${named.join("")}${without}${output}: ${about(bytes)}${before}; ${named.length} images${others}, ${blobs.length} blobs\n`;
};
