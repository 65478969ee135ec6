// What brings a mirror's entries up to date: it reads what upstream has, compares, and copies through the seams that are handed in. It has no
// storage of its own and no schedule; whoever calls it sees to it that an entry is synced by one at a time, though two at once do no harm.
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { HookCommand, MirrorEntry } from "../mirrors.ts";
import type { CatalogQuery } from "../oci/hosted.ts";
import type { Context, Listing, Registry } from "../oci/registry.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { FactStore } from "../store/facts.ts";
import type { EntryPlan, EntryReport, MirrorEvents, PlannedTag, SyncProgress } from "./outcome.ts";
import type { Target } from "./target.ts";

export interface EngineCall {
  /** Its reason is thrown, with nothing half visible; what has come stays, and the next call goes on from there. */
  readonly signal: AbortSignal;
  readonly progress: (progress: SyncProgress) => void;
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
  /** What is kept for tags that none of the entries covers any more may make way again. Of how many tags. */
  letGoUncovered(entries: readonly MirrorEntry[]): Promise<number>;
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

export interface HookAbout {
  readonly hook: "pre" | "post";
  readonly run: string;
  readonly tag: PlannedTag;
}

export interface HookEnd {
  readonly ok: boolean;
  /** The last of what it said, bounded. */
  readonly output: string;
  /** Where it is not `ok`. For people. */
  readonly why?: string;
}

export interface EngineParts {
  /** By the site's own name. Throws OciError for what is no site any more. */
  readonly sourceOf: (site: string) => MirrorSource;
  /** Of another target than the site that it comes from. */
  readonly targetOf: (site: string) => Target;
  readonly blobs: BlobStore;
  readonly facts: FactStore;
  readonly events: MirrorEvents;
  /** Never rejects. `timeout` in milliseconds. */
  readonly hook: (
    command: HookCommand,
    about: HookAbout,
    call: { readonly signal: AbortSignal; readonly timeout: number },
  ) => Promise<HookEnd>;
  readonly clock: Clock;
  readonly log: Logger;
}
