// Cron expressions, parsed: loaded with the first one that there is, as most installations have none.
import { createRequire } from "node:module";
import type { Cron, CronOptions } from "croner";

const load = createRequire(import.meta.url);

/** Runs nothing by itself. Throws an Error that says what is wrong with the expression. */
export const cronOf = (expression: string, options: CronOptions): Cron => {
  const croner = load("croner") as typeof import("croner");
  return new croner.Cron(expression, { ...options, paused: true });
};
