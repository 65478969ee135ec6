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
};
