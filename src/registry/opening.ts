// How upstream is opened, and opened again: by somebody's own way, from a byte on.
import type { Readable } from "node:stream";
import { isOciError, OciError } from "../oci/error.ts";

/** What an opened upstream gives: bytes from `start` (not always the offset that was asked for) of `total`. */
export interface Opened {
  readonly body: Readable;
  readonly start: number;
  readonly total: number | undefined;
}

/** From `offset` to `end` (inclusive), or as far as there is. */
export type Open = (offset: number, signal: AbortSignal, end?: number) => Promise<Opened>;

/** Upstream delivers what cannot be right: asking again, or with another credential, would bring the same. */
export const isLie = (error: OciError): boolean => error.code === "UPSTREAM_INVALID" && error.upstream === undefined;

/** Upstream could go on where it stopped: what it lacks is a line, or leave. */
export const isTorn = (error: unknown): error is OciError => isOciError(error) && error.isOutage && !isLie(error);

/** It is one client that has had enough for now, by upstream's count or by ours: others may have what it has not, and what it is told is its own. */
export const isOnesOwn = ({ code }: OciError): boolean => code === "TOOMANYREQUESTS" || code === "UNAVAILABLE";

/** A body that breaks off is an upstream that went away, whatever the socket calls it. */
export const asTorn = (error: unknown): OciError =>
  isOciError(error) ? error : new OciError("UPSTREAM_UNREACHABLE", "upstream broke off", { cause: error });
