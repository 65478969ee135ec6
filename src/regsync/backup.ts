// regsync's backup templates as ours: the tag, the digest, and the date in any of Go's layouts.

export interface Backup {
  readonly template: string;
  /** For people: what is not as it was. */
  readonly change: string | undefined;
}

const FALLBACK = "{{tag}}.{{date}}";
const FIELDS = [
  [/^\.Ref\.Tag$/, "{{tag}}"],
  [/^\.Ref\.Digest$/, "{{digest}}"],
] as const;
const FORMATTED = /^\(?\s*(?:time\.Now(?:\.UTC)?|\(time\.Now\)(?:\.UTC)?)\s*\)?\.Format\s+["`](.*)["`]$/;

/** Always a template that can be used. */
export const backupOf = (given: string): Backup => {
  const text = given.trim();
  let isSame = true;
  let isKnown = true;
  const filled = text.replaceAll(/\{\{-?\s*(.*?)\s*-?\}\}/g, (_, action: string) => {
    const field = FIELDS.find(([pattern]) => pattern.test(action));
    if (field !== undefined) return field[1];
    const layout = FORMATTED.exec(action)?.[1];
    const dated = layout === undefined ? undefined : layoutOf(layout);
    isKnown &&= dated !== undefined;
    isSame &&= layout !== undefined && /^[0-9]+$/.test(layout);
    return dated ?? "";
  });
  const own = /[:/]/.test(filled.replaceAll(/\{\{\w+\}\}/g, "")) ? filled.slice(filled.lastIndexOf(":") + 1) : filled;
  if (!isKnown) return { template: FALLBACK, change: `what is in its {{ }} has no counterpart: ${FALLBACK} in its place` };
  const isTag = /^(?:\{\{\w+\}\}|[\w.-])+$/.test(own) && own.includes("{{") && own !== "{{tag}}";
  if (!isTag)
    return { template: FALLBACK, change: `a backup is a tag of the same repository, and says which: ${FALLBACK} in its place` };
  if (own !== filled) return { template: own, change: `a backup is a tag of the same repository: ${own} in its place` };
  return { template: own, change: isSame ? undefined : `dates are written as 20060102 and 150405 here, in UTC: ${own}` };
};

/** `undefined`: more than a date and a time. */
const layoutOf = (layout: string): string | undefined => {
  const filled = layout.replace(/2006[-_.]?01[-_.]?02/, "{{date}}").replace(/15[-_.:]?04(?:[-_.:]?05)?/, "{{time}}");
  const rest = filled.replaceAll(/\{\{\w+\}\}/g, "");
  return filled !== layout && /^[-_.T ]*$/.test(rest) ? filled.replaceAll(" ", "-") : undefined;
};
