// One tag: what upstream says of it against what is there.
import type { Digest } from "../oci/digest.ts";
import { isOciError, OciError } from "../oci/error.ts";
import { isSchema1 } from "../oci/media.ts";
import type { Context } from "../oci/registry.ts";
import { readCreated } from "./copy.ts";
import { judge, type Verdict } from "./judge.ts";
import type { PlannedTag } from "./outcome.ts";
import { type Found, nameOf, type Place, type Run } from "./run.ts";
import type { TargetTag } from "./target.ts";
import { isWhole } from "./whole.ts";

/** Throws OciError; MANIFEST_UNKNOWN for what is neither upstream nor there. */
export const findTag = async (run: Run, place: Place, now: TargetTag | undefined, ctx: Context): Promise<Found> => {
  const digest = await asked(run, place, now, ctx);
  if (digest === undefined) return found(run, place, now, undefined, { change: "gone" });
  const { entry, parts } = run;
  const { delay, source } = entry;
  const { repo, tag } = place;
  const at = parts.clock();
  const isNew = now?.digest !== digest;
  const seenSince =
    delay > 0 && isNew ? await parts.facts.mirroring.sighted({ site: source.site, repo, tag }, digest, at) : undefined;
  const created = delay > 0 && now === undefined ? await readCreated(run, place, digest, ctx) : undefined;
  const verdict = judge({
    ...{ now, upstream: digest, delay, seenSince, created, at },
    isPinned: run.target.isElsewhere !== true && parts.isPinned(place.target.site, place.target.repo, place.target.tag),
    isWhole: !isNew && (await isWhole(run, place, digest, ctx)),
  });
  return found(run, place, now, digest, verdict, { created, seenSince });
};

/** `undefined`: it is gone. */
const asked = async (run: Run, place: Place, now: TargetTag | undefined, ctx: Context): Promise<Digest | undefined> => {
  const { repo, tag } = place;
  try {
    const { descriptor } = await run.source.upstream.statManifest({ repo, reference: tag }, ctx);
    if (isSchema1(descriptor.mediaType))
      throw new OciError(
        "UNSUPPORTED",
        "it is of Docker's schema 1, which cannot be verified: it has to be built or pushed anew",
      );
    return descriptor.digest;
  } catch (error) {
    if (now !== undefined && isOciError(error) && error.isUnknown) return undefined;
    throw error;
  }
};

interface Dates {
  readonly created?: number | undefined;
  readonly seenSince?: number | undefined;
}

export const found = (
  { entry }: Run,
  place: Place,
  now: TargetTag | undefined,
  digest: Digest | undefined,
  { change, dueAt, why }: Verdict,
  { created, seenSince }: Dates = {},
): Found => {
  const source = { site: entry.source.site, repo: place.repo, tag: place.tag };
  const { target } = place;
  const isElsewhere = target.site !== source.site || target.repo !== source.repo || target.tag !== source.tag;
  const planned: PlannedTag = {
    entry: entry.name,
    source: nameOf(source),
    ...(isElsewhere && { target: nameOf(target) }),
    change,
    ...(now !== undefined && { now: now.digest }),
    ...(digest !== undefined && { upstream: digest }),
    ...(created !== undefined && { created: isoOf(created) }),
    ...(seenSince !== undefined && { seenSince: isoOf(seenSince) }),
    ...(dueAt !== undefined && { dueAt: isoOf(dueAt) }),
    ...(why !== undefined && { why }),
  };
  return { planned, place, now, digest };
};

export const isoOf = (time: number): string => new Date(time).toISOString();
