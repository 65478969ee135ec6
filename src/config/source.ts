// Where settings come from: the one file, found and parsed, which can say at which line and column each key stands.
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, type Node, parseDocument } from "yaml";
import { ConfigError, type KeyPath } from "./problems.ts";

const MAX_BYTES = 4 * 2 ** 20;

export interface Source extends Tree {
  /** As the user named it; undefined: there is no file. */
  readonly file: string | undefined;
  /** What relative paths are relative to. */
  readonly folder: string;
  readonly tree: Record<string, unknown>;
}

/** Of one file, in plain values. */
export interface Tree {
  readonly tree: unknown;
  readonly warnings: readonly string[];
  /** `layover.yaml:12:5`, of the key or of the nearest one above it that is there. */
  readonly where: (path: KeyPath) => string;
  /** How far into the file that is, in characters. */
  readonly offset: (path: KeyPath) => number;
}

export interface Lookup {
  /** From `--config`. */
  readonly file?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** What is wrong with the mirror's list, where that is a file of its own, is a warning: a server goes on with the one from before. */
  readonly mayListBeWrong?: boolean;
  /** For a server: a right list is kept in the data folder, and a start with a wrong one goes by that. */
  readonly keepsList?: boolean;
}

/** Throws ConfigError when a file that was named is not there, cannot be read, or is not YAML. */
export const readSource = async ({ file, env, cwd }: Lookup): Promise<Source> => {
  const named = file ?? (env["LAYOVER_CONFIG"] || undefined);
  if (named !== undefined) return parseSource(named, resolve(cwd, named), await read(named, cwd));
  const text = await read("layover.yaml", cwd, "optional");
  if (text !== undefined) return parseSource("layover.yaml", resolve(cwd, "layover.yaml"), text);
  const warnings = await misnamed(cwd);
  return { file: undefined, folder: cwd, tree: {}, warnings, where: () => "", offset: () => 0 };
};

const misnamed = async (cwd: string): Promise<string[]> => {
  const names = ["layover.yml", "layover.json"];
  const texts = await Promise.all(names.map((name) => readFile(resolve(cwd, name)).catch(() => undefined)));
  return names
    .filter((_, i) => texts[i] !== undefined)
    .map((name) => `./${name} is not read: call it layover.yaml, or name it with --config or LAYOVER_CONFIG`);
};

const READ_ERRORS: Record<string, string> = {
  ENOENT: "there is no such file",
  EACCES: "may not be read by this user",
  EISDIR: "is a folder, expected a file",
};

async function read(name: string, cwd: string): Promise<string>;
async function read(name: string, cwd: string, optional: "optional"): Promise<string | undefined>;
async function read(name: string, cwd: string, optional?: "optional"): Promise<string | undefined> {
  try {
    const bytes = await readFile(resolve(cwd, name));
    if (bytes.length > MAX_BYTES) throw new ConfigError([`${name}: expected a configuration of at most 4 MiB`]);
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (optional && code === "ENOENT") return undefined;
    if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") throw new ConfigError([`${name}: expected UTF-8 text`]);
    throw new ConfigError([`${name}: ${READ_ERRORS[code ?? ""] ?? (error as Error).message}`]);
  }
}

const parseSource = (name: string, path: string, text: string): Source => {
  const parsed = parseTree(name, text);
  return { ...parsed, file: path, folder: dirname(path), tree: keysOf(parsed.tree, name) };
};

/** `name`: what the file is called in messages. `texts`: every scalar stays as it is written, and `<<` merges. Throws ConfigError. */
export const parseTree = (name: string, text: string, kind?: "texts"): Tree => {
  const lines = new LineCounter();
  const texts = kind === undefined ? {} : ({ schema: "failsafe", merge: true, uniqueKeys: false } as const);
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, ...texts });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${name}:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    throw new ConfigError(syntaxProblems(document, lines, text).map(({ offset, why }) => `${at(offset)} not valid YAML: ${why}`));
  }
  return {
    tree: treeOf(document, name),
    warnings: document.warnings.map((warning) => `${at(warning.pos[0])} ${warning.message}`),
    where: (path) => at(offsetOf(document, path)),
    offset: (path) => offsetOf(document, path),
  };
};

/** The first of each line: the rest of a line only follows from it. */
const syntaxProblems = ({ errors }: Document, lines: LineCounter, text: string): { offset: number; why: string }[] => {
  const seen = new Set<number>();
  return errors.flatMap(({ pos: [offset], message }) => {
    const { line } = lines.linePos(offset);
    if (seen.has(line)) return [];
    seen.add(line);
    const hasVariable = text.split("\n")[line - 1]?.includes("${") === true;
    return [{ offset, why: `${message.trim()}${hasVariable ? ` (within { } and [ ], quote it: "\${NAME}")` : ""}` }];
  });
};

const treeOf = (document: Document, name: string): unknown => {
  const tree = plainTree(document, name) ?? {};
  refuseOdd(tree, name);
  return tree;
};

const keysOf = (tree: unknown, name: string): Record<string, unknown> => {
  if (typeof tree === "object" && tree !== null && !Array.isArray(tree)) return tree as Record<string, unknown>;
  throw new ConfigError([`${name}:1:1 expected keys and values, found ${Array.isArray(tree) ? "a list" : "a single value"}`]);
};

const MAX_DEPTH = 16;

/** An alias within its own anchor never ends, and `__proto__` is a key that some code would not see. Throws ConfigError. */
export const refuseOdd = (tree: unknown, place: string, depth = 0): void => {
  if (depth > MAX_DEPTH) throw new ConfigError([`${place}: nested more than ${MAX_DEPTH} deep`]);
  if (typeof tree !== "object" || tree === null) return;
  if (Object.hasOwn(tree, "__proto__")) throw new ConfigError([`${place}: __proto__: unknown key`]);
  for (const value of Object.values(tree)) refuseOdd(value, place, depth + 1);
};

const plainTree = (document: Document, name: string): unknown => {
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new ConfigError([`${name}: ${(error as Error).message}`]);
  }
};

/** Of the deepest key of the path that is there; within a list, of the entry. */
const offsetOf = (document: Document, path: KeyPath): number => {
  let node: unknown = document.contents;
  let offset = startOf(node) ?? 0;
  for (const key of path) {
    const pair = isMap(node) ? node.items.find((item) => keyOf(item.key) === String(key)) : undefined;
    const next: unknown = isPair(pair)
      ? pair.value
      : isNode(node) && "get" in node
        ? (node.get as (k: unknown, keep: true) => unknown)(key, true)
        : undefined;
    const start = startOf(pair?.key) ?? startOf(next);
    if (start === undefined) return offset;
    offset = start;
    node = next;
  }
  return offset;
};

const keyOf = (key: unknown): string => String(isScalar(key) ? key.value : key);
const startOf = (node: unknown): number | undefined => (isNode(node) ? ((node as Node).range?.[0] ?? undefined) : undefined);
