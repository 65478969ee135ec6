// One entry of `mirror:`, with what `defaults` says, as the rest of the program reads it.

import { isLiteral } from "../mirrors/patterns.ts";
import type { MirrorEntry, MirrorHooks, MirrorSchedule, TagSelection } from "../mirrors.ts";
import type { Sites } from "../sites.ts";
import { type Place, parseSource, parseTarget } from "./mirror-place.ts";
import type { EntryDefaults, EntrySettings } from "./mirror-schema.ts";
import { nextOf } from "./mirror-values.ts";
import type { KeyPath } from "./problems.ts";

/** Of one entry; the path begins at the entry. */
type Report = (path: KeyPath, text: string) => void;

const MINUTE = 60_000;
export const MIRROR_DEFAULTS = { keep: 5, parallel: 2, retry: 5 * MINUTE, hookTimeout: 10 * MINUTE } as const;
/** Kept where only an age is given. */
const KEEP_MANY = 1_000;
const SHORTEST_INTERVAL = 10_000;

/** `undefined` once it was reported that it makes no sense. */
export const entryOf = (own: EntrySettings, defaults: EntryDefaults, sites: Sites, report: Report): MirrorEntry | undefined => {
  const source = attempt(() => parseSource(own.source, sites), report, "source");
  if (source === undefined) return undefined;
  const isPattern = source.repo.includes("*");
  const tags = tagsOf(own, source, report);
  const given = { ...defaults, ...own };
  if (own.repos !== undefined && !isPattern)
    report(["repos"], "only where the source is a pattern such as acme/**, or a whole site");
  return {
    name: nameOf(own, report),
    source: { site: source.site.host, repo: source.repo },
    isPattern,
    repos: { only: own.repos?.only ?? [], except: own.repos?.except ?? [] },
    ...targetOf(own, source, tags, sites, report),
    tags,
    platforms: platformsOf(given, report),
    referrers: given.referrers ?? true,
    digestTags: given.digestTags ?? true,
    schedule: scheduleOf(own, defaults, report),
    delay: given.delay ?? 0,
    rateLimit: given.rateLimit && { min: given.rateLimit.min, retry: given.rateLimit.retry ?? MIRROR_DEFAULTS.retry },
    parallel: given.parallel ?? MIRROR_DEFAULTS.parallel,
    backup: given.backup === "none" ? undefined : given.backup,
    keep: keepOf(given, report),
    hooks: hooksOf(own, defaults, report),
    warnAfter: given.warnAfter,
  };
};

const attempt = <T>(work: () => T, report: Report, key: string): T | undefined => {
  try {
    return work();
  } catch (error) {
    report([key], (error as Error).message);
    return undefined;
  }
};

const nameOf = ({ name, source }: EntrySettings, report: Report): string => {
  if (name !== undefined && !/^[^\s\p{C}-][^\p{C}]{0,199}$/u.test(name))
    report(["name"], "expected a name of at most 200 characters that begins with no hyphen and no space");
  return name ?? source;
};

const NOTHING: TagSelection = { only: [], except: [], semver: undefined, newest: undefined };

const tagsOf = ({ tags }: EntrySettings, { tag }: Place, report: Report): TagSelection => {
  if (tag !== undefined) {
    if (tags !== undefined) report(["tags"], "the source has a tag already: leave out one of the two");
    return { ...NOTHING, only: [tag] };
  }
  if (tags === undefined) return NOTHING;
  if (Array.isArray(tags)) {
    if (tags.length === 0) report(["tags"], "expected a tag or a pattern, found none: leave it out to mean every tag");
    return { ...NOTHING, only: tags };
  }
  const { semver, match, newest, only = [], except = [] } = tags;
  return { semver, newest, only: match === undefined ? only : [match, ...only], except };
};

type Target = Pick<MirrorEntry, "target" | "targetTag">;

const targetOf = (own: EntrySettings, source: Place, tags: TagSelection, sites: Sites, report: Report): Target => {
  const isPattern = source.repo.includes("*");
  const written = own.target;
  const target = written === undefined ? undefined : attempt(() => parseTarget(written, sites, isPattern), report, "target");
  if (target === undefined) {
    if (written === undefined && source.site.kind === "local") report(["source"], HOSTED);
    return { target: undefined, targetTag: undefined };
  }
  const one = tags.only.length === 1 && isLiteral(tags.only[0]!) && !isPattern ? tags.only[0] : undefined;
  if (target.tag !== undefined && one === undefined) report(["target"], "a tag there only where the source has one tag");
  const targetTag = target.tag === one ? undefined : target.tag;
  const isSame = target.site.host === source.site.host && (isPattern ? target.repo === "" : target.repo === source.repo);
  if (isSame && targetTag === undefined) {
    if (source.site.kind === "local") report(["target"], HOSTED);
    return { target: undefined, targetTag: undefined };
  }
  return { target: { site: target.site.host, repo: target.repo }, targetTag };
};

const HOSTED = "what is hosted here is here already: a `target` elsewhere says where it is to be copied";

const platformsOf = ({ platforms }: EntryDefaults, report: Report): readonly string[] | undefined => {
  if (platforms === undefined) return undefined;
  if (platforms.length === 0) report(["platforms"], "expected a platform, found none: leave it out to mean all");
  if (platforms.includes("all") && platforms.length > 1) report(["platforms"], 'expected "all" alone, or platforms');
  return platforms.includes("all") ? undefined : [...new Set(platforms)];
};

/** An entry's own schedule or interval takes the place of both that `defaults` has. */
const scheduleOf = (own: EntrySettings, defaults: EntryDefaults, report: Report): MirrorSchedule | undefined => {
  if (own.schedule !== undefined && own.interval !== undefined)
    report(["interval"], "beside `schedule`: leave out one of the two");
  const { schedule, interval } = own.schedule === undefined && own.interval === undefined ? defaults : own;
  const timezone = own.timezone ?? defaults.timezone ?? "UTC";
  if (interval !== undefined) {
    if (interval < SHORTEST_INTERVAL) report(["interval"], "expected ten seconds or more");
    if (own.timezone !== undefined) report(["timezone"], "only for a `schedule`: an interval has none");
    return { every: interval };
  }
  if (schedule === undefined || schedule === "none") {
    if (own.timezone !== undefined) report(["timezone"], "without a `schedule` that it could be about");
    return undefined;
  }
  if (nextOf(schedule, timezone) === undefined) report(["schedule"], "a time that never comes");
  return { cron: schedule, timezone };
};

const keepOf = ({ keep, backup }: EntryDefaults, report: Report): MirrorEntry["keep"] => {
  const { count = KEEP_MANY, for: age } = typeof keep === "object" ? keep : { count: keep ?? MIRROR_DEFAULTS.keep };
  if (typeof keep === "object" && keep.count === undefined && age === undefined)
    report(["keep"], "expected a count, or `for` how long");
  if (count === 0 && backup !== undefined && backup !== "none")
    report(["keep"], "with nothing kept no `backup` name could stand for anything");
  return { count, for: age };
};

const hooksOf = (own: EntrySettings, defaults: EntryDefaults, report: Report): MirrorHooks => {
  const { pre, post, timeout } = { ...defaults.hooks, ...own.hooks };
  if (timeout === 0) report(["hooks", "timeout"], "expected a duration of more than nothing");
  return { pre, post, timeout: timeout ?? MIRROR_DEFAULTS.hookTimeout };
};
