// The one table of what is measured, in what units, and what is to be reached.
import { coldBare, coldLimited, firstByte } from "./cold.ts";
import { forwarded, forwardedFree, hijacked, hijackedFree } from "./dns.ts";
import { latency } from "./dns-latency.ts";
import { cold50, herd } from "./herd.ts";
import { memory, takeRest } from "./memory.ts";
import { startMillion } from "./million.ts";
import type { Rounds } from "./rounds.ts";
import type { Name } from "./server.ts";
import type { Stage } from "./stage.ts";
import { again, first } from "./start.ts";
import { largeBlob, manifestByDigest, manifestByTag, smallBlobs } from "./warm.ts";

/** Without `than` it is an absolute figure, else ours divided by theirs. */
export type Target = { than?: Name; atLeast?: number; atMost?: number };
/** `alone`: what is not to be divided by that of others, and is of no use without the run. */
export type Metric = { key: string; unit: string; digits: number; targets?: readonly Target[]; alone?: true };
export type Figure = {
  name: string;
  title: string;
  metrics: readonly Metric[];
  measure: (stage: Stage) => Promise<Rounds>;
  /** Done before the first measurement. */
  before?: (stage: Stage) => Promise<void>;
};

const rate = (...targets: Target[]): Metric => ({ key: "rate", unit: "requests/s", digits: 0, targets });
const cpu: Metric = { key: "cpu", unit: "µs of server CPU each", digits: 0 };
const client: Metric = { key: "client", unit: "cores that the client used", digits: 2, alone: true };
const perGiB = (...targets: Target[]): Metric => ({ key: "cpu", unit: "s of server CPU per GiB", digits: 2, targets });
const seconds = (...targets: Target[]): Metric => ({ key: "seconds", unit: "s", digits: 3, targets });
/** On one core dnsperf is slower than what it asks: what a core is good for shows in what it spends. */
const queries = (...targets: Target[]): readonly Metric[] => [
  { key: "perCore", unit: "queries per second of server CPU", digits: 0, targets },
  { key: "rate", unit: "queries/s", digits: 0 },
  client,
];
const megabytes = (key: string, what: string, ...targets: Target[]): Metric => ({ key, unit: `MB ${what}`, digits: 0, targets });

