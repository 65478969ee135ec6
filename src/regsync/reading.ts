// A regsync.yml as plain texts, and what is told about it: every place that is looked at, so that what nobody asked for can be told as well.
import type { KeyPath } from "../config/problems.ts";
import { parseTree } from "../config/source.ts";

export interface Note {
  readonly path: KeyPath;
  readonly text: string;
}

/** One place of the file, and the way to those below. */
export interface Part {
  readonly path: KeyPath;
  /** Without its `{{ }}` resolved; empty counts as absent. */
  text(key: string): string | undefined;
  truth(key: string): boolean | undefined;
  number(key: string): number | undefined;
  /** One text is a list of one. */
  texts(key: string): readonly string[];
  parts(key: string): readonly Part[];
  part(key: string): Part | undefined;
  has(key: string): boolean;
  /** What was found here and is not carried over, or not as it was. */
  note(key: string, text: string): void;
  /** The keys that nobody has asked for. */
  unread(): readonly string[];
}

export interface Reading {
  readonly root: Part;
  readonly notes: readonly Note[];
  /** `regsync.yml:12:5`. */
  readonly where: (path: KeyPath) => string;
  readonly offset: (path: KeyPath) => number;
}

/** Throws ConfigError for what is no YAML. */
export const readRegsync = (name: string, text: string): Reading => {
  const { tree, where, offset } = parseTree(name, text, "texts");
  const notes: Note[] = [];
  return { root: partOf(tree, [], notes), notes, where, offset };
};

const partOf = (node: unknown, path: KeyPath, notes: Note[]): Part => {
  const known = typeof node === "object" && node !== null && !Array.isArray(node) ? (node as Record<string, unknown>) : {};
  const asked = new Set<string>();
  const note = (key: string, text: string) => void notes.push({ path: key === "" ? path : [...path, key], text });
  const at = (key: string): unknown => {
    asked.add(key);
    return Object.hasOwn(known, key) ? known[key] : undefined;
  };
  const text = (key: string): string | undefined => {
    const value = at(key);
    if (typeof value === "object" && value !== null) note(key, "expected a text: ignored");
    return typeof value === "string" && value !== "" ? value : undefined;
  };
  return {
    path,
    text,
    has: (key) => Object.hasOwn(known, key),
    note,
    truth: (key) => truthOf(text(key)),
    number: (key) => {
      const value = Number(text(key) ?? Number.NaN);
      return Number.isFinite(value) ? value : undefined;
    },
    texts: (key) => listOf(at(key)).filter((one) => typeof one === "string" && one !== "") as string[],
    parts: (key) => listOf(at(key)).map((one, i) => partOf(one, [...path, key, i], notes)),
    part: (key) => {
      const value = at(key);
      return value === undefined || value === "" ? undefined : partOf(value, [...path, key], notes);
    },
    unread: () => Object.keys(known).filter((key) => !asked.has(key)),
  };
};

/** Whatever its value is: for what is only told of. */
export const isGiven = (part: Part, key: string): boolean => {
  part.texts(key);
  return part.has(key);
};

const listOf = (value: unknown): readonly unknown[] =>
  value === undefined || value === null || value === "" ? [] : Array.isArray(value) ? (value as unknown[]) : [value];

const truthOf = (text: string | undefined): boolean | undefined =>
  text === undefined ? undefined : ["true", "yes", "on"].includes(text.toLowerCase());
