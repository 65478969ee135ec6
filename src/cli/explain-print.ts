// An explanation, for people to read.
import type { Explained } from "../admin/answers.ts";
import { about, formatDuration } from "../lib/units.ts";
import { holdText } from "./hold-text.ts";
import { ago } from "./table.ts";

const ANYBODY: Readonly<Record<Explained["anonymous"], string>> = {
  live: "may read the repository: upstream has said so lately",
  stale: "could read the repository when upstream last said; good enough while it is away",
  none: "is not known to be allowed to read the repository: upstream would be asked",
};

const HOSTED: typeof ANYBODY = { live: "may read the repository", stale: "may read it", none: "has to log in first" };

export const printExplained = (explained: Explained, now: number): string => {
  const { reference, rule, upstream, anonymous } = explained;
  const lines: (readonly [string, string])[] = [
    ["image", reference],
    ["rule", rule === undefined ? "none: the site's own values hold" : `${rule.position}: ${rule.match}`],
    ["policy", policyLine(explained.policy)],
    ...(explained.mirroredBy === undefined ? [] : [["mirrored", `by ${explained.mirroredBy}`] as const]),
    ["held", heldLine(explained.held, now)],
    ...holdLines(explained, now),
    ["upstream", upstream === "none" ? "none: the site is hosted here" : upstream],
    ["anybody", upstream === "none" ? HOSTED[anonymous] : ANYBODY[anonymous]],
    ["now", nowLine(explained.now)],
  ];
  return lines.map(([name, text]) => `${name.padEnd(10)}  ${text}\n`).join("");
};

const policyLine = ({
  pin,
  deny,
  onGone,
  onMissing,
  freshFor,
  staleWhileRevalidate,
  staleIfError,
}: Explained["policy"]): string => {
  if (deny) return "denied";
  if (pin) return "pinned: it never moves";
  const times = Object.entries({ freshFor, staleWhileRevalidate, staleIfError }).map(
    ([name, ms]) => `${name} ${formatDuration(ms)}`,
  );
  return [...times, `onGone ${onGone}`, ...(onMissing === "refuse" ? ["what is not mirrored is refused"] : [])].join(", ");
};

const heldLine = (held: Explained["held"], now: number): string => {
  if (held === undefined) return "nothing";
  const { digest, isHeld, size, mediaType, checkedAt, doubted } = held;
  const parts = [
    digest,
    isHeld ? about(size ?? 0) : "its bytes are not here",
    ...(mediaType === undefined ? [] : [mediaType]),
    ...(checkedAt === undefined ? [] : [`checked ${ago(checkedAt, now)}`]),
    ...(doubted === true ? ["a write has gone by since"] : []),
  ];
  return parts.join(", ");
};

const holdLines = ({ reference, held }: Explained, now: number): (readonly [string, string])[] =>
  held?.hold === undefined ? [] : [["stays", `by ${holdText(held.hold, now)}; until: layover tags unpin ${reference}`]];

const nowLine = ({ outcome, forMs, why }: Explained["now"]): string =>
  `${outcome}${forMs === undefined ? "" : `, for ${lasting(forMs)}`}: ${why}`;

/** To whole units that a person reads. */
const lasting = (ms: number): string => {
  const [unit, size] = (
    [
      ["d", 86_400_000],
      ["h", 3_600_000],
      ["min", 60_000],
    ] as const
  ).find(([, length]) => ms >= 2 * length) ?? ["s", 1_000];
  return `${Math.ceil(ms / size)} ${unit}`;
};
