// Entries of the mirror as the configuration would give them, for tests of what is done with them.
import type { MirrorEntry } from "../../src/mirrors.ts";

export const entryOf = (name: string, more: Partial<MirrorEntry> = {}): MirrorEntry => ({
  name,
  source: { site: "registry.test", repo: name },
  isPattern: false,
  repos: { only: [], except: [] },
  target: undefined,
  targetTag: undefined,
  tags: { only: [], except: [], semver: undefined, newest: undefined },
  platforms: undefined,
  referrers: false,
  digestTags: false,
  schedule: undefined,
  delay: 0,
  rateLimit: undefined,
  parallel: 2,
  backup: undefined,
  keep: { count: 5, for: undefined },
  hooks: { pre: undefined, post: undefined, timeout: 60_000 },
  warnAfter: undefined,
  ...more,
});
