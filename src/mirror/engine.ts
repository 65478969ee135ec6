// What brings a mirror's entries up to date: it reads what upstream has, compares, and copies through the seams that are handed in. It has no
// storage of its own and no schedule; whoever calls it sees to it that an entry is synced by one at a time, though two at once do no harm.
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Covers } from "../mirrors/covers.ts";
import type { HookCommand, MirrorEntry } from "../mirrors.ts";
import type { CatalogQuery } from "../oci/hosted.ts";
import type { Context, Listing, Registry } from "../oci/registry.ts";
import type { Flights } from "../registry/flights.ts";
import type { pinnedBy } from "../registry/policy.ts";
import { failureOf } from "../registry/warm.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";
import { isoOf } from "./find.ts";
import type { HookAbout, HookEnd } from "./hook.ts";
import type { EntryPlan, EntryReport, FailedPart, MirrorEvents, SyncProgress } from "./outcome.ts";
import { asJson, planOf } from "./plan.ts";
import { countUncovered, type LetGone, letGoUncovered } from "./retention.ts";
import { type Run, runOf } from "./run.ts";
import { syncEntry } from "./sync.ts";
import type { Target } from "./target.ts";

export interface EngineCall {
  /** Its reason is thrown, with nothing half visible; what has come stays, and the next call goes on from there. */
  readonly signal: AbortSignal;
  readonly progress: (progress: SyncProgress) => void;
  /** A part of the entry: one repository of a pattern, or one tag of it. As the source calls them. */
  readonly only?: { readonly repository: string; readonly tag: string | undefined } | undefined;
}

export interface SyncCall extends EngineCall {
  /** `undefined`: one of our own. */
  readonly run?: string | undefined;
  /** What is there already is left as it is. */
  readonly missingOnly?: boolean | undefined;
}

export interface MirrorEngine {
  /** Changes nothing but since when upstream has been seen to say what. Failures are in the plan. */
  check(entry: MirrorEntry, call: EngineCall): Promise<EntryPlan>;
  /** Failures are in the report, which is also told to `events`. Writes no RunFact: that is its caller's. */
  sync(entry: MirrorEntry, call: SyncCall): Promise<EntryReport>;
  /** Tags that something is kept for, and that no entry writes any more. */
  countUncovered(writer: Covers): Promise<number>;
  /** Lets go of what is kept for these, and of their backup names. */
  letGoUncovered(writer: Covers): Promise<LetGone>;
}

/** Where an entry is read: its site as the sync may ask it. Context's credential is left out: whose question it is is settled here. */
export interface MirrorSource {
  /** Straight upstream, past everything that is held. */
  readonly upstream: Registry;
  /** The site's own cache over that: what is read through it is verified, held and linked; whether its clients get it is not asked here. */
  readonly cache: Registry;
  /** Pages as `tags/list` has them. `undefined`: patterns of repositories cannot be followed there. */
  readonly listRepositories?: ((query: CatalogQuery, ctx: Context) => Promise<Listing>) | undefined;
}

export interface EngineParts {
  /** By the site's own name. Throws OciError for what is no site any more. */
  readonly sourceOf: (site: string) => MirrorSource;
  /** Of another target than the site that it comes from. */
  readonly targetOf: (site: string) => Target;
  readonly blobs: BlobStore;
  readonly flights: Pick<Flights, "get">;
  readonly facts: FactStore;
  readonly events: MirrorEvents;
  /** Whether a rule of a site pins the tag (registry/policy.ts). */
  readonly isPinned: ReturnType<typeof pinnedBy>;
  /** Never rejects. `timeout` in milliseconds. */
  readonly hook: (
    command: HookCommand,
    about: HookAbout,
    call: { readonly signal: AbortSignal; readonly timeout: number },
  ) => Promise<HookEnd>;
  readonly clock: Clock;
  readonly log: Logger;
}

export const mirrorEngine = (parts: EngineParts): MirrorEngine => ({
  async check(entry, call) {
    const run = attempt(parts, entry, call);
    if (run.failure !== undefined) return { entry: entry.name, tags: [], failures: [run.failure] };
    return asJson(run.run, await planOf(run.run, false));
  },
  async sync(entry, call) {
    const number = call.run ?? numberOf(parts.clock());
    const run = attempt(parts, entry, call);
    if (run.failure === undefined) return syncEntry(run.run, number, call.missingOnly ?? false);
    const at = isoOf(parts.clock());
    const report = { ...NOTHING, entry: entry.name, startedAt: at, endedAt: at, run: number, failures: [run.failure] };
    parts.events.ended(report);
    return report;
  },
  countUncovered: (writer) => countUncovered(parts.facts, writer),
  letGoUncovered: (writer) => letGoUncovered({ ...parts, targetOf: (site) => siteLeft(parts, site) }, writer),
});

const NOTHING = { isGood: false, tags: [], expired: [], fetched: 0 } as const;

const siteLeft = ({ targetOf }: EngineParts, site: string): Target | undefined => {
  try {
    return targetOf(site);
  } catch {
    return undefined;
  }
};

type Attempt = { readonly run: Run; readonly failure?: undefined } | { readonly failure: FailedPart };

/** A site of the entry may be none any more. */
const attempt = (parts: EngineParts, entry: MirrorEntry, call: EngineCall): Attempt => {
  try {
    return { run: runOf(parts, entry, call) };
  } catch (error) {
    return { failure: failureOf(entry.name, error) };
  }
};

/** `20260102T030405Z`. */
const numberOf = (now: number): string => isoOf(now).replace(/\.\d+|[-:]/g, "");
