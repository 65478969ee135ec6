// Which images are mirrored, whence and how often: the parsed `mirror:` of the configuration. Names are plain texts here, as in sites.ts.

/** Globs (`*` within a part, `**` across), or `/regular expressions/` that have to match the whole name. */
export interface Patterns {
  /** Empty: everything. */
  readonly only: readonly string[];
  readonly except: readonly string[];
}

/** Applied in this order: semver, only, except, newest. */
export interface TagSelection extends Patterns {
  /** A range as npm has it; tags that are no version are then left out. */
  readonly semver: string | undefined;
  /** So many of the highest, by version, else by natural order. */
  readonly newest: number | undefined;
}

/** Of the site table. */
export interface MirrorPlace {
  readonly site: string;
  /** A repository; of a pattern's target: what is put before the source's repository, and may be empty. */
  readonly repo: string;
}

export type MirrorSchedule =
  /** Milliseconds from the end of one run to the beginning of the next. */
  | { readonly every: number }
  /** Five or six fields; IANA zone, UTC by default. */
  | { readonly cron: string; readonly timezone: string };

/** A list is run as it is; a text by `sh -c`. */
export type HookCommand = string | readonly string[];

export interface MirrorHooks {
  /** Once for each tag that is about to move, when everything it needs is held: a failure keeps it from moving. */
  readonly pre: HookCommand | undefined;
  /** Once for each tag that has moved. */
  readonly post: HookCommand | undefined;
  /** Milliseconds. */
  readonly timeout: number;
}

/** Times in milliseconds. */
export interface MirrorEntry {
  /** What people call it; unique. By default the source as it is written. */
  readonly name: string;
  /** A repository, or, where `isPattern`, a glob of repositories of the site (`**` for a whole site). */
  readonly source: MirrorPlace;
  readonly isPattern: boolean;
  /** Of a pattern's. */
  readonly repos: Patterns;
  /** `undefined`: where it came from, under its own name, for who pulls from there. */
  readonly target: MirrorPlace | undefined;
  /** What the one tag is called there, where that is another name than here. */
  readonly targetTag: string | undefined;
  readonly tags: TagSelection;
  /** `undefined`: all. The index keeps its digest; what is not wanted of it is left out (image-spec, sparse index). */
  readonly platforms: readonly string[] | undefined;
  /** Signatures, attestations and SBOMs: by the referrers API, and by cosign's tags (`sha256-….sig`). */
  readonly referrers: boolean;
  readonly digestTags: boolean;
  /** `undefined`: only by command. */
  readonly schedule: MirrorSchedule | undefined;
  /** How old a change has to be. */
  readonly delay: number;
  /** With fewer than `min` requests left upstream, it waits: until upstream says, at least `retry`. */
  readonly rateLimit: { readonly min: number; readonly retry: number } | undefined;
  /** Images at once. */
  readonly parallel: number;
  /** A template of the tag that what is replaced answers as; `undefined`: no such name. */
  readonly backup: string | undefined;
  /** How much of what was replaced is kept, for a rollback without upstream, and its backup names. Both bounds hold. */
  readonly keep: { readonly count: number; readonly for: number | undefined };
  readonly hooks: MirrorHooks;
  /** Warned of when the last good sync is older; `undefined`: by the schedule. */
  readonly warnAfter: number | undefined;
}

/** The entries as they are just now: the list of them may change while they are gone by. Of each, by the place where its copies are read. */
export interface Mirrored {
  /** Another whenever the list has changed; 0 is that of NOTHING_MIRRORED alone. */
  readonly version: number;
  /** The one that moves the tag, by the site's own name. Tags of signatures are covered with the images. */
  covers(site: string, repo: string, tag: string): MirrorEntry | undefined;
}

export const NOTHING_MIRRORED: Mirrored = { version: 0, covers: () => undefined };

/** Where a change or a failure is told. */
export interface MirrorWebhook {
  readonly url: URL;
  readonly on: readonly ("change" | "failure")[];
  /** Its content signs what is sent (HMAC-SHA256); never logged. A file is read anew with each message. */
  readonly secret: string | undefined;
  readonly secretFile: string | undefined;
}

export interface MirrorConfig {
  /** Absolute; `undefined`: the entries stand in the configuration itself. */
  readonly file: string | undefined;
  readonly entries: readonly MirrorEntry[];
  /** It could not be taken up, and that may be so: there are no entries. */
  readonly isWrong?: true;
  /** What is wrong with the file, for people: the entries are those of the last time that it was right. */
  readonly problem?: string;
}
