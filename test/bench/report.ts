// The figures as a table for people who run it, and as the one for the README.
import type { Figure, Metric } from "./figures.ts";
import type { Machine } from "./machine.ts";
import type { Rounds } from "./rounds.ts";
import type { Name } from "./server.ts";
import { ratioOf, type Spread, spreadOf, wrongs } from "./statistics.ts";
import { inWords, judge } from "./verdict.ts";

/** `seconds` is how long it took; a measurement that could not be made at all has no rounds, but says why. */
export type Result = { figure: Figure; rounds: Rounds; failed?: string };

const NAMES: readonly Name[] = ["layover", "nginx", "distribution", "docker-registry", "dnsmasq", "direct"];

const plain = (value: number, digits: number): string =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

const range = ({ median, min, max }: Spread, digits: number): string =>
  min === max ? plain(median, digits) : `${plain(median, digits)} (${plain(min, digits)}–${plain(max, digits)})`;

/** Lines of columns, padded to the widest of each; the last one as it is. */
export const columns = (rows: readonly (readonly string[])[]): string[] => {
  const widths = rows.reduce<number[]>((most, row) => row.map((cell, n) => Math.max(most[n] ?? 0, cell.length)), []);
  return rows.map((row) =>
    row
      .map((cell, n) => (n === row.length - 1 ? cell : cell.padEnd(widths[n] ?? 0)))
      .join("  ")
      .trimEnd(),
  );
};

const metricRows = (rounds: Rounds, { key, unit, digits, alone }: Metric): string[][] =>
  NAMES.flatMap((name) => {
    const found = spreadOf(rounds, name, key);
    if (found === undefined) return [];
    const ratio = name === "layover" || alone ? undefined : ratioOf(rounds, "layover", name, key);
    return [[`    ${name}`, range(found, digits), ratio === undefined ? "" : `× ${range(ratio, 2)}`, unit]];
  });

const verdicts = ({ figure, rounds }: Result): string[] =>
  figure.metrics.flatMap((metric) => (metric.targets ?? []).map((target) => inWords(judge(rounds, metric, target))));

const one = (result: Result): string[] => {
  const { figure, rounds, failed } = result;
  const wrong = [...(failed ? [failed] : []), ...wrongs(rounds)].map((why) => `    WRONG: ${why}`);
  const body = columns(figure.metrics.flatMap((metric) => metricRows(rounds, metric)));
  return ["", `${figure.title} [${figure.name}]`, ...body, ...verdicts(result).map((verdict) => `    ${verdict}`), ...wrong];
};

/** Medians with least and most; after × what ours is divided by theirs, round by round. */
export const table = (results: readonly Result[], machine: Machine): string =>
  [
    ...results.flatMap(one),
    "",
    "median (least–most) of the rounds; × is Layover's divided by theirs, round by round",
    ...describe(machine),
  ].join("\n");

const describe = ({ date, cores, cpu, kernel, load, node, versions, ciphers, folder }: Machine): string[] => [
  `${date}, ${cores} cores of ${cpu}, Linux ${kernel}, Node ${node}, data on ${folder}, load ${load.toFixed(1)} before it began`,
  Object.values(versions).join(", "),
  Object.entries(ciphers)
    .map(([name, cipher]) => `${name}: ${cipher}`)
    .join(", "),
];

/** The cell of one server: its median of every metric that is worth showing. */
const cell = (rounds: Rounds, names: readonly Name[], metric: Metric): string => {
  for (const name of names) {
    const found = spreadOf(rounds, name, metric.key);
    if (found === undefined) continue;
    const label = names.length > 1 ? `${name} ` : "";
    return label + plain(found.median, metric.digits);
  }
  return "–";
};

const markdownRow = (rounds: Rounds, title: string, metric: Metric): string => {
  const reached = (metric.targets ?? []).map((target) => inWords(judge(rounds, metric, target)).replace("MISSED", "**missed**"));
  const cells = (["layover", "nginx", "distribution", "docker-registry"] as const).map((name) => cell(rounds, [name], metric));
  return `| ${[title, ...cells, cell(rounds, ["direct", "dnsmasq"], metric), reached.join("; ")].join(" | ")} |`;
};

/** For the README: every metric that compares a row, then how it was made. */
export const markdown = (results: readonly Result[], machine: Machine): string => {
  const rows = results.flatMap(({ figure, rounds }) =>
    figure.metrics
      .filter(({ alone }) => !alone)
      .map((metric, n) => markdownRow(rounds, n === 0 ? `**${figure.title}**, ${metric.unit}` : metric.unit, metric)),
  );
  return [
    "| | Layover | nginx | distribution 3 | docker-registry 2.8 | other | to reach: reached |",
    "|---|---|---|---|---|---|---|",
    ...rows,
    "",
    ...HOW,
    "",
    ...describe(machine).map((line, n) => (n === 0 ? `Made on ${line}.` : `${line[0]?.toUpperCase()}${line.slice(1)}.`)),
  ].join("\n");
};

const HOW = `\
Made by \`npm run bench -- --markdown\`, in one run: medians of interleaved rounds (A B C A B C …); each ratio is taken round by round, ours divided by
theirs. All servers have the same two cores, upstream (files behind nginx), content, key type (P-256) and load generators (wrk with 16 kept
connections, curl, dnsperf). Status, length and digest of answers are checked before (warm ones) and after each round; a wrong one voids it. CPU is
user + system time of the server's whole process tree. The line of so many MB/s is the kernel's, shared by all connections to the upstream. For DNS
on one core the server has one to itself and dnsperf the other. Layover runs as \`layover serve\` does, both processes, its log in a file, and has
been started once before, so that it is compiled; nginx with \`proxy_cache\` and its lock, sendfile, no access log; the registries as pull-through
proxies, quiet; dnsmasq without cache, and names forwarded whose answers may not be kept.`.split("\n");
