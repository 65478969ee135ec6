// What `/metrics` shows of the whole of Layover: what is known already, gathered when somebody asks. Labels have only names that the configuration
// knows: hosts that anybody can make up are counted, and not named.
import type { OriginStanding } from "../oci/standing.ts";
import type { Hold } from "../store/facts.ts";
import type { RoomEntry } from "./answers.ts";
import type { Family, Sample } from "./exposition.ts";
import type { Condition } from "./health.ts";

export interface ServerFigures {
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly condition: Condition;
  readonly room: RoomEntry;
  readonly flights: { readonly underWay: number; readonly counts: Readonly<Record<string, number>> };
  readonly sites: readonly { readonly site: string; readonly upstreams: readonly OriginStanding[] }[];
  /** Hosts below each wildcard that are open. */
  readonly below: Readonly<Record<string, number>>;
  readonly heldTags: Readonly<Record<Hold["kind"], number>>;
}

export const gauge = (name: string, help: string, samples: number | readonly Sample[]): Family =>
  familyOf("gauge", name, help, samples);
export const counter = (name: string, help: string, samples: number | readonly Sample[]): Family =>
  familyOf("counter", `${name}_total`, help, samples);
export const yes = (is: boolean): number => (is ? 1 : 0);
export const seconds = (ms: number): number => ms / 1_000;

const familyOf = (kind: Family["kind"], name: string, help: string, samples: number | readonly Sample[]): Family => ({
  ...{ name, help, kind, samples: typeof samples === "number" ? [{ value: samples }] : samples },
});

/** One sample for each name, under this label. */
export const each = (label: string, values: Readonly<Record<string, number>>): Sample[] =>
  Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }));

export const serverFamilies = (figures: ServerFigures): Family[] => [
  gauge("layover_build_info", "The version that runs.", [
    { labels: { version: figures.version, node: process.versions.node }, value: 1 },
  ]),
  gauge("layover_ready", "Whether names are to lead here.", yes(figures.condition.ready)),
  gauge(
    "layover_bypass",
    "Whether names lead to the registries themselves on somebody's word.",
    yes(figures.condition.bypass !== undefined),
  ),
  ...processFamilies(figures),
  ...roomFamilies(figures.room),
  gauge("layover_flights", "Downloads under way.", figures.flights.underWay),
  counter("layover_flight_events", "What has become of downloads.", each("event", figures.flights.counts)),
  ...upstreamFamilies(figures),
  gauge("layover_mirror_held_tags", "Tags that somebody holds, by how.", each("by", figures.heldTags)),
];

const processFamilies = ({ startedAt }: ServerFigures): Family[] => {
  const { user, system } = process.cpuUsage();
  return [
    gauge("process_start_time_seconds", "When the front end began, since the epoch.", seconds(startedAt)),
    counter("process_cpu_seconds", "Processor time of the front end.", (user + system) / 1_000_000),
    gauge("process_resident_memory_bytes", "Resident memory of the front end.", process.memoryUsage.rss()),
  ];
};

const roomFamilies = ({ blobs, held, growing, maxSize, free, total, left, full }: RoomEntry): Family[] => [
  gauge("layover_room_blobs", "Blobs that are held.", blobs),
  gauge("layover_room_held_bytes", "What they take.", held),
  gauge("layover_room_growing_bytes", "Written of what is not complete.", growing),
  gauge("layover_room_max_bytes", "The bound that is configured.", maxSize === undefined ? [] : maxSize),
  gauge("layover_room_left_bytes", "What may come before something has to go; negative: there is less than should be.", left),
  gauge("layover_room_full", "Whether what is new goes by without being kept.", yes(full)),
  gauge("layover_filesystem_free_bytes", "Of the file system of the data folder.", free),
  gauge("layover_filesystem_size_bytes", "Of the file system of the data folder.", total),
];

const upstreamFamilies = ({ sites, below }: ServerFigures): Family[] => {
  const all = sites.flatMap(({ site, upstreams }) =>
    upstreams.map((upstream) => ({ labels: { site, origin: upstream.origin }, upstream, budget: scarcest(upstream) })),
  );
  const of = (value: (one: (typeof all)[number]) => number | undefined): Sample[] =>
    all.flatMap((one) => {
      const found = value(one);
      return found === undefined ? [] : [{ labels: one.labels, value: found }];
    });
  return [
    gauge(
      "layover_upstream_up",
      "Whether it is asked, of the sites that were asked for since the start.",
      of(({ upstream }) => yes(upstream.state === "up")),
    ),
    gauge(
      "layover_upstream_requests",
      "Under way to it.",
      of(({ upstream }) => upstream.running),
    ),
    gauge(
      "layover_upstream_waiting",
      "Requests that wait for their turn.",
      of(({ upstream }) => upstream.waiting),
    ),
    gauge(
      "layover_upstream_passing",
      "What clients send through to it.",
      of(({ upstream }) => upstream.passing),
    ),
    gauge(
      "layover_upstream_rate_limit",
      "What it says that one payer may ask; of who has least left.",
      of(({ budget }) => budget?.limit),
    ),
    gauge(
      "layover_upstream_rate_limit_remaining",
      "What it says is left of that.",
      of(({ budget }) => budget?.remaining),
    ),
    gauge("layover_wildcard_hosts", "Hosts below a wildcard that are in use.", each("wildcard", below)),
  ];
};

/** Of several payers' that which is the next to end. */
const scarcest = ({ budgets }: OriginStanding): OriginStanding["budgets"][number] | undefined =>
  budgets.filter(({ remaining }) => remaining !== undefined).toSorted((a, b) => a.remaining! - b.remaining!)[0];
