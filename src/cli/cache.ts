// `layover cache …`: what is held, and what is to become of it.
import type { Command } from "commander";
import { type ReachOptions, reachable } from "./reach.ts";

export const cacheCommand = (program: Command): void => {
  const cache = program.command("cache").description("look through what is held, check it, make room");
  reachable(cache.command("ls").argument("[what]", "a site (ghcr.io) or a repository (ghcr.io/acme/app)"))
    .description("list the sites, a site's repositories, or a repository's tags")
    .option("--after <name>", "begin behind this entry")
    .option("--limit <n>", "print so many entries at most")
    .action(async (what: string | undefined, options: ReachOptions & { after?: string; limit?: string }) =>
      (await import("./cache-ls.ts")).cacheLs(what, options),
    );
  reachable(cache.command("show").argument("<reference>", "ghcr.io/acme/app:1, ubuntu, …@sha256:…"))
    .description("say what is held of an image, and why")
    .action(async (reference: string, options: ReachOptions) => (await import("./cache-show.ts")).cacheShow(reference, options));
  reachable(cache.command("rm").argument("<reference>", "a tag, a digest, or a repository with all that is its own"))
    .description("forget what is held of an image or a repository")
    .action(async (reference: string, options: ReachOptions) => (await import("./cache-rm.ts")).cacheRm(reference, options));
  reachable(cache.command("verify"))
    .description("read every blob back; what is corrupt is put aside and comes anew with the next request")
    .action(async (options: ReachOptions) => (await import("./cache-verify.ts")).cacheVerify(options));
  reachable(cache.command("gc").option("--dry-run", "only say what would go"))
    .description("take away what nothing needs any more")
    .action(async (options: ReachOptions & { dryRun?: boolean }) => (await import("./cache-gc.ts")).cacheGc(options));
};
