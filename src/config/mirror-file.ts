// The list of images in a file of its own: read with the configuration, and again whenever it changes.
import { relative, resolve } from "node:path";
import { readTextFile, UnreadableFile } from "../lib/text-file.ts";
import { putWhole } from "../lib/whole-file.ts";
import type { MirrorConfig } from "../mirrors.ts";
import type { Sites } from "../sites.ts";
import { interpolate } from "./environment.ts";
import { entriesOf } from "./mirror.ts";
import { type MirrorSettings, mirror } from "./mirror-schema.ts";
import { withoutNulls } from "./nulls.ts";
import { ConfigError, type Problem, problemsOf } from "./problems.ts";
import { parseTree } from "./source.ts";

const MAX_BYTES = 4 * 2 ** 20;

export interface MirrorFileLookup {
  readonly sites: Sites;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Where a copy of what is right goes, for a start with what is not. */
  readonly keepAs?: string;
}

/** `undefined`: there is none that is right. */
export const readLastList = (file: string, lookup: MirrorFileLookup): Promise<MirrorConfig | undefined> =>
  readMirrorFile(file, lookup).catch((error: unknown) => {
    if (!(error instanceof ConfigError)) throw error;
    return undefined;
  });

/** Throws ConfigError, in whose lines the file is called as it is reached from `cwd`. */
export const readMirrorFile = async (path: string, { sites, env, cwd, keepAs }: MirrorFileLookup): Promise<MirrorConfig> => {
  const file = resolve(cwd, path);
  const name = nameFrom(cwd, file);
  const text = await textOf(file, name);
  // somebody is about to write it, or the disk was full: nothing is let go for that
  if (text.trim() === "") throw new ConfigError([`${name}: is empty: a list without entries is written []`]);
  const { tree, where, offset } = parseTree(name, text);
  const fail = (problems: readonly Problem[]) => {
    const inOrder = problems.toSorted((a, b) => offset(a.path) - offset(b.path));
    const lines = inOrder.map(
      ({ path: at, text }) => `${[where(at), at.join(".")].filter((part) => part !== "").join(" ")}: ${text}`,
    );
    if (problems.length > 0) throw new ConfigError([...new Set(lines)]);
  };
  const filled = interpolate(withoutNulls(listOf(tree)), env);
  const outcome = mirror.safeParse(filled.value);
  fail([...filled.problems, ...problemsOf(outcome.error?.issues ?? [], filled.value)]);
  const problems: Problem[] = [];
  const entries = entriesOf(outcome.data as MirrorSettings, sites, [], (problem) => void problems.push(problem));
  fail(problems);
  if (keepAs !== undefined) await keep(keepAs, text);
  return { file, entries };
};

/** A file in which everything is commented out is an empty list. */
const listOf = (tree: unknown): unknown =>
  typeof tree === "object" && tree !== null && Object.keys(tree).length === 0 ? [] : tree;

/** What a full disk or a data folder that is still to be made keeps it from is no fault of the list. Its hooks may have secrets. */
const keep = async (file: string, text: string): Promise<void> => {
  const before = await readTextFile(file, MAX_BYTES).catch(() => undefined);
  if (before !== text) await putWhole(file, text, 0o600).catch(() => undefined);
};

const nameFrom = (cwd: string, file: string): string => {
  const name = relative(cwd, file);
  return name.startsWith("..") ? file : name;
};

const textOf = async (file: string, name: string): Promise<string> => {
  try {
    return await readTextFile(file, MAX_BYTES);
  } catch (error) {
    if (!(error instanceof UnreadableFile)) throw error;
    throw new ConfigError([`${name}: ${error.message}`]);
  }
};