export const FIGURES: readonly Figure[] = [
  {
    name: "manifest-digest",
    title: "Warm manifest by digest",
    metrics: [rate({ than: "distribution", atLeast: 4 }, { than: "nginx", atLeast: 0.5 }), cpu, client],
    measure: manifestByDigest,
  },
  {
    name: "manifest-tag",
    title: "Warm manifest by tag",
    metrics: [rate({ than: "distribution", atLeast: 20 }), cpu, client],
    measure: manifestByTag,
  },
  {
    name: "blob-small",
    title: "Warm blob of 4 KiB",
    metrics: [rate({ than: "nginx", atLeast: 0.5 }), cpu, client],
    measure: smallBlobs,
  },
  {
    name: "blob-large",
    title: "Warm blob of 256 MiB, 4 clients",
    metrics: [
      {
        key: "rate",
        unit: "MiB/s",
        digits: 0,
        targets: [
          { than: "distribution", atLeast: 1 },
          { than: "nginx", atLeast: 0.9 },
        ],
      },
      perGiB({ than: "nginx", atMost: 1.2 }),
      { key: "client", unit: "s of client CPU per GiB", digits: 2, alone: true },
    ],
    measure: largeBlob,
  },
  {
    name: "cold-100",
    title: "Cold large blob, line of 100 MB/s",
    metrics: [seconds({ than: "direct", atMost: 1.05 }), perGiB()],
    measure: coldLimited,
  },
  {
    name: "cold-bare",
    title: "Cold large blob, bare loopback",
    metrics: [seconds({ than: "direct", atMost: 1.5 }), perGiB()],
    measure: coldBare,
  },
  {
    name: "first-byte",
    title: "First byte on a miss",
    metrics: [
      { key: "ms", unit: "ms", digits: 2 },
      { key: "added", unit: "ms more than direct", digits: 2, alone: true },
    ],
    measure: firstByte,
  },
  {
    name: "herd",
    title: "Herd of 12, 3 leave, line of 20 MB/s",
    metrics: [
      { key: "upstream", unit: "upstream bytes ÷ unique bytes", digits: 2, targets: [{ atMost: 1 }] },
      seconds({ than: "direct", atMost: 1.1 }),
      { key: "first", unit: "ms to a follower's first byte, median", digits: 1, targets: [{ atMost: 50 }] },
      { key: "worst", unit: "ms to a follower's first byte, worst", digits: 1 },
    ],
    measure: herd,
  },
  {
    name: "cold-50",
    title: "50 clients at once for one cold layer, line of 5 MB/s",
    metrics: [
      { key: "upstream", unit: "upstream bytes ÷ unique bytes", digits: 2, targets: [{ atMost: 1 }] },
      seconds({ than: "direct", atMost: 1.1 }),
      { key: "first", unit: "ms to a client's first byte, median", digits: 1 },
      { key: "worst", unit: "ms to a client's first byte, worst", digits: 1 },
    ],
    measure: cold50,
  },
  {
    name: "dns-hijacked",
    title: "DNS of hijacked names, server on one core",
    metrics: queries({ than: "dnsmasq", atLeast: 0.3 }),
    measure: hijacked,
  },
  { name: "dns-hijacked-free", title: "The same, not pinned", metrics: queries(), measure: hijackedFree },
  { name: "dns-forwarded", title: "DNS forwarded, server on one core", metrics: queries(), measure: forwarded },
  { name: "dns-forwarded-free", title: "The same, not pinned", metrics: queries(), measure: forwardedFree },
  {
    name: "dns-loaded",
    title: "DNS while the front end is at full load (wrk, and 4 readers of a large blob), not pinned",
    metrics: [
      ...["hijacked", "cached", "forwarded"].flatMap((kind) => [
        { key: `${kind}50`, unit: `ms, ${kind}, median`, digits: 2 },
        { key: `${kind}99`, unit: `ms, ${kind}, p99`, digits: 2, targets: [{ atMost: 10 }] },
      ]),
      { key: "load", unit: "requests/s of the front end meanwhile", digits: 0, alone: true },
    ],
    measure: latency,
  },
  { name: "start", title: "Start, with what was held before", metrics: [seconds({ atMost: 0.5 })], measure: again },
  { name: "start-first", title: "Very first start, with a new CA", metrics: [seconds({ atMost: 0.5 })], measure: first },
  {
    name: "start-million",
    title: "Start with a million blobs and 100,000 tags held, and a hit then",
    metrics: [
      seconds({ atMost: 2 }),
      { key: "few", unit: "s with next to nothing held", digits: 3, alone: true },
      { key: "hit", unit: "µs of server CPU for a manifest by digest", digits: 0 },
      { key: "hitFew", unit: "µs with next to nothing held", digits: 0, alone: true },
      { key: "ratio", unit: "× what a hit costs with next to nothing held", digits: 2, targets: [{ atMost: 1.1 }] },
      { key: "background", unit: "s of CPU in the background after the start", digits: 1 },
      megabytes("memory", "afterwards, shared pages once"),
      megabytes("memoryFew", "with next to nothing held"),
    ],
    measure: startMillion,
  },
  {
    name: "memory",
    title: "Memory of the whole process tree",
    metrics: [
      megabytes("rest", "at rest, shared pages once"),
      megabytes("restRss", "at rest, sum of RSS"),
      megabytes("after", "after the run, shared pages once"),
      megabytes("afterRss", "after the run, sum of RSS"),
      megabytes("readers", "with 100 slow readers, shared pages once", { atMost: 150 }),
      { key: "each", unit: "MB for each of them, all of it counted", digits: 1, targets: [{ atMost: 5 }] },
      { key: "grown", unit: "MB for each of them more than before", digits: 2 },
      megabytes("readersRss", "with 100 slow readers, sum of RSS"),
    ],
    measure: memory,
    before: takeRest,
  },
];
