// Entries of the mirror by their names, for tests of what is done with them.
import type { MirrorEntry } from "../../src/mirrors.ts";
import { entryOf as entryWith } from "./entry.ts";

export const entryOf = (name: string, more: Partial<MirrorEntry> = {}): MirrorEntry =>
  entryWith({ name, source: { site: "registry.test", repo: name }, ...more });
