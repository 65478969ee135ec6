// The credential in a file, as upstream is to be shown it: never in an argument, which every user of the machine could read.
import { readFile } from "node:fs/promises";
import { whyUnread } from "../lib/text-file.ts";
import { Failure } from "./reach.ts";

/** `username:password`, or an `Authorization` value (`Bearer …`, `Basic …`) as it is. Throws Failure. */
export const credentialIn = async (file: string | undefined): Promise<string | undefined> => {
  if (file === undefined) return undefined;
  const text = (
    await readFile(file, "utf8").catch((error: unknown) => {
      throw new Failure(2, `--credentials: cannot read ${file}: ${whyUnread(error)}`);
    })
  ).trim();
  if (/^(bearer|basic) +\S+$/i.test(text)) return text;
  if (!/^[^:\n]+:[^\n]+$/.test(text)) throw new Failure(2, `--credentials: ${file} does not hold one line of username:password`);
  return `Basic ${Buffer.from(text).toString("base64")}`;
};
