// How far long work has come, on stderr: one line that is written over on a terminal, else a plain line every few seconds.
import type { Progress } from "../admin/answers.ts";
import { progressLine } from "../admin/progress-line.ts";

/** Milliseconds. */
const REDRAW_EVERY = 100;
const LINE_EVERY = 5_000;

interface Out {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Runs `work` with a place to tell its progress; leaves a terminal's line clean, however it ends. */
export const showing = async <T>(
  what: string,
  work: (progress: (progress: Progress) => void) => Promise<T>,
  out: Out = process.stderr,
  now: () => number = () => performance.now(),
): Promise<T> => {
  const isTerminal = out.isTTY === true;
  const every = isTerminal ? REDRAW_EVERY : LINE_EVERY;
  // on a terminal something is to be seen at once; a log is spared what is done in no time
  let toldAt = isTerminal ? Number.NEGATIVE_INFINITY : now();
  let isDirty = false;
  const tell = (progress: Progress) => {
    if (now() - toldAt < every) return;
    toldAt = now();
    isDirty = isTerminal;
    const line = `${what}: ${progressLine(progress)}`;
    out.write(isTerminal ? `\r\u001b[K${line.slice(0, (out.columns ?? 80) - 1)}` : `${line}\n`);
  };
  try {
    return await work(tell);
  } finally {
    if (isDirty) out.write("\r\u001b[K");
  }
};
