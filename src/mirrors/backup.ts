// The tag that what is replaced answers as, from a template such as `{{tag}}.{{date}}`.
import { isTag } from "../oci/reference.ts";

export interface BackupValues {
  readonly tag: string;
  /** ms since the epoch. */
  readonly now: number;
  /** Of what is replaced. */
  readonly digest: string;
  /** The number that a CI job passed, or one of our own. */
  readonly run: string;
}

export const BACKUP_VARIABLES = ["tag", "date", "time", "digest", "run"] as const;
type Variable = (typeof BACKUP_VARIABLES)[number];

const MAX_TAG = 128;
const MAX_RUN = 40;
const VARIABLE = /\{\{\s*(\w+)\s*\}\}/g;

/** The names in a template, whether they are known or not. */
export const variablesOf = (template: string): string[] => [...template.matchAll(VARIABLE)].map(([, name]) => name!);

/**
 * A tag, whatever the values are: what no tag may have becomes `-`, and what is too long is cut from the replaced tag first. Dates are UTC.
 * `nth` 2 is for a name that is taken, and so on.
 */
export const backupName = (template: string, values: BackupValues, nth = 1): string => {
  const ending = nth === 1 ? "" : `-${nth}`;
  const full = fill(template, values, values.tag);
  const over = full.length + ending.length - MAX_TAG;
  const count = variablesOf(template).filter((name) => name === "tag").length;
  const fitting = over > 0 && count > 0 ? fill(template, values, cut(values.tag, Math.ceil(over / count))) : full;
  return `${fitting.slice(0, MAX_TAG - ending.length)}${ending}`;
};

const cut = (text: string, by: number): string => text.slice(0, Math.max(1, text.length - by));

const fill = (template: string, values: BackupValues, tag: string): string => {
  const iso = new Date(values.now).toISOString();
  const known: Record<Variable, string> = {
    tag,
    date: iso.slice(0, 10).replaceAll("-", ""),
    time: iso.slice(11, 19).replaceAll(":", ""),
    digest: values.digest.replace(/^[^:]*:/, "").slice(0, 12),
    run: values.run.slice(0, MAX_RUN),
  };
  const name = template.replaceAll(VARIABLE, (whole, variable: string) => known[variable as Variable] ?? whole);
  const clean = name.replaceAll(/[^\w.-]/g, "-");
  return isTag(clean.slice(0, 1)) ? clean : `_${clean}`;
};

const SHAPES: Record<Variable, string> = {
  tag: "",
  date: "\\d{8}",
  time: "\\d{6}",
  digest: "[0-9a-f]{1,12}",
  run: `[\\w.-]{0,${MAX_RUN}}`,
};

/** Whether a name can have come of the template for this tag, whatever the other values were. Without a template any can. */
export const mayBeBackupOf = (template: string | undefined, tag: string): ((name: string) => boolean) => {
  if (template === undefined) return () => true;
  const shape = template
    .split(/(\{\{\s*\w+\s*\}\})/)
    .map((piece) => {
      const [variable] = variablesOf(piece);
      if (variable === undefined) return escaped(piece.replaceAll(/[^\w.-]/g, "-"));
      return variable === "tag" ? escaped(tag) : (SHAPES[variable as Variable] ?? "");
    })
    .join("");
  const whole = new RegExp(`^_?${shape}(?:-\\d+)?$`);
  // what was too long was cut
  return (name) => whole.test(name) || name.length === MAX_TAG;
};

const escaped = (text: string): string => text.replaceAll(/[.\\+*?[^\]$(){}=!<>|:#-]/g, "\\$&");
