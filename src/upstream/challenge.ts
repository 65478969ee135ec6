// `WWW-Authenticate`, read properly (RFC 9110 §11.6.1): several challenges in a header, several headers, quoted commas.

export interface Challenge {
  /** In lower case. */
  readonly scheme: string;
  /** Names in lower case. */
  readonly params: Readonly<Record<string, string>>;
}

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const PARAM = /([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*))/y;
const GAP = /[\s,]*/y;

/** What cannot be read is left out; nothing is thrown. */
export const parseChallenges = (values: readonly string[]): Challenge[] => values.flatMap(parseOne);

const parseOne = (text: string): Challenge[] => {
  const found: { scheme: string; params: Record<string, string> }[] = [];
  let at = skip(GAP, text, 0);
  while (at < text.length) {
    const param = matchAt(PARAM, text, at);
    const current = found.at(-1);
    if (param !== null && current !== undefined) {
      current.params[param[1]!.toLowerCase()] = param[2]?.replace(/\\(.)/g, "$1") ?? param[3]!;
      at = skip(GAP, text, at + param[0].length);
      continue;
    }
    const scheme = param === null ? matchAt(TOKEN, text, at) : null;
    if (scheme === null) return found;
    found.push({ scheme: scheme[0].toLowerCase(), params: Object.create(null) as Record<string, string> });
    at = skip(GAP, text, at + scheme[0].length);
  }
  return found;
};

const matchAt = (pattern: RegExp, text: string, at: number): RegExpExecArray | null => {
  pattern.lastIndex = at;
  return pattern.exec(text);
};

const skip = (pattern: RegExp, text: string, at: number): number => at + (matchAt(pattern, text, at)?.[0].length ?? 0);

/** The bearer challenge of these, if it names a realm that can be asked. */
export const bearerOf = (
  values: readonly string[],
): { realm: URL; service: string | undefined; scope: string | undefined } | undefined => {
  const { params } = parseChallenges(values).find(({ scheme }) => scheme === "bearer") ?? {};
  const realm = params?.["realm"];
  const url = realm === undefined ? null : URL.parse(realm);
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined;
  return { realm: url, service: params?.["service"], scope: params?.["scope"] };
};
