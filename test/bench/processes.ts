// What a server costs: CPU seconds and memory of its whole process tree, from /proc.
import { readdir, readFile } from "node:fs/promises";

/** Clock ticks in a second, as /proc/<pid>/stat counts: the same on every Linux. */
const TICKS = 100;

/**
 * MB (10^6 bytes). RSS counts what processes share once for each of them; PSS gives others that run the same program their part, and so
 * depends on who else does; `once` counts each page of the tree once.
 */
export type Memory = { rss: number; pss: number; once: number };
type Pages = { rss: number; pss: number; own: number; shared: number };

const read = (path: string): Promise<string> => readFile(path, "utf8").catch(() => "");

const childrenOf = async (pid: number): Promise<number[]> => {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(threads.map((thread) => read(`/proc/${pid}/task/${thread}/children`)));
  return lists.flatMap((list) => list.split(" ").filter(Boolean).map(Number));
};

/** A process and all that come from it. */
export const tree = async (pid: number): Promise<number[]> => {
  const children = await childrenOf(pid);
  return [pid, ...(await Promise.all(children.map(tree))).flat()];
};

/** Seconds a process has used, and those of children that it has seen end. The command's name may hold blanks and brackets. */
export const parseStat = (stat: string): { own: number; ended: number } => {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const seconds = (from: number) => (Number(fields[from]) + Number(fields[from + 1])) / TICKS;
  return stat === "" ? { own: 0, ended: 0 } : { own: seconds(11), ended: seconds(13) };
};

/** User and system seconds of a process tree so far. */
export const cpuOf = async (root: number): Promise<number> => {
  const stats = await Promise.all((await tree(root)).map(async (pid) => parseStat(await read(`/proc/${pid}/stat`))));
  return stats.reduce((sum, { own, ended }) => sum + own + ended, 0);
};

/** Seconds used by the clients that this process has started and that have ended. */
export const clientCpu = async (): Promise<number> => parseStat(await read("/proc/self/stat")).ended;

/** Of the text of smaps_rollup. */
export const parsePages = (text: string): Pages => {
  const megabytes = (key: string) => (Number(new RegExp(`^${key}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024) / 1e6;
  const both = (key: string) => megabytes(`${key}_Clean`) + megabytes(`${key}_Dirty`);
  return { rss: megabytes("Rss"), pss: megabytes("Pss"), own: both("Private"), shared: both("Shared") };
};

/** What processes of one program share is the same for all of them. */
export const addUp = (all: readonly Pages[]): Memory => {
  const sum = (key: "rss" | "pss" | "own") => all.reduce((total, pages) => total + pages[key], 0);
  return { rss: sum("rss"), pss: sum("pss"), once: sum("own") + Math.max(0, ...all.map(({ shared }) => shared)) };
};

export const memoryOf = async (root: number): Promise<Memory> =>
  addUp(await Promise.all((await tree(root)).map(async (pid) => parsePages(await read(`/proc/${pid}/smaps_rollup`)))));
