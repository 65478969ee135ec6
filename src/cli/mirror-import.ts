// `layover mirror import`: reads a regsync.yml, writes ours, and says what was left behind.
import { writeFile } from "node:fs/promises";
import { relative } from "node:path";
import { text as textOf } from "node:stream/consumers";
import { stringify } from "yaml";
import { ConfigError } from "../config/problems.ts";
import { readTextFile, UnreadableFile, whyUnread } from "../lib/text-file.ts";
import { type Converted, convertRegsync } from "../regsync/convert.ts";
import { siteTable } from "../sites.ts";
import { configOrExit } from "./config.ts";

export interface ImportOptions {
  readonly output?: string;
  readonly config?: string;
  readonly inPlace?: boolean;
}

const MAX_BYTES = 4 * 2 ** 20;

/** Exit status 1: a step was left behind; 2: there is nothing to read, or nowhere to write. */
export const mirrorImport = async (file: string, { output, config: named, inPlace = false }: ImportOptions): Promise<void> => {
  const config = await configOrExit(named);
  if (config === undefined) return;
  try {
    const given = file === "-" ? await textOf(process.stdin) : await readTextFile(file, MAX_BYTES);
    const how = { sites: siteTable(config.sites, config), env: process.env, inPlace };
    const converted = convertRegsync(file === "-" ? "stdin" : file, given, how);
    await write(converted, output);
    for (const note of converted.notes) process.stderr.write(`${note}\n`);
    process.stderr.write(`${summary(converted)}\n`);
    process.exitCode = converted.lostCount === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof ConfigError) && !(error instanceof UnreadableFile) && !(error instanceof Unwritable)) throw error;
    process.stderr.write(`${error instanceof UnreadableFile ? `${file}: ` : ""}${error.message}\n`);
    process.exitCode = 2;
  }
};

class Unwritable extends Error {}

const STYLE = { lineWidth: 130, flowCollectionPadding: true } as const;

const write = async ({ mirror, sites }: Converted, output: string | undefined): Promise<void> => {
  const withSites = Object.keys(sites).length > 0 && { sites };
  if (output === undefined) {
    process.stdout.write(stringify({ ...withSites, mirror }, STYLE));
    return;
  }
  try {
    await writeFile(output, stringify(mirror, STYLE), { flag: "wx" });
  } catch (error) {
    const isThere = (error as NodeJS.ErrnoException).code === "EEXIST";
    throw new Unwritable(`${output}: ${isThere ? "is there already, and is not written over" : whyUnread(error)}`);
  }
  process.stdout.write(`# for layover.yaml\n${stringify({ ...withSites, mirror: fromHere(output) }, STYLE)}`);
};

const fromHere = (output: string): string => {
  const path = relative(process.cwd(), output);
  return path.startsWith("..") ? output : `./${path}`;
};

const summary = ({ stepCount, lostCount, mirror, notes }: Converted): string => {
  const entries = mirror.entries.length === 1 ? "one entry" : `${mirror.entries.length} entries`;
  const told = notes.length === 0 ? "" : "; what is not as it was stands above";
  return `${stepCount - lostCount} of ${stepCount} steps became ${entries}${told}`;
};
