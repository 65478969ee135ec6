// The status of a server, for people to read.
import type { Status } from "../admin/answers.ts";
import { progressLine } from "./progress.ts";
import { ago } from "./table.ts";

export const printStatus = (status: Status, now: number): string => {
  const { version, startedAt, data, ready, notes, work } = status;
  const lines: (readonly [string, string])[] = [
    ["layover", `${version}, started ${ago(startedAt, now)}, ${ready ? "ready" : "not ready"}`],
    ...notes.map((note) => ["", note] as const),
    ["data", data],
    ...work.map(
      ({ operation, since, progress }) => ["under way", `${operation}, begun ${ago(since, now)}${farOf(progress)}`] as const,
    ),
  ];
  return lines.map(([name, text]) => `${name.padEnd(10)}  ${text}\n`).join("");
};

const farOf = (progress: Status["work"][number]["progress"]): string =>
  progress === undefined ? "" : `: ${progressLine(progress)}`;
