// What an administrator can ask about tags. As of operations.ts, which it is a part of.
import type { Call } from "./operations.ts";
import type { HeldTag, ReleasedTag, TagDiff, TagHistory, TagPage } from "./tags-answers.ts";

export interface TagListInput {
  /** A repository. */
  readonly of: string;
  readonly after?: string | undefined;
  /** 1 to 1,000 entries; 100 when it is left out. */
  readonly limit?: number | undefined;
}

export interface TagInput {
  /** A tag, as people write it; `latest` when it is left out. */
  readonly reference: string;
}

/**
 * A state: a digest, its first six or more hex digits, a line of the history, or another tag of the repository, which may be written `:tag`
 * where it could be one of the others.
 */
type StateName = string;

export interface TagDiffInput extends TagInput {
  /** Left out: the newest other one before `to`. */
  readonly from?: StateName | undefined;
  /** Left out: now. */
  readonly to?: StateName | undefined;
}

export interface TagHoldInput extends TagInput {
  readonly to?: StateName | undefined;
  /** Also where parts of it are not here: they come when they are asked for. */
  readonly force?: boolean | undefined;
}

/** Every method throws AdminError. */
export interface TagOperations {
  tagList(input: TagListInput, call: Call): Promise<TagPage>;
  tagHistory(input: TagInput, call: Call): Promise<TagHistory>;
  /** From what is held alone. */
  tagDiff(input: TagDiffInput, call: Call): Promise<TagDiff>;
  /** Keeps the tag at what it stands for now, or at `to`, also where there was no such tag before. Throws NOT_HELD, INCOMPLETE. */
  tagPin(input: TagHoldInput, call: Call): Promise<HeldTag>;
  /** Moves the tag back, by default to the newest other digest in its history, and keeps it there. Asks nobody. Throws NOT_HELD, INCOMPLETE. */
  tagRollback(input: TagHoldInput, call: Call): Promise<HeldTag>;
  tagUnpin(input: TagInput, call: Call): Promise<ReleasedTag>;
}
