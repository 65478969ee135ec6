// `layover explain`: which rule applies to an image, and what would happen now.
import type { Command } from "commander";
import { ask, type ReachOptions, reachable } from "./reach.ts";

export const explainCommand = (program: Command): void => {
  reachable(program.command("explain").argument("<reference>", "ghcr.io/acme/app:1, ubuntu, …@sha256:…"))
    .description("say which rule applies to an image, what is held of it, and what would happen now")
    .action((reference: string, options: ReachOptions) =>
      ask(options, async (operations, { signal }) => {
        const { print } = await import("./print.ts");
        const { printExplained } = await import("./explain-print.ts");
        const explained = await operations.explain({ reference }, { signal, progress: () => undefined });
        print(options, explained, (answer) => printExplained(answer, Date.now()));
        return undefined;
      }),
    );
};
