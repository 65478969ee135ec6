// An entry of a mirror as its tests have it: one repository of one site, all of its tags.
import type { MirrorEntry } from "../../src/mirrors.ts";
import type { Repository } from "../../src/oci/reference.ts";

export const SITE = "registry.example";
export const REPO = "acme/app" as Repository;

const NOTHING = { only: [], except: [], semver: undefined, newest: undefined } as const;

export const entryOf = (changes: Partial<MirrorEntry> = {}): MirrorEntry => ({
  name: "app",
  source: { site: SITE, repo: REPO },
  isPattern: false,
  repos: { only: [], except: [] },
  target: undefined,
  targetTag: undefined,
  tags: NOTHING,
  platforms: undefined,
  referrers: true,
  digestTags: true,
  schedule: undefined,
  delay: 0,
  rateLimit: undefined,
  parallel: 2,
  backup: undefined,
  keep: { count: 5, for: undefined },
  hooks: { pre: undefined, post: undefined, timeout: 1_000 },
  warnAfter: undefined,
  ...changes,
});

export const tagsOnly = (...only: string[]): MirrorEntry["tags"] => ({ ...NOTHING, only });
