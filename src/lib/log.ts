// The one place that makes a logger: JSON lines, or a line that a person can read. Fields are allow-listed by their callers.
import { type Logger, pino } from "pino";

export type { Logger };

export interface LogOptions {
  readonly level: "debug" | "info" | "warn" | "error" | "silent";
  /** `auto`: readable on a terminal, JSON otherwise. */
  readonly format: "auto" | "json" | "text";
}

export const silent: Logger = pino({ level: "silent" });
