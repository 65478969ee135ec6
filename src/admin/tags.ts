// The operations on tags, over the stores.
import { diffTag } from "./tags-diff.ts";
import { type HoldParts, hold, release } from "./tags-hold.ts";
import { historyOf, listTags } from "./tags-list.ts";
import type { TagOperations } from "./tags-operations.ts";

export const tagOperations = (parts: HoldParts): TagOperations => ({
  tagList: (input) => listTags(parts, input),
  tagHistory: ({ reference }) => historyOf(parts, reference),
  tagDiff: (input) => diffTag(parts, input),
  tagPin: (input) => hold(parts, "pin", input),
  tagRollback: (input) => hold(parts, "rollback", input),
  tagUnpin: ({ reference }) => release(parts, reference),
});
