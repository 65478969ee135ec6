// Why a flight came to nothing, and what becomes of its bytes: kept for the next one unless they, or the store, are what is wrong.
import { type ErrorCode, isOciError, OciError } from "../oci/error.ts";
import { StoreFull } from "../store/blobs.ts";
import { isLie } from "./opening.ts";

/** Counted by these, and logged. */
export const REASONS = [
  "digest",
  "length",
  "answer",
  "unreachable",
  "throttled",
  "refused",
  "abandoned",
  "shutdown",
  "full",
  "store",
] as const;
export type Reason = (typeof REASONS)[number];

/** What the flight itself finds. */
export class FlightEnd extends OciError {
  readonly reason: Reason;

  constructor(reason: Reason, code: ErrorCode, message: string) {
    super(code, message);
    this.reason = reason;
  }
}

export const reasonOf = (error: Error): Reason => {
  if (error instanceof FlightEnd) return error.reason;
  if (error instanceof StoreFull) return "full";
  if (!isOciError(error)) return "store";
  if (error.code === "TOOMANYREQUESTS") return "throttled";
  if (isLie(error)) return "answer";
  return error.isOutage ? "unreachable" : "refused";
};

const KEPT: ReadonlySet<Reason> = new Set<Reason>(["unreachable", "throttled", "refused", "abandoned", "shutdown"]);

/** What has come is good as far as anybody knows, and the rest may still come. */
export const isResumable = (reason: Reason): boolean => KEPT.has(reason);
