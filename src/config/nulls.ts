// `key:` with nothing behind it says nothing.
import type { KeyPath } from "./problems.ts";

/** `ghcr.io:` among the sites is a site with nothing special. */
export const withoutNulls = (tree: unknown, path: KeyPath = []): unknown => {
  if (Array.isArray(tree)) return tree.map((entry, i) => withoutNulls(entry, [...path, i]));
  if (typeof tree !== "object" || tree === null) return tree;
  const isSites = path.length === 1 && path[0] === "sites";
  const entries = Object.entries(tree).map(([key, value]) => [key, isSites ? (value ?? {}) : value] as const);
  return Object.fromEntries(
    entries.filter(([, value]) => value !== null).map(([key, value]) => [key, withoutNulls(value, [...path, key])]),
  );
};
