// What `layover bypass` does: through the running server, or by the mark in the data folder where none runs or answers.
import { existsSync } from "node:fs";
import type { BypassAnswer } from "../admin/answers.ts";
import type { Operations } from "../admin/operations.ts";
import type { Config } from "../config/config.ts";
import { SetupError } from "../lib/setup-error.ts";
import { parseDuration } from "../lib/units.ts";
import { print } from "./print.ts";
import { ask, Failure, type ReachOptions } from "./reach.ts";

type BypassOperations = Pick<Operations, "bypass" | "bypassOn" | "bypassOff">;

/** A server that is ill is what a bypass is for: it is not waited for long. Milliseconds. */
const ANSWERS_WITHIN = 5_000;
/** Less would be over before clients have heard of it. Milliseconds. */
const AT_LEAST = 1_000;

export const bypassOn = (options: ReachOptions & { readonly for?: string }): Promise<void> =>
  switching(options, (operations, call) => operations.bypassOn({ forMs: timeOf(options.for) }, call));

export const bypassOff = (options: ReachOptions): Promise<void> =>
  switching(options, (operations, call) => operations.bypassOff({}, call));

export const bypassStatus = (options: ReachOptions): Promise<void> =>
  switching(options, (operations, call) => operations.bypass({}, call));

type Call = Parameters<Operations["bypass"]>[1];

const switching = (
  options: ReachOptions,
  work: (operations: BypassOperations, call: Call) => Promise<BypassAnswer>,
): Promise<void> =>
  ask<keyof BypassOperations>(
    options,
    async (operations, { signal }) => {
      print(options, await work(operations, { signal, progress: () => undefined }), printBypass);
      return undefined;
    },
    { alone: onFolder, within: ANSWERS_WITHIN },
  );

const onFolder = async (config: Config) => {
  if (!existsSync(config.data)) throw new SetupError(`there is no ${config.data}: no Layover has run with this configuration`);
  const { bypassAlone } = await import("../app-alone.ts");
  return {
    operations: bypassAlone(config),
    close: async () =>
      void process.stderr.write("no Layover answers here; one that runs on this data folder, or starts, follows the mark\n"),
  };
};

const timeOf = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  let ms: number;
  try {
    ms = parseDuration(text);
  } catch (error) {
    throw new Failure(2, `--for: ${(error as Error).message}`);
  }
  if (ms < AT_LEAST) throw new Failure(2, "--for: less than a second is no time");
  return ms;
};

const WHY = {
  hosted: "hosted here",
  offline: "offline",
  pinned: "tags are pinned",
  refuse: "onMissing: refuse",
  failOpen: "failOpen: false",
} as const satisfies Record<BypassAnswer["stays"][number]["why"], string>;

export const printBypass = ({ on, until, released, stays }: BypassAnswer): string => {
  const staying = stays.map(({ name, why }) => `${name} (${WHY[why]})`).join(", ");
  if (!on) return `bypass off: hijacked names lead here\n${staying === "" ? "" : `a bypass would not be about ${staying}\n`}`;
  return [
    `bypass on ${until === undefined ? "until `layover bypass off`" : `until ${until}`}; who still comes is served`,
    `within 30 s lead to the registries themselves: ${released.join(", ") || "none"}`,
    ...(staying === "" ? [] : [`still lead here: ${staying}`]),
    "",
  ].join("\n");
};
