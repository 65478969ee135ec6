// Settings from the environment: LAYOVER_<KEY> over the file's, and `${NAME}` within values.
import { parse } from "yaml";
import { didYouMean, type KeyPath, type Problem } from "./problems.ts";
import { settablePaths } from "./schema.ts";
import { refuseOdd } from "./source.ts";

type Env = Readonly<Record<string, string | undefined>>;
type Tree = Record<string, unknown>;

const PREFIX = "LAYOVER_";
/** Read elsewhere: the configuration's own place, what commands are told in secret, and the tests' tools. */
const OTHERS = new Set(["CONFIG", "LAB", "ADMIN_TOKEN", "CA_PASSPHRASE"]);
/** What Kubernetes sets in every pod for a service that is called layover. */
const KUBERNETES = /^(SERVICE_(HOST|PORT)|PORT)(_|$)/;

/** Case and underscores do not matter: LAYOVER_HIJACK_FOR is hijackFor. */
const spell = (text: string): string => text.replaceAll("_", "").toLowerCase();
const PATHS = new Map(settablePaths.map((path) => [spell(path.join("")), path]));

export interface Overlay {
  readonly tree: Tree;
  readonly warnings: readonly string[];
  /** The variable that set this key, if one did. */
  variable(path: KeyPath): string | undefined;
}

/** A variable that is empty counts as not set. Values that begin with `{` or `[` are YAML (JSON), so that whole sections can be given. Throws ConfigError. */
export const overlayEnvironment = (file: Tree, env: Env): Overlay => {
  const warnings: string[] = [];
  const variables = new Map<string, string>();
  const tree = structuredClone(file);
  // Whole sections first, so that LAYOVER_LISTEN_DNS adds to LAYOVER_LISTEN.
  const names = Object.keys(env).filter((name) => name.startsWith(PREFIX) && env[name] !== "");
  const found = names.map((name) => ({ name, path: PATHS.get(spell(name.slice(PREFIX.length))) }));
  for (const { name, path } of found.sort((a, b) => (a.path?.length ?? 0) - (b.path?.length ?? 0))) {
    if (path !== undefined) {
      const value = parseValue(env[name] ?? "");
      refuseOdd(value, `environment ${name}`);
      assign(tree, path, value);
      variables.set(path.join("."), name);
    } else if (!isOther(name)) warnings.push(unknownVariable(name));
  }
  const variable = (path: KeyPath) => variables.get(path.slice(0, 2).join(".")) ?? variables.get(String(path[0]));
  return { tree, warnings, variable };
};

const isOther = (name: string): boolean => OTHERS.has(name.slice(PREFIX.length)) || KUBERNETES.test(name.slice(PREFIX.length));

const unknownVariable = (name: string): string => {
  const known = settablePaths.map((path) => PREFIX + path.join("_").toUpperCase());
  return `${name} is set, but no such key exists${didYouMean(name, known)}`;
};

const assign = (tree: Tree, [section = "", key]: readonly string[], value: unknown): void => {
  if (key === undefined) {
    tree[section] = value;
    return;
  }
  const inner = tree[section];
  tree[section] = { ...(typeof inner === "object" && inner !== null ? inner : {}), [key]: value };
};

const parseValue = (text: string): unknown => {
  if (!/^\s*[{[]/.test(text)) return text;
  try {
    return parse(text) as unknown;
  } catch {
    return text; // `[::]:443` is no YAML
  }
};

/** Every `${NAME}` in a value replaced; `$${` stands for `${` itself. A variable that is not set is a problem. */
export const interpolate = (tree: unknown, env: Env, path: KeyPath = []): { value: unknown; problems: Problem[] } => {
  if (typeof tree === "string") return fill(tree, env, path);
  if (typeof tree !== "object" || tree === null) return { value: tree, problems: [] };
  const parts = Object.entries(tree).map(([key, value]) => {
    return [key, interpolate(value, env, [...path, Array.isArray(tree) ? Number(key) : key])] as const;
  });
  const problems = parts.flatMap(([, part]) => part.problems);
  if (Array.isArray(tree)) return { value: parts.map(([, part]) => part.value), problems };
  return { value: Object.fromEntries(parts.map(([key, part]) => [key, part.value])), problems };
};

const fill = (text: string, env: Env, path: KeyPath): { value: string; problems: Problem[] } => {
  const problems: Problem[] = [];
  const value = text.replace(/\$(\$\{)|\$\{([^}]*)\}/g, (whole, escaped: string | undefined, name: string) => {
    if (escaped !== undefined) return escaped;
    const found = env[name];
    if (found !== undefined) return found;
    problems.push({ path, text: `the environment has no ${JSON.stringify(name)}, which the value names` });
    return whole;
  });
  return { value, problems };
};
