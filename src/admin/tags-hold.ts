// Keeps a tag where it is or was, and lets it go again. Nobody is asked: what it is to stand for has to be here, and this repository's.
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Mirrored } from "../mirrors.ts";
import type { Digest } from "../oci/digest.ts";
import { createdOf } from "../registry/created.ts";
import { policyOf } from "../registry/policy.ts";
import type { Hold } from "../store/facts.ts";
import { holdOf, isoOf } from "./cache-list.ts";
import { AdminError } from "./error.ts";
import { written } from "./references.ts";
import type { HeldTag, MissingEntry, ReleasedTag } from "./tags-answers.ts";
import type { TagParts } from "./tags-list.ts";
import type { TagHoldInput } from "./tags-operations.ts";
import { movesOf, type NamedTag, otherThan, parseTag, pastOf, stateNamed } from "./tags-state.ts";
import { type Looked, lookAt } from "./tags-whole.ts";

export interface HoldParts extends TagParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly mirrored: Mirrored;
}

/** Of what is missing. */
const MAX_TOLD = 100;
const FEW = 5;

/** `pin`: where it stands, unless told otherwise. `rollback`: where it stood before. Throws INVALID, UNKNOWN_SITE, NOT_HELD, INCOMPLETE. */
export const hold = async (
  parts: HoldParts,
  kind: Exclude<Hold["kind"], "backup">,
  { reference, to: wanted, force = false }: TagHoldInput,
): Promise<HeldTag> => {
  const { facts, blobs, clock, log } = parts;
  const named = parseTag(reference, parts.sites);
  // a name of one's own may be given to what is here, as a mirror gives its backups theirs
  const past = kind === "pin" && wanted !== undefined ? await movesOf(facts, named) : await pastOf(facts, named);
  const from = past.fact?.digest;
  const byDefault = kind === "pin" ? from : otherThan(past, from);
  const to = wanted === undefined ? byDefault : await stateNamed(facts, named, past, wanted);
  if (to === undefined) throw new AdminError("NOT_HELD", `${named.name} ${NOWHERE[kind]}`);
  const looked = await lookAt(parts, named, to);
  // what it is already it may go on being, whatever of it has had to make way
  if (to !== from) refuse(named, to, looked, force);
  const created = past.moves.find(({ digest }) => digest === to)?.created ?? (await createdOf(blobs, to));
  const at = clock();
  await facts.holdTag(named.key, { digest: to, at, kind, ...(created !== undefined && { created }) });
  log.info({ ...named.key, from, to, kind, missing: looked.missing.length }, `a tag is held by a ${kind}`);
  return {
    reference: named.name,
    ...(from !== undefined && { from }),
    to,
    ...(created !== undefined && { created: isoOf(created) }),
    hold: { kind, since: isoOf(at) },
    failOpen: named.site.failOpen,
    missing: looked.missing.slice(0, MAX_TOLD),
    missingCount: looked.missing.length,
  };
};

const NOWHERE = {
  pin: "stands for nothing: say what it is to stand for",
  rollback: "has never been anything else here: say what it is to stand for (`layover tags history` tells what it has been)",
} as const;

/** Without its manifest and the link to that nothing could be served at all; without the rest upstream has to be asked for it. */
const refuse = ({ site, repo, name }: NamedTag, to: Digest, { held, isThere, missing }: Looked, force: boolean): void => {
  if (held === "whole" || (isThere && force)) return;
  const target = written(site.host, repo, to);
  const whence =
    site.kind === "local" ? "push it again" : `\`layover warm ${target}\` brings what is missing, while upstream has it`;
  if (!isThere) {
    const why = missing[0]?.why === "not linked" ? `is no manifest that ${repo} is known to have` : "is not held";
    throw new AdminError("NOT_HELD", `${name} stays what it is: ${target} ${why}; ${whence}`);
  }
  const told = missing.slice(0, FEW).map(toldOf).join(", ");
  const more = missing.length > FEW ? ` and ${missing.length - FEW} more` : "";
  const forced = "--force takes it as it is, and what is missing comes when it is asked for";
  throw new AdminError("INCOMPLETE", `${name} stays what it is: ${target} lacks ${told}${more}; ${whence}; ${forced}`);
};

const toldOf = ({ role, digest, platform, why }: MissingEntry): string =>
  `${role} ${digest}${platform === undefined ? "" : ` of ${platform}`} (${why})`;

/** Throws INVALID, UNKNOWN_SITE, NOT_HELD. */
export const release = async (parts: HoldParts, reference: string): Promise<ReleasedTag> => {
  const { sites, facts, log } = parts;
  const named = parseTag(reference, sites);
  const { fact } = await pastOf(facts, named, 1);
  const released = await facts.releaseTag(named.key);
  if (released !== undefined) log.info({ ...named.key, digest: fact?.digest, kind: released.kind }, "a tag is held no more");
  const { hold: entry } = holdOf({ hold: released });
  return {
    reference: named.name,
    ...(fact?.digest !== undefined && { digest: fact.digest }),
    ...(entry !== undefined && { released: entry }),
    ...nextOf(parts, named),
  };
};

const nextOf = (parts: HoldParts, { site, repo, tag }: NamedTag): Pick<ReleasedTag, "movedBy" | "next"> => {
  const { pin, mirrored, isOffline } = policyOf(site, parts.mirrored).of(repo, tag);
  if (pin) return { movedBy: "nothing", next: "a rule of its site pins it: it stays what it is" };
  if (mirrored !== undefined)
    return { movedBy: "sync", next: `the next sync of ${mirrored.name} moves it to what upstream says` };
  if (site.kind === "local") return { movedBy: "push", next: "it is what it was until somebody pushes to it" };
  if (isOffline) return { movedBy: "nothing", next: "its site is offline: it stays what it is" };
  return { movedBy: "upstream", next: "upstream is asked when somebody asks for it next, and it is then what upstream says" };
};
