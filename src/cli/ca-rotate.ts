// `layover ca rotate`: a root takes over from the one before, with time for clients to fetch ca.crt in between.
import { anchorOf } from "../tls/root.ts";
import { retire, rotate, switchTo } from "../tls/rotate.ts";
import { type OverlapOptions, onCa, overlapOf, told } from "./ca-work.ts";

export interface RotateOptions extends OverlapOptions {
  readonly to?: string;
  readonly retire?: boolean;
}

export const caRotate = async (options: RotateOptions): Promise<void> => {
  const overlap = overlapOf(options);
  if (overlap === undefined) return;
  if (options.retire === true) return retireAll(options);
  await onCa(options.config, async (ca) => {
    const succession = options.to === undefined ? await rotate(ca, overlap) : await switchTo(ca, options.to, overlap);
    process.stdout.write(told(succession, ca, Date.now()));
  });
};

const retireAll = ({ config, now, overlap, to }: RotateOptions): Promise<void> | void => {
  if (now !== undefined || overlap !== undefined || to !== undefined) {
    process.stderr.write("--retire goes alone: it makes nothing new\n");
    process.exitCode = 2;
    return;
  }
  return onCa(config, async (ca) => {
    const gone = await retire(ca);
    const lines = gone
      .map(anchorOf)
      .map(({ name, certificate }) => `${name} is gone\n  SHA-256    ${certificate.fingerprint256}\n`);
    process.stdout.write(lines.join("") || "nothing to take away: every root signs for something, or is to\n");
  });
};
