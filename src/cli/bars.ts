// How far work on several things at once has come, on stderr: on a terminal a bar a line for each and one for all of it, drawn over again;
// else a plain line every few seconds. Whatever the width, whatever happens to it meanwhile, no more than the screen is written on.
import type { PartProgress, Progress } from "../admin/answers.ts";
import { progressLine } from "../admin/progress-line.ts";
import { about } from "../lib/units.ts";

/** Milliseconds. */
const REDRAW_EVERY = 100;
const LINE_EVERY = 5_000;

interface Out {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
  write(text: string): unknown;
}

/** Runs `work` with a place to tell its progress; leaves a clean terminal, however it ends. */
export const bars = async <T>(
  what: string,
  work: (progress: (progress: Progress) => void) => Promise<T>,
  out: Out = process.stderr,
): Promise<T> => {
  let latest: Progress | undefined;
  const isTerminal = out.isTTY === true;
  const screen = new Screen(out);
  const tell = (): void => {
    if (latest === undefined) return;
    if (isTerminal) screen.draw(barLines(what, latest, out.columns ?? 80, out.rows ?? 24));
    else out.write(`${what}: ${totalOf(latest)}\n`);
  };
  const timer = setInterval(tell, isTerminal ? REDRAW_EVERY : LINE_EVERY);
  try {
    return await work((progress) => {
      const isFirst = latest === undefined;
      latest = progress;
      if (isFirst && isTerminal) tell();
    });
  } finally {
    clearInterval(timer);
    screen.draw([]);
  }
};

/** The last lines of a terminal, which are ours. */
class Screen {
  readonly #out: Out;
  #drawn: readonly string[] = [];

  constructor(out: Out) {
    this.#out = out;
  }

  draw(lines: readonly string[]): void {
    if (lines.length === 0 && this.#drawn.length === 0) return;
    // a terminal that has become narrower has broken them anew
    const columns = this.#out.columns ?? 80;
    const height = this.#drawn.reduce((rows, line) => rows + Math.max(1, Math.ceil(line.length / columns)), 0);
    const up = height === 0 ? "" : `\u001b[${Math.min(height, (this.#out.rows ?? 24) - 1)}A`;
    this.#out.write(`${up}\r\u001b[J${lines.map((line) => `${line}\n`).join("")}`);
    this.#drawn = lines;
  }
}

/** No line is as wide as the terminal: it would break. */
export const barLines = (what: string, progress: Progress, columns: number, rows: number): string[] => {
  const width = Math.max(1, columns - 1);
  const most = Math.max(0, rows - 3);
  const parts = (progress.parts ?? []).slice(0, most);
  const names = Math.min(Math.max(0, ...parts.map(({ name }) => name.length)), Math.floor(width / 2));
  return [...parts.map((part) => barLine(part, names, width)), cut(`${what}: ${totalOf(progress)}`, width)];
};

const BAR = 20;

const barLine = ({ name, step, done, total }: PartProgress, names: number, width: number): string => {
  const share = total === undefined || total === 0 ? undefined : Math.min(1, done / total);
  const filled = Math.round(BAR * (share ?? 0));
  const bar = `[${"=".repeat(filled)}${" ".repeat(BAR - filled)}]`;
  const percent = share === undefined ? "    " : `${String(Math.floor(100 * share)).padStart(3)}%`;
  const amount = share === undefined ? about(done) : `${about(done)} of ${about(total!)}`;
  const end = step === undefined || step === "copying" ? amount : step;
  const title = ending(name, names).padEnd(names);
  // what says least goes first where there is little room
  const whole = `${title}  ${bar} ${percent}  ${end}`;
  return whole.length <= width ? whole : cut(`${title}  ${percent}  ${end}`, width);
};

const totalOf = (progress: Progress): string => {
  const { fetched, at, parts: _, ...rest } = progress;
  const came = fetched === undefined || fetched === 0 ? "" : `, ${about(fetched)} fetched`;
  return `${progressLine(rest)}${came}${at === undefined ? "" : `  ${at}`}`;
};

const cut = (text: string, width: number): string => text.slice(0, width);

/** Of an image's name its end says most. */
const ending = (text: string, width: number): string => (text.length <= width ? text : `…${text.slice(text.length - width + 1)}`);
