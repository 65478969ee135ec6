// An entry of a mirror as its tests have it: one repository of one site, all of its tags.
import type { MirrorEntry } from "../../src/mirrors.ts";
import type { Repository } from "../../src/oci/reference.ts";
import { ALL, entryOf as anyEntryOf } from "../mirrors/entry.ts";

export const SITE = "registry.example";
export const REPO = "acme/app" as Repository;

/** Hooks of which none is waited for long. */
const HOOKS = { pre: undefined, post: undefined, timeout: 1_000 };

export const entryOf = (changes: Partial<MirrorEntry> = {}): MirrorEntry =>
  anyEntryOf({ name: "app", source: { site: SITE, repo: REPO }, hooks: HOOKS, ...changes });

export const tagsOnly = (...only: string[]): MirrorEntry["tags"] => ({ ...ALL, only });
