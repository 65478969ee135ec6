// The commands of a mirror's entry, for one tag each: before it moves, when a failure keeps it where it is, and after it has moved. What upstream
// has named reaches them as values of their environment and on their standard input, never as a part of what a shell reads.
import type { Logger } from "../lib/log.ts";
import { plainLine } from "../lib/plain-text.ts";
import { Seats } from "../lib/seats.ts";
import type { HookCommand } from "../mirrors.ts";
import { runGroup } from "./group.ts";
import type { PlannedTag } from "./outcome.ts";

export interface HookAbout {
  readonly hook: "pre" | "post";
  readonly run: string;
  /** That which moves to its `upstream`. */
  readonly tag: PlannedTag;
}

export interface HookOptions {
  readonly signal: AbortSignal;
  /** From when it is started. Milliseconds. */
  readonly timeout: number;
  readonly log: Logger;
}

export interface HookEnd {
  readonly ok: boolean;
  /** The last 16 KiB of what it said, without control characters. */
  readonly output: string;
  /** Where it is not `ok`. For people. */
  readonly why?: string;
}

/** Of all entries together: each may scan an image. */
const AT_ONCE = 4;
/** What the log has of a failed one's output. */
const TOLD = 500;
/** Of our own environment: nothing that may be a secret. */
const PASSED_ON = ["PATH", "HOME", "LANG", "TZ"];

const seats = new Seats(AT_ONCE);

/** Never rejects: what cannot even be started has failed. */
export const runHook = async (
  command: HookCommand,
  about: HookAbout,
  { signal, timeout, log }: HookOptions,
): Promise<HookEnd> => {
  const seat = await seats.take(signal).catch(() => undefined);
  if (seat === undefined) return { ok: false, output: "", why: "it was not started: nobody waits for it any more" };
  try {
    const began = performance.now();
    const facts = factsOf(about);
    const { output, why } = await runGroup(
      { ...programOf(command), env: environmentOf(facts), input: `${JSON.stringify(facts)}\n` },
      timeout,
      signal,
    );
    tell(log, about, { ms: Math.round(performance.now() - began), output, why });
    return { ok: why === undefined, output, ...(why !== undefined && { why }) };
  } finally {
    seat();
  }
};

const programOf = (command: HookCommand): { program: string; args: readonly string[] } => {
  if (typeof command === "string") return { program: "sh", args: ["-c", command] };
  const [program = "", ...args] = command;
  return { program, args };
};

type Facts = ReturnType<typeof factsOf>;

/** The image is there by its digest, also before any tag stands for it. */
const factsOf = ({ hook, run, tag: { entry, source, target = source, now, upstream, created } }: HookAbout) => ({
  ...{ hook, entry, run, source, target },
  ...(now !== undefined && { oldDigest: now }),
  newDigest: upstream ?? "",
  image: `${target.site}/${target.repository}@${upstream ?? ""}`,
  ...(created !== undefined && { created }),
});

const environmentOf = ({ hook, entry, run, source, target, oldDigest, newDigest, image }: Facts): Record<string, string> => {
  const own = PASSED_ON.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(own),
    LAYOVER_HOOK: hook,
    LAYOVER_ENTRY: entry,
    LAYOVER_RUN: run,
    LAYOVER_SITE: source.site,
    LAYOVER_REPOSITORY: source.repository,
    LAYOVER_TAG: source.tag,
    LAYOVER_TARGET_SITE: target.site,
    LAYOVER_TARGET_REPOSITORY: target.repository,
    LAYOVER_TARGET_TAG: target.tag,
    LAYOVER_OLD_DIGEST: oldDigest ?? "",
    LAYOVER_NEW_DIGEST: newDigest,
    LAYOVER_IMAGE: image,
  };
};

const tell = (
  log: Logger,
  { hook, run, tag }: HookAbout,
  { ms, output, why }: { readonly ms: number; readonly output: string; readonly why: string | undefined },
): void => {
  const { site, repository, tag: name } = tag.target ?? tag.source;
  const about = { hook, entry: tag.entry, run, site, repo: repository, tag: name, ms };
  if (why === undefined) log.info(about, "a hook of the mirror is done");
  else log.warn({ ...about, why, output: plainLine(output.slice(-TOLD), TOLD) }, "a hook of the mirror has failed");
};
