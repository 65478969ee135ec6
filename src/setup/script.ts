// A set-up as a POSIX shell script (dash and busybox too) that does it, does it again without harm, and takes it back.
// What differs by client and door is calls with quoted arguments and quoted here-documents; what they do is in setup.sh.
import { readFileSync } from "node:fs";
import type { ClientPlan } from "./clients.ts";
import { askedNames, caOf, checked, type Setup } from "./setup.ts";
import { type Door, isForElsewhere, type Step } from "./step.ts";

/**
 * To be run as root on the client, or with `--user`; without a set-up for what needs none, no CA above all. Throws Error for what is no
 * name, address or certificate.
 */
export const scriptOf = (name: string, { title, plans }: ClientPlan, given: Setup | undefined): string => {
  const setup = given && checked(given);
  const doors = Object.entries(plans) as [Door, readonly Step[]][];
  return [
    "#!/bin/sh",
    `# Sets up for Layover: ${title}. Run it as root; --undo puts everything back.`,
    "# Options: --undo | --door DOOR | --fingerprint AA:BB:… (refuse another CA) | --root DIR | --user | --restart | --no-dns | --no-store",
    "# The exit status is 0; 1 where it failed, 2 where something is left to be done by hand.",
    "set -eu",
    "umask 022",
    `client=${quoted(name)}`,
    `doors=${quoted(doors.map(([door]) => door).join(" "))}`,
    `for_elsewhere=${isForElsewhere(Object.values(plans).flat()) ? "yes" : "no"}`,
    ...(setup === undefined ? NOTHING : known(setup)),
    ...doors.flatMap(([door, steps]) => planOf(door, steps)),
    body(),
  ].join("\n");
};

/** The same script with nothing to set up: good for `--undo` only, which needs no CA. */
export const undoScript = (name: string): string =>
  ["#!/bin/sh", "set -eu", `client=${quoted(name)} doors='' for_elsewhere=no`, ...NOTHING, body()].join("\n");

const known = (setup: Setup): string[] => [
  `asked=${quoted(askedNames(setup).join(" "))}`,
  `dns=${quoted(setup.dns.host)}`,
  `port=${quoted(String(setup.dns.port))}`,
  `fingerprints=${quoted(setup.fingerprints.join(" "))}`,
  "",
  "ca() {",
  ...hereDocument("  cat", caOf(setup)),
  "}",
  "",
];

const NOTHING = ["asked='' dns='' port=53 fingerprints=''", "ca() { :; }", ""];

const body = (): string =>
  ["./store.sh", "./setup.sh"].map((file) => readFileSync(new URL(file, import.meta.url), "utf8")).join("\n");

const planOf = (door: Door, steps: readonly Step[]): string[] => {
  const guards = steps.filter((step) => step.do === "guard");
  const others = steps.filter((step) => step.do !== "guard");
  return [...[`guard_${door}() {`, ...lines(guards), "}", ""], ...[`plan_${door}() {`, ...lines(others), "}", ""]];
};

const lines = (steps: readonly Step[]): string[] => (steps.length === 0 ? ["  :"] : steps.flatMap((step) => lineOf(step)));

const lineOf = (step: Step): string[] => (LINES[step.do] as (step: Step) => string[])(step);

type Lines = { readonly [K in Step["do"]]: (step: Extract<Step, { do: K }>) => string[] };

const LINES: Lines = {
  head: ({ text }) => [`  head ${quoted(text)}`],
  note: ({ text }) => [`  note ${quoted(text)}`],
  guard: ({ path, pattern, text }) => [`  guard ${quoted(path)} ${quoted(pattern)} ${quoted(text)}`],
  file: ({ path, content }) => hereDocument(`  put ${quoted(path)}`, content),
  ca: ({ path }) => [`  ca | put ${quoted(path)}`],
  trust: ({ folders }) => [`  trust ${folders.map(quoted).join(" ")}`],
  shared: ({ path, content, holds, add }) => [
    ...hereDocument(`  shared ${quoted(path)} ${quoted(holds)}${add === undefined ? "" : " instead"}`, content),
    ...(add === undefined ? [] : hereDocument("  instead", add)),
  ],
  host: ({ name, address }) => [`  host ${quoted(name)} ${quoted(address)}`],
  store: ({ why, optional }) => [`  store ${quoted(why)}${optional ? " optional" : ""}`],
  resolver: () => ["  resolver"],
  reload: ({ unit }) => [`  reload ${quoted(unit)}`],
  restart: ({ unit, why, dropIn }) => [`  restart ${quoted(unit)} ${quoted(why)}${dropIn ? " drop-in" : ""}`],
  start: ({ unit }) => [`  start ${quoted(unit)}`],
  show: ({ title, content }) => hereDocument(`  show ${quoted(title)}`, content),
};

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const END = "LAYOVER";

const hereDocument = (command: string, content: string): string[] => {
  const inside = content.replace(/\n$/, "").split("\n");
  if (inside.includes(END)) throw new Error(`a line of its own says ${END}`);
  return [`${command} <<'${END}'`, ...inside, END];
};
