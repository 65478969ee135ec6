// Entries for tests, with as much said as a test is about.
import type { MirrorEntry } from "../../src/mirrors.ts";

export const ALL = { semver: undefined, newest: undefined, only: [], except: [] } as const;

export const entryOf = (changes: Partial<MirrorEntry>): MirrorEntry => ({
  name: "test",
  source: { site: "ghcr.io", repo: "acme/app" },
  isPattern: false,
  repos: { only: [], except: [] },
  target: undefined,
  targetTag: undefined,
  tags: ALL,
  platforms: undefined,
  referrers: true,
  digestTags: true,
  schedule: undefined,
  delay: 0,
  rateLimit: undefined,
  parallel: 2,
  backup: undefined,
  keep: { count: 5, for: undefined },
  hooks: { pre: undefined, post: undefined, timeout: 600_000 },
  warnAfter: undefined,
  ...changes,
});
