// The mark of a bypass in the data folder: it outlives every process, and may be put there when none runs, or none that would listen.
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../lib/clock.ts";
import { putWhole, removeWhole } from "../lib/whole-file.ts";

/** Milliseconds since the epoch. */
export interface BypassMark {
  readonly since: number;
  /** `undefined`: until it is ended. */
  readonly until: number | undefined;
}

export const bypassMarkIn = (data: string): string => join(data, "bypass.json");

/** Of a mark that we write, a hundred. Octets. */
const MOST = 4_096;

/** As much as a mark may be; without waiting, should there be a pipe in its place that nobody writes to. */
const textOf = async (path: string): Promise<string> => {
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MOST), 0, MOST);
    return buffer.toString("utf8", 0, bytesRead);
  } finally {
    await file.close();
  }
};

/** `undefined`: there is none. Whatever else lies there was meant to be one. Throws what reading throws. */
export const readMark = async (data: string): Promise<BypassMark | undefined> => {
  let text: string;
  try {
    text = await textOf(bypassMarkIn(data));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const { since, until } = timesIn(text);
  return { since: since ?? 0, until: since === undefined || until === undefined || until < since ? undefined : until };
};

const timesIn = (text: string): { readonly since?: number | undefined; readonly until?: number | undefined } => {
  try {
    const { since, until } = JSON.parse(text) as { since?: unknown; until?: unknown };
    return { since: timeOf(since), until: timeOf(until) };
  } catch {
    return {};
  }
};

const timeOf = (value: unknown): number | undefined => {
  const time = typeof value === "string" ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? undefined : time;
};

/** From now on; `forMs` undefined: until it is ended. */
export const putMark = async (data: string, forMs: number | undefined, clock: Clock): Promise<BypassMark> => {
  const since = clock();
  const until = forMs === undefined ? undefined : since + forMs;
  const written = { since: isoOf(since), ...(until !== undefined && { until: isoOf(until) }) };
  await putWhole(bypassMarkIn(data), `${JSON.stringify(written)}\n`);
  return { since, until };
};

/** Whether there was one. */
export const takeMark = (data: string): Promise<boolean> => removeWhole(bypassMarkIn(data));

/**
 * How long it still goes on by the clock on the wall, in ms; never longer than it was meant to in all, however far that clock has been
 * turned back. `undefined`: until it is ended; 0: it is over.
 */
export const leftOf = ({ since, until }: BypassMark, clock: Clock): number | undefined =>
  until === undefined ? undefined : Math.min(Math.max(until - clock(), 0), until - since);

export const isoOf = (time: number): string => new Date(time).toISOString();
