// What the commands that change the CA share: its options out of the configuration, its errors on stderr, and what to do after a change.

import { parseDuration, UnitError } from "../lib/units.ts";
import { CaError } from "../tls/ca-error.ts";
import type { CaOptions } from "../tls/plan.ts";
import { anchorOf } from "../tls/root.ts";
import type { Succession } from "../tls/rotate.ts";

export interface OverlapOptions {
  readonly config?: string;
  readonly overlap?: string;
  readonly now?: boolean;
}

const OVERLAP = "30d";

/** Exit status 1 for what the files do not allow. */
export const onCa = async (file: string | undefined, work: (options: CaOptions) => Promise<void> | void): Promise<void> => {
  const { configOrExit } = await import("./config.ts");
  const config = await configOrExit(file);
  if (config === undefined) return;
  const { caOptions } = await import("../app-ca.ts");
  try {
    await work(caOptions(config));
  } catch (error) {
    if (!(error instanceof CaError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
};

/** Milliseconds; undefined, with the reason on stderr and exit status 2, for what is no time. */
export const overlapOf = ({ overlap, now }: OverlapOptions): number | undefined => {
  try {
    if (now !== true) return parseDuration(overlap ?? OVERLAP);
    if (overlap === undefined) return 0;
    process.stderr.write("--now and --overlap exclude each other\n");
  } catch (error) {
    if (!(error instanceof UnitError)) throw error;
    process.stderr.write(`--overlap: ${error.message}\n`);
  }
  process.exitCode = 2;
  return undefined;
};

/** For people: who signs from when, and what clients need before that. */
export const told = ({ root, from }: Succession, { certificateFile }: CaOptions, now: number): string => {
  const anchor = anchorOf(root);
  const isNow = from <= now + 1_000;
  const when = isNow ? "at once" : `from ${new Date(from).toISOString()}`;
  const clients = isNow
    ? `Clients that do not trust it yet need ${certificateFile} now (layover setup docker).`
    : `Until then clients fetch ${certificateFile} (layover setup docker); what they trust today signs on.`;
  return `${anchor.name} signs ${when}\n  SHA-256    ${anchor.certificate.fingerprint256}\n${clients}\n`;
};
