// `layover tags …`: where tags are and have been, and where they are to stay.
import type { Command } from "commander";
import { type ReachOptions, reachable } from "./reach.ts";

export interface HoldOptions extends ReachOptions {
  readonly force?: boolean;
}

const TO = "a line of its history, a digest or the first 6 or more of its hex digits, or another tag (:tag)";

export const tagsCommand = (program: Command): void => {
  const tags = program.command("tags").description("see where tags have been; roll them back, keep them, let them go");
  reachable(tags.command("ls").argument("<repository>", "ghcr.io/acme/app"))
    .description("list a repository's tags: what each stands for, since when and why")
    .option("--after <tag>", "begin behind this one")
    .option("--limit <n>", "print so many at most")
    .action(async (repository: string, options: ReachOptions & { after?: string; limit?: string }) =>
      (await import("./tags-ls.ts")).tagsLs(repository, options),
    );
  reachable(tags.command("history").argument("<reference>", "ghcr.io/acme/app:1, ubuntu"))
    .description("tell what a tag has been, newest first, and what of that is here to go back to")
    .action(async (reference: string, options: ReachOptions) =>
      (await import("./tags-history.ts")).tagsHistory(reference, options),
    );
  reachable(tags.command("diff").argument("<reference>").argument("[from]", `default: the one before; ${TO}`))
    .argument("[to]", "default: now")
    .description("tell what differs between two states of a tag, from what is held")
    .action(async (reference: string, from: string | undefined, to: string | undefined, options: ReachOptions) =>
      (await import("./tags-diff.ts")).tagsDiff(reference, from, to, options),
    );
  reachable(tags.command("pin").argument("<reference>").argument("[to]", `default: what it stands for now; ${TO}`))
    .description("keep a tag where it is, whatever upstream, a push or a sync says, until it is unpinned")
    .option("--force", "also where parts of it are not here")
    .action(async (reference: string, to: string | undefined, options: HoldOptions) =>
      (await import("./tags-hold.ts")).tagsHold("pin", reference, to, options),
    );
  reachable(tags.command("unpin").argument("<reference>"))
    .description("let a tag go that was pinned or rolled back, and tell what moves it next")
    .action(async (reference: string, options: ReachOptions) => (await import("./tags-hold.ts")).tagsUnpin(reference, options));
  reachable(tags.command("rollback").argument("<reference>").argument("[to]", `default: the one before; ${TO}`))
    .description("move a tag back, at once and without upstream, and keep it there until it is unpinned")
    .option("--force", "also where parts of it are not here")
    .action(async (reference: string, to: string | undefined, options: HoldOptions) =>
      (await import("./tags-hold.ts")).tagsHold("rollback", reference, to, options),
    );
};
