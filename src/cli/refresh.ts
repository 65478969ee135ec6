// `layover refresh`: asks upstream now.
import type { Command } from "commander";
import { ask } from "./reach.ts";
import { type FetchOptions, fetching } from "./warm.ts";

export const refreshCommand = (program: Command): void => {
  fetching(program, "refresh")
    .description("ask upstream now whether tags have moved")
    .action((references: string[], options: FetchOptions) =>
      ask(options, async (...asked) => (await import("./warm-run.ts")).refresh(references, options, ...asked), { alone: false }),
    );
};
