// What a webhook is told, as JSON: a contract, to which keys are only ever added. `text` is the same for people, and what chats show: nothing
// that upstream has said may call somebody there, or lead anywhere.
import { randomUUID } from "node:crypto";
import { plainLine } from "../lib/plain-text.ts";
import type { FailedPart, SyncedTag, TagName } from "./outcome.ts";

/** A tag, where it is for those who pull it. */
interface Moved extends TagName {
  /** `undefined`: it was not there. */
  readonly from?: string;
  readonly to?: string;
  /** When upstream says that it was made. ISO. */
  readonly created?: string;
}

export interface Change extends Moved {
  /** The tag as which `from` answers now. */
  readonly backup?: string;
  /** Where it goes by another name than upstream. */
  readonly source?: TagName;
}

interface Common {
  /** The same for each try to deliver it. */
  readonly id: string;
  readonly text: string;
  readonly entry: string;
  readonly run: string;
}

export interface ChangeMessage extends Common {
  readonly event: "change";
  readonly count: number;
  /** The first of them. */
  readonly changes: readonly Change[];
}

export interface FailureMessage extends Common, Partial<Moved> {
  readonly event: "failure";
  /** `stopped`: by its `pre` hook. `done`: it has moved, and its `post` hook has failed. */
  readonly outcome: "failed" | "stopped" | "done";
  /** What has failed: a tag, a digest, a repository or the entry. */
  readonly reference: string;
  readonly code: string;
  readonly message: string;
  /** The last of what the hook said. */
  readonly hookOutput?: string;
}

export type MirrorMessage = ChangeMessage | FailureMessage;

/** What of a run is told as it goes. */
export interface RunName {
  readonly entry: string;
  readonly run: string;
}

/** Changes that are told one by one. */
export const MAX_CHANGES = 100;
const IN_TEXT = 5;
const MAX_WORDS = 1_000;

export const changeOf = (tag: SyncedTag): Change => ({
  ...movedOf(tag),
  ...(tag.backup !== undefined && { backup: tag.backup }),
  ...(tag.target !== undefined && { source: tag.source }),
});

/** `changes`: at least one, MAX_CHANGES at most, of `count`. */
export const changeMessage = ({ entry, run }: RunName, changes: readonly Change[], count: number): ChangeMessage => {
  const told = changes.slice(0, IN_TEXT).map(saidOf).join(", ");
  const more = count > IN_TEXT ? `, and ${count - IN_TEXT} more` : "";
  const text = `Layover mirror ${entry}: ${count === 1 ? "one tag has" : `${count} tags have`} moved (run ${run}): ${told}${more}`;
  return { event: "change", id: randomUUID(), text: harmless(text), entry, run, count, changes };
};

export const failedTag = ({ entry, run }: RunName, tag: SyncedTag): FailureMessage => {
  const moved = movedOf(tag);
  const failure = tag.failure ?? { reference: nameOf(moved), code: "UNKNOWN", message: "no reason is known" };
  const outcome = tag.outcome === "skipped" ? "failed" : tag.outcome;
  return {
    ...failureMessage({ entry, run }, failure, `${nameOf(moved)} ${WORDS[outcome]}`),
    ...moved,
    outcome,
    ...(tag.hookOutput !== undefined && { hookOutput: tag.hookOutput }),
  };
};

const WORDS: Readonly<Record<FailureMessage["outcome"], string>> = {
  failed: "could not be synced",
  stopped: "is stopped by its pre hook",
  done: "has moved, and its post hook has failed",
};

/** Of what is no tag: a repository that could not be listed, for one. */
export const failedPart = (about: RunName, part: FailedPart): FailureMessage =>
  failureMessage(about, part, `${part.reference} could not be synced`);

const failureMessage = ({ entry, run }: RunName, { reference, code, message }: FailedPart, what: string): FailureMessage => {
  const words = plainLine(message, MAX_WORDS);
  const text = harmless(`Layover mirror ${entry}: ${what} (run ${run}): ${code}: ${words}`);
  return { event: "failure", id: randomUUID(), text, entry, run, outcome: "failed", reference, code, message: words };
};

const movedOf = ({ source, target = source, now, upstream, created }: SyncedTag): Moved => ({
  site: target.site,
  repository: target.repository,
  tag: target.tag,
  ...(now !== undefined && { from: now }),
  ...(upstream !== undefined && { to: upstream }),
  ...(created !== undefined && { created }),
});

const nameOf = ({ site, repository, tag }: TagName): string => `${site}/${repository}:${tag}`;

const saidOf = (change: Change): string =>
  `${nameOf(change)} ${change.from === undefined ? "new" : shortOf(change.from)} → ${shortOf(change.to ?? "")}`;

const shortOf = (digest: string): string => digest.slice(digest.indexOf(":") + 1).slice(0, 12);

/** In Slack, Mattermost and Teams these begin mentions, links, and what is set in bold. */
const INERT: Readonly<Record<string, string>> = { "<": "‹", ">": "›", "&": "+", "@": "＠", "[": "(", "]": ")", "`": "'" };
const harmless = (text: string): string => plainLine(text, 2 * MAX_WORDS).replace(/[<>&@[\]`]/g, (sign) => INERT[sign]!);
