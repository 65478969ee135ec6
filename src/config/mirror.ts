// `mirror:` → the entries: a list, one with defaults, or a file that holds either, which can be read again while serving.
import type { MirrorEntry } from "../mirrors.ts";
import type { Sites } from "../sites.ts";
import { clashingEntries } from "./mirror-clashes.ts";
import { entryOf } from "./mirror-entry.ts";
import type { EntrySettings, MirrorSettings } from "./mirror-schema.ts";
import type { KeyPath, Problem } from "./problems.ts";

interface Given {
  readonly own: EntrySettings;
  readonly path: KeyPath;
}

/** `base`: where they stand. What is wrong is given to `report`. */
export const entriesOf = (
  settings: MirrorSettings,
  sites: Sites,
  base: KeyPath,
  report: (problem: Problem) => void,
): MirrorEntry[] => {
  const isList = Array.isArray(settings);
  const defaults = isList ? {} : (settings.defaults ?? {});
  const given = (isList ? settings : settings.entries).map((own, i): Given => {
    return { own, path: isList ? [...base, i] : [...base, "entries", i] };
  });
  if (defaults.schedule !== undefined && defaults.interval !== undefined)
    report({ path: [...base, "defaults", "interval"], text: "beside `schedule`: leave out one of the two" });
  const entries = given.map(({ own, path }) => {
    const at = ([key = "", ...rest]: KeyPath): KeyPath =>
      key in own || !(key in defaults) ? [...path, key, ...rest] : [...base, "defaults", key, ...rest];
    return entryOf(own, defaults, sites, (where, text) => report({ path: at(where), text }));
  });
  for (const { index, key, text } of clashingEntries(entries)) report({ path: [...given[index]!.path, key], text });
  return entries.filter((entry) => entry !== undefined);
};
