// One tag moves: when all that it will stand for is there. First whoever tests it is heard, then what it stood for gets another name and is
// kept, then it moves from just what it was found as, and nothing is lost where it is something else by then.

import { backupName } from "../mirrors/backup.ts";
import type { Digest } from "../oci/digest.ts";
import { OciError } from "../oci/error.ts";
import { isTag, type Tag } from "../oci/reference.ts";
import type { Context } from "../oci/registry.ts";
import { failureOf } from "../registry/warm.ts";
import type { TagKey } from "../store/facts.ts";
import type { HookEnd } from "./hook.ts";
import type { PlannedTag, SyncedTag } from "./outcome.ts";
import { recordBackup } from "./pushed-backups.ts";
import { type Found, type Run, written } from "./run.ts";
import type { TargetMove, TargetTag } from "./target.ts";
import type { ImageTelling } from "./telling.ts";

/** What has become of it; what is left out is as it was planned. */
export type Outcome = Partial<PlannedTag> & Pick<SyncedTag, "outcome" | "backup" | "failure" | "hookOutput">;

/** As much of a hook's output goes into reports. Characters. */
const MAX_OUTPUT = 4_000;
const MAX_NAMES = 100;
const HISTORY = 100;

/** Throws OciError; where it throws, the tag is what it was. */
export const changeTag = async (
  run: Run,
  work: Found,
  to: TargetMove,
  planned: PlannedTag,
  number: string,
  telling: ImageTelling,
  ctx: Context,
): Promise<Outcome> => {
  const { target } = run;
  const { place, now } = work;
  const { pre, post } = run.entry.hooks;
  const reference = written(place.target);
  if (pre !== undefined) telling.step("hook");
  const tested = await hook(run, pre, { hook: "pre", run: number, tag: planned });
  if (tested !== undefined && !tested.ok) return { outcome: "stopped", ...hookFailure(reference, "pre", tested) };
  telling.step("moving");
  const backup = now === undefined ? undefined : await putAside(run, work, now, number, ctx);
  const said = backup === undefined ? {} : { backup };
  if (!(await target.moveTag(place.target.repo, place.target.tag, now?.digest, to, ctx)))
    return { ...said, ...(await overtaken(run, work, to, ctx)) };
  if (target.isElsewhere === true) await doubt(run, place.target);
  if (post !== undefined) telling.step("hook");
  const told = await hook(run, post, { hook: "post", run: number, tag: planned });
  if (told === undefined) return { outcome: "done", ...said, ...outputOf(tested) };
  return { outcome: "done", ...said, ...(told.ok ? outputOf(told) : hookFailure(reference, "post", told)) };
};

/** Whoever pulls it from there through us asks what it is by now, however lately it was asked. */
const doubt = async ({ parts: { facts } }: Run, key: TagKey): Promise<void> => {
  if ((await facts.tag(key)) !== undefined) await facts.raiseTag(key);
};

type Command = Run["entry"]["hooks"]["pre"];
type About = Parameters<Run["parts"]["hook"]>[1];

const hook = async ({ entry, parts, signal }: Run, command: Command, about: About): Promise<HookEnd | undefined> => {
  if (command === undefined) return undefined;
  const end = await parts.hook(command, about, { signal, timeout: entry.hooks.timeout });
  // what has moved has moved: the end of that is told
  if (about.hook === "pre") signal.throwIfAborted();
  return end;
};

const outputOf = (end: HookEnd | undefined): Pick<SyncedTag, "hookOutput"> =>
  end === undefined || end.output === "" ? {} : { hookOutput: end.output.slice(-MAX_OUTPUT) };

const hookFailure = (reference: string, which: string, end: HookEnd): Pick<SyncedTag, "failure" | "hookOutput"> => ({
  failure: { reference, code: "HOOK_FAILED", message: `its ${which} hook: ${end.why ?? "it failed"}` },
  ...outputOf(end),
});

/** It is not what it was found as. */
const overtaken = async ({ target }: Run, { place }: Found, to: TargetMove, ctx: Context): Promise<Outcome> => {
  const there = await target.tag(place.target.repo, place.target.tag, ctx);
  if (there?.digest === to.digest) return { outcome: "done" };
  if (there?.heldBy !== undefined)
    return { outcome: "skipped", change: "held", now: there.digest, why: "it was held while its image was on its way" };
  const moved = new OciError("UNAVAILABLE", "somebody else moved it while its image was on its way: the next sync looks again");
  return { outcome: "failed", failure: failureOf(written(place.target), moved) };
};

/** What it stands for stays, and answers as another tag where that is wished. The name, if it has got one. */
const putAside = async (run: Run, work: Found, now: TargetTag, number: string, ctx: Context): Promise<Tag | undefined> => {
  const { entry, target, parts } = run;
  const key = work.place.target;
  const { digest } = now;
  if (target.isElsewhere !== true && entry.keep.count > 0) await parts.facts.mirroring.keep(key, digest, [digest], parts.clock());
  return entry.backup === undefined ? undefined : backUp(run, work, entry.backup, now, number, ctx);
};

const createdOf = async ({ parts }: Run, { place }: Found, digest: Digest): Promise<number | undefined> => {
  const history = await parts.facts.tagHistory(place.target, HISTORY);
  return history.find((move) => move.digest === digest && move.created !== undefined)?.created;
};

/** Under neither a tag that is there already, unless it is the same backup, nor one that upstream has. The name. */
const backUp = async (
  run: Run,
  work: Found,
  template: string,
  { digest }: TargetTag,
  number: string,
  ctx: Context,
): Promise<Tag> => {
  const { entry, target, parts } = run;
  const { repo, tag } = work.place.target;
  const created = target.isElsewhere === true ? undefined : await createdOf(run, work, digest);
  const to = { digest, ...(created !== undefined && { created }) };
  const values = { tag, now: parts.clock(), digest, run: number };
  for (let nth = 1; nth <= MAX_NAMES; nth += 1) {
    const name = backupName(template, values, nth);
    if (!isTag(name)) throw new OciError("NAME_INVALID", `no tag for what is replaced: ${name.slice(0, 200)}`);
    if (name === tag || (entry.target === undefined && work.place.names?.has(name) === true)) continue;
    let there = await target.tag(repo, name, ctx);
    if (there === undefined && target.isElsewhere === true)
      await recordBackup(parts, { ...work.place.target, tag: name }, digest);
    // another tag's may be taking the same name
    if (there === undefined && (await target.backup(repo, name, to, ctx))) return name;
    there ??= await target.tag(repo, name, ctx);
    if (there?.digest === digest && (there.heldBy === "backup" || target.isElsewhere === true)) return name;
  }
  throw new OciError("UNAVAILABLE", `${MAX_NAMES} names for what is replaced are all taken`);
};
