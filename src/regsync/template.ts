// Go's text/template, so much of it as regsync.yml files use: fields, functions, pipes. What it cannot do it throws at; it never runs anything.

/** Nothing that could be read as more than texts and lists of them. */
type Value = string | readonly string[] | number;

/** What a `{{ }}` may ask for; throws an Error for people where there is no such thing. */
export interface Scope {
  /** `.Sync.Source` */
  field(path: string): string;
  env(name: string): string;
  file(name: string): string;
}

const ACTION = /\{\{-?\s*(.*?)\s*-?\}\}/gs;

export const hasActions = (text: string): boolean => text.includes("{{");

export const fillTemplate = (text: string, scope: Scope): string =>
  text.replaceAll(ACTION, (_, action: string) => {
    const value = evaluate(tokensOf(action), scope);
    if (typeof value === "string" || typeof value === "number") return String(value);
    throw new Error(`{{${action}}} is no text`);
  });

/** The action that is all there is of a text, as `env "X"`: function and argument. */
export const soleCall = (text: string): { name: string; argument: string } | undefined => {
  const [, name, quoted] = /^\s*\{\{-?\s*(env|file)\s+("(?:[^"\\]|\\.)*"|`[^`]*`)\s*-?\}\}\s*$/.exec(text) ?? [];
  return name === undefined ? undefined : { name, argument: unquote(quoted!) };
};

type Tokens = string[];

const TOKEN = /\s*("(?:[^"\\]|\\.)*"|`[^`]*`|[()|]|\.?[\w.]+)/y;

const tokensOf = (action: string): Tokens => {
  const tokens: Tokens = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < action.length) {
    const at = TOKEN.lastIndex;
    const [, token] = TOKEN.exec(action) ?? [];
    if (token === undefined) throw unable(action.slice(at));
    tokens.push(token);
  }
  return tokens;
};

const unable = (what: string): Error => new Error(`{{ }} with ${JSON.stringify(what.trim().slice(0, 40))} has no counterpart`);

const evaluate = (tokens: Tokens, scope: Scope): Value => {
  let value = command(tokens, scope, []);
  while (tokens[0] === "|") {
    tokens.shift();
    value = command(tokens, scope, [value]);
  }
  return value;
};

/** A function with its arguments, to the next pipe or bracket. */
const command = (tokens: Tokens, scope: Scope, piped: Value[]): Value => {
  const head = tokens.shift();
  if (head === undefined) throw unable("nothing");
  if (head === "(" || /^["`.\d]/.test(head)) return operand(head, tokens, scope);
  const given: Value[] = [];
  for (let next = tokens[0]; next !== undefined && next !== "|" && next !== ")"; next = tokens[0]) {
    tokens.shift();
    given.push(operand(next, tokens, scope));
  }
  return call(head, [...given, ...piped], scope);
};

const operand = (token: string, tokens: Tokens, scope: Scope): Value => {
  if (token === "(") {
    const value = evaluate(tokens, scope);
    if (tokens.shift() !== ")") throw unable("(");
    return value;
  }
  if (/^["`]/.test(token)) return unquote(token);
  if (/^\d+$/.test(token)) return Number(token);
  if (token.startsWith(".")) return scope.field(token);
  throw unable(token);
};

const call = (name: string, [first = "", second, ...more]: Value[], scope: Scope): Value => {
  if (more.length > 0) throw unable(name);
  if (name === "env") return scope.env(String(first));
  if (name === "file") return scope.file(String(first));
  if (name === "lower") return String(first).toLowerCase();
  if (name === "upper") return String(first).toUpperCase();
  if (name === "trimSpace") return String(first).trim();
  if (name === "default" && second !== undefined) return second === "" ? first : second;
  if (name === "split" && typeof first === "string" && typeof second === "string") return first.split(second);
  if (name === "join" && Array.isArray(first) && typeof second === "string") return first.join(second);
  if (name === "index" && Array.isArray(first) && typeof second === "number") return (first as string[])[second] ?? "";
  throw unable(name);
};

const unquote = (token: string): string => (token.startsWith("`") ? token.slice(1, -1) : (JSON.parse(token) as string));
