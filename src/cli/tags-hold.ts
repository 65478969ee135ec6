// `layover tags pin`, `rollback` and `unpin`. Exit status 1: nothing is known of it, or it is not wholly here; nothing was changed then.
import type { HeldTag, ReleasedTag } from "../admin/tags-answers.ts";
import { print } from "./print.ts";
import { ask, type ReachOptions } from "./reach.ts";
import { ago, short } from "./table.ts";
import type { HoldOptions } from "./tags.ts";

export const tagsHold = (
  kind: "pin" | "rollback",
  reference: string,
  to: string | undefined,
  options: HoldOptions,
): Promise<void> =>
  ask(options, async (operations, { signal }) => {
    const input = { reference, to, ...(options.force === true && { force: true }) };
    const call = { signal, progress: () => undefined };
    const held = await (kind === "pin" ? operations.tagPin(input, call) : operations.tagRollback(input, call));
    print(options, held, printHeld);
    return undefined;
  });

export const tagsUnpin = (reference: string, options: ReachOptions): Promise<void> =>
  ask(options, async (operations, { signal }) => {
    const released = await operations.tagUnpin({ reference }, { signal, progress: () => undefined });
    print(options, released, (answer) => printReleased(answer, Date.now()));
    return undefined;
  });

const ASIDE = "but while Layover is down or bypassed clients get what upstream says: failOpen: false of its site ends that\n";

export const printHeld = ({ reference, from, to, failOpen, missing, missingCount }: HeldTag): string => {
  const move = from === undefined || from === to ? short(to) : `${short(from)}  →  ${short(to)}`;
  const lacks = missing.map(
    ({ role, digest, platform, why }) => `  ${[role, digest, ...((platform ?? "") ? [platform] : []), why].join("  ")}\n`,
  );
  const rest = missingCount > missing.length ? `  and ${missingCount - missing.length} more\n` : "";
  const warning =
    missingCount === 0 ? "" : `not all of it is here; what is missing has to come from upstream:\n${lacks.join("")}${rest}`;
  return `${reference}  ${move}\nit stays so until: layover tags unpin ${reference}\n${failOpen ? ASIDE : ""}${warning}`;
};

export const printReleased = ({ reference, digest, released, next }: ReleasedTag, now: number): string => {
  const was = released === undefined ? "was held by nobody" : `was held by a ${released.kind} since ${ago(released.since, now)}`;
  return `${reference}${digest === undefined ? "" : `  ${short(digest)}`}  ${was}\nnow ${next}\n`;
};
