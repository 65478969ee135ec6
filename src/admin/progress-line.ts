// How far work has come, in words.
import { about } from "../lib/units.ts";
import type { Progress } from "./answers.ts";

/** `500 of 2,000 blobs (25 %)  <what is being worked on>`. */
export const progressLine = ({ done, total, unit, at }: Progress): string => {
  const amount = (n: number) => (unit === "bytes" ? about(n) : n.toLocaleString("en-US"));
  const of = total === undefined ? "" : ` of ${amount(total)}`;
  const share = total === undefined || total === 0 ? "" : ` (${Math.floor((100 * Math.min(done, total)) / total)} %)`;
  return `${amount(done)}${of}${unit === "bytes" ? "" : ` ${unit}`}${share}${at === undefined ? "" : `  ${at}`}`;
};
