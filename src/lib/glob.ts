// Globs over names: `*` within one part between slashes, `**` across parts. Names are hostile: the work is at most
// the name's length times the pattern's, whatever either says, as a regular expression's is not.

/** Throws nothing: every text is a pattern. */
export const globMatcher = (patterns: readonly string[]): ((name: string) => boolean) => {
  const globs = patterns.map(globOf);
  return (name) => globs.some((matches) => matches(name));
};

const STAR = -1;
const STARS = -2;
const SLASH = 0x2f;

export const globOf = (pattern: string): ((name: string) => boolean) => {
  const tokens = tokensOf(pattern);
  if (tokens.every((token) => token >= 0)) return (name) => name === pattern;
  return (name) => matches(tokens, name);
};

const tokensOf = (pattern: string): number[] =>
  pattern.split(/(\*\*|\*)/).flatMap((part): number[] => {
    if (part === "**") return [STARS];
    if (part === "*") return [STAR];
    return Array.from({ length: part.length }, (_, i) => part.charCodeAt(i));
  });

/** All the ways in which the pattern may have got this far are followed at once, so that none has to be tried again. */
const matches = (tokens: readonly number[], name: string): boolean => {
  let at: number[] = [];
  enter(tokens, at, 0);
  for (let i = 0; i < name.length && at.length > 0; i += 1) {
    const char = name.charCodeAt(i);
    const next: number[] = [];
    for (const position of at) {
      const token = tokens[position];
      if (token === char) enter(tokens, next, position + 1);
      else if (token === STARS || (token === STAR && char !== SLASH)) enter(tokens, next, position);
    }
    at = next;
  }
  return at.at(-1) === tokens.length;
};

/** In ascending order, each once: whoever stands before a star may also stand behind it. */
const enter = (tokens: readonly number[], at: number[], position: number): void => {
  let from = position;
  while (at.length === 0 || from > at.at(-1)!) {
    at.push(from);
    if (tokens[from] !== STAR && tokens[from] !== STARS) return;
    from += 1;
  }
};
