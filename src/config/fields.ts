// What the schemas of the configuration are made of: unknown keys refused, texts parsed into values, lists that may be written as one text.
import { z } from "zod";
import { parseDuration } from "../lib/units.ts";

/** Unknown keys carry the known ones as their message, for a "did you mean". */
export const strict = <S extends z.core.$ZodLooseShape>(shape: S) =>
  z.strictObject(shape, { error: (issue) => (issue.code === "unrecognized_keys" ? Object.keys(shape).join(" ") : undefined) });

/** A text that `parse` turns into a value; what `parse` throws is what the user reads. */
export const parsed = <T>(expected: string, parse: (text: string) => T) =>
  z.string({ error: () => `expected ${expected}` }).transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: (error as Error).message });
      return z.NEVER;
    }
  });

/** A list, or one text for it, in which commas part the entries; `[]` in the environment is the empty list. */
export const list = <T extends z.ZodType>(entry: T) => z.preprocess(splitText, z.array(entry));
const splitText = (value: unknown): unknown => {
  if (typeof value !== "string") return value;
  const entries = value.split(",").map((entry) => entry.trim());
  return value.trim() === "[]" ? [] : entries.filter((entry) => entry !== "");
};

/** Values from the environment are texts. */
export const truth = z.preprocess((value) => (value === "true" ? true : value === "false" ? false : value), z.boolean());
export const numbered = (value: unknown) => (typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value);

export const text = z.string().min(1, { error: () => "expected a text that is not empty" });
export const duration = parsed("a duration such as 90s, 5m, 12h or 30d", parseDuration);
