// Globs over repository names: `*` within one path part, `**` across parts.

/** Throws nothing: every text is a pattern. */
export const globMatcher = (patterns: readonly string[]): ((name: string) => boolean) => {
  const expressions = patterns.map(
    (pattern) =>
      new RegExp(
        `^${pattern
          .split(/(\*\*|\*)/)
          .map(part)
          .join("")}$`,
      ),
  );
  return (name) => expressions.some((expression) => expression.test(name));
};

const part = (text: string): string => {
  if (text === "**") return ".*";
  if (text === "*") return "[^/]*";
  return text.replace(/[.+?^${}()|[\]\\]/g, "\\$&");
};
