// `layover warm`: fetches ahead of the clients.
import type { Command } from "commander";
import { ask, type ReachOptions, reachable } from "./reach.ts";

export interface FetchOptions extends ReachOptions {
  readonly credentials?: string;
}

export interface WarmOptions extends FetchOptions {
  readonly platform?: readonly string[];
  readonly allPlatforms?: boolean;
}

/** Both ask upstream, through the server. */
export const fetching = (program: Command, name: string): Command =>
  reachable(program.command(name).argument("<references...>", "ghcr.io/acme/app:1, ubuntu, …@sha256:…")).option(
    "--credentials <file>",
    "with username:password, for the registry (default: as anybody, or as Layover itself where access is shared)",
  );

/** Not as commander has it by itself, where the references behind it would be platforms too. */
export const collected = (text: string, before: readonly string[] = []): readonly string[] => [...before, ...text.split(",")];

export const warmCommand = (program: Command): void => {
  fetching(program, "warm")
    .description("fetch images ahead, as a client would")
    .option("--platform <os/arch>", "of an image with several; also more than once (default: the server's own)", collected)
    .option("--all-platforms", "every one of them")
    .action((references: string[], options: WarmOptions) =>
      ask(options, async (...asked) => (await import("./warm-run.ts")).warm(references, options, ...asked), { alone: false }),
    );
};
