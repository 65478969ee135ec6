// The status of a server, for people to read.
import type { Status } from "../admin/answers.ts";
import { progressLine } from "../admin/progress-line.ts";
import { about } from "../lib/units.ts";
import { ago } from "./table.ts";

type Line = readonly [string, string];

export const printStatus = (status: Status, now: number): string => {
  const { version, startedAt, data, ready, notes, work } = status;
  const lines: Line[] = [
    ["layover", `${version}, started ${ago(startedAt, now)}, ${ready ? "ready" : "not ready"}`],
    ...notes.map((note) => ["", note] as const),
    ["data", data],
    ["room", roomLine(status.room)],
    ["flights", flightsLine(status.flights)],
    ...work.map(
      ({ operation, since, progress }) => ["under way", `${operation}, begun ${ago(since, now)}${farOf(progress)}`] as const,
    ),
    ...status.sites.flatMap(siteLines),
  ];
  return lines.map(([name, text]) => `${name.padEnd(10)}  ${text}\n`).join("");
};

const roomLine = ({ blobs, held, maxSize, free, left, full }: Status["room"]): string => {
  const cap = maxSize === undefined ? "" : ` of ${about(maxSize)}`;
  const spare = left > 0 ? `room for ${about(left)} more` : "full: what is used least makes room";
  const now = full ? "full: nothing new is kept" : spare;
  return `${blobs.toLocaleString("en-US")} blobs, ${about(held)}${cap} held; ${about(free)} free on the disk, ${now}`;
};

const flightsLine = ({ underWay, counts }: Status["flights"]): string => {
  const received = underWay.reduce((sum, flight) => sum + flight.received, 0);
  const happened = Object.entries(counts).filter(([, count]) => count > 0);
  const now = underWay.length === 0 ? "none" : `${underWay.length}, ${about(received)} received`;
  return `${now} under way; since the start ${happened.map(([name, count]) => `${count} ${name}`).join(", ") || "none"}`;
};

const siteLines = ({ site, offline, upstreams }: Status["sites"][number]): Line[] =>
  offline
    ? [["upstream", `${site}: offline by configuration`]]
    : upstreams.map((one) => ["upstream", `${site}: ${upstreamLine(one)}`] as const);

const upstreamLine = ({
  origin,
  state,
  why,
  running,
  waiting,
  passing = 0,
  budgets,
}: Status["sites"][number]["upstreams"][number]): string => {
  const parts = [
    `${origin} is ${state}${why === undefined ? "" : ` (${why})`}`,
    ...(running + waiting === 0 ? [] : [`${running} requests under way, ${waiting} waiting`]),
    ...(passing === 0 ? [] : [`${passing} passed through`]),
    ...budgets.map(({ limit, remaining, retryInMs }) =>
      retryInMs === undefined
        ? `${remaining ?? "?"} of ${limit ?? "?"} requests left`
        : `throttled for ${Math.ceil(retryInMs / 1_000)} s more`,
    ),
  ];
  return parts.join("; ");
};

const farOf = (progress: Status["work"][number]["progress"]): string =>
  progress === undefined ? "" : `: ${progressLine(progress)}`;
