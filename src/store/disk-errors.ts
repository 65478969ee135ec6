// What the disk says, as what it means for a store.
import { StoreFull } from "./blobs.ts";

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | undefined)?.code;

/** Not there is an answer; anything else is the store being ill. */
export const absent = (error: unknown): undefined => {
  if (codeOf(error) !== "ENOENT") throw error;
};

const FULL = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

export const asFull = (error: unknown): unknown =>
  FULL.has(codeOf(error) ?? "") ? new StoreFull("the disk is full", { cause: error }) : error;
