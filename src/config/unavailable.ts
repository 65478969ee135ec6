// Keys of the contract whose feature this version does not have. Ignoring them would change what is safe or meant, so they
// are refused. A line goes when its feature comes.
import type { KeyPath, Problem } from "./problems.ts";

interface Line {
  /** `*` is any key or entry. */
  readonly at: string;
  readonly refused: (value: unknown) => boolean;
  readonly what: string;
}

const given = (value: unknown): boolean => value !== undefined && value !== "" && value !== "[]" && !isEmptyList(value);
const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;
const other = (text: string) => (value: unknown) => given(value) && value !== text;

const LINES: readonly Line[] = [
  { at: "store.blobs", refused: other("disk"), what: "a blob store other than disk" },
  { at: "store.facts", refused: other("sqlite"), what: "a fact store other than sqlite" },
];

/** One problem for each key in `tree` that is refused. */
export const unavailable = (tree: unknown): Problem[] =>
  LINES.flatMap(({ at, refused, what }) =>
    expand(tree, at.split("."), [])
      .filter(({ value }) => refused(value))
      .map(({ path }) => ({ path, text: `not available in this version: ${what}` })),
  );

const expand = (node: unknown, [part, ...rest]: readonly string[], path: KeyPath): { path: KeyPath; value: unknown }[] => {
  if (part === undefined) return [{ path, value: node }];
  if (typeof node !== "object" || node === null) return [];
  const keys = part === "*" ? Object.keys(node) : Object.hasOwn(node, part) ? [part] : [];
  return keys.flatMap((key) =>
    expand((node as Record<string, unknown>)[key], rest, [...path, Array.isArray(node) ? Number(key) : key]),
  );
};
