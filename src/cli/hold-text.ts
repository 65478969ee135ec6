// What keeps a tag where it is, for people to read.
import type { HoldEntry } from "../admin/answers.ts";
import { ago } from "./table.ts";

/** `rollback, 3 h ago`. */
export const holdText = ({ kind, since }: HoldEntry, now: number): string => `${kind}, ${ago(since, now)}`;
