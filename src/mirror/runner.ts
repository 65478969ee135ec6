// Syncs under way: one of an entry at a time, a few entries of a source at once. Who asks for what is under way already joins it; what nobody waits for
// any more ends, unless it was to go on by itself.
import { isDeepStrictEqual } from "node:util";
import { abortable } from "../lib/abort.ts";
import type { Logger } from "../lib/log.ts";
import type { MirrorEntry } from "../mirrors.ts";
import { OciError } from "../oci/error.ts";
import type { RunFact } from "../store/mirroring.ts";
import type { MirrorEngine } from "./engine.ts";
import { narrowed, type Part } from "./narrowed.ts";
import type { EntryReport, SyncProgress } from "./outcome.ts";
import { runFact } from "./stored-run.ts";

export interface SyncWish {
  /** `undefined`: a number of our own. */
  readonly run: string | undefined;
  readonly missingOnly: boolean;
  /** `undefined`: the whole entry. */
  readonly only: Part | undefined;
}

/** Who has waited for longest goes first, of these in their order. */
const URGENCY = ["asked", "scheduled", "start"] as const;
export type Urgency = (typeof URGENCY)[number];

export interface RunnerParts {
  readonly engine: Pick<MirrorEngine, "sync">;
  /** Of a whole entry, when it has ended by itself. */
  readonly ended: (entry: MirrorEntry, run: RunFact) => Promise<void>;
  readonly clock: () => number;
  readonly log: Logger;
}

export interface Going {
  readonly entry: string;
  /** `undefined`: others go first. */
  readonly startedAt: number | undefined;
  readonly missingOnly: boolean;
  readonly progress: SyncProgress;
}

export interface Ticket {
  /** It was under way, or waited for its turn, before. */
  readonly joined: boolean;
  readonly run: string;
  /** Told at once how far it is. Rejects when `signal` fires, or it is stopped. */
  wait(signal: AbortSignal, progress: (progress: SyncProgress) => void): Promise<EntryReport>;
  /** It goes on when nobody waits. */
  keep(): void;
}

/** Entries at once, in all and of one source: a registry that is slow, or may not be asked for hours, does not keep the others waiting. */
const AT_ONCE = { all: 12, source: 3 };
const NOT_BEGUN: SyncProgress = { step: "listing", done: 0, fetched: 0, images: [] };

interface Job {
  readonly entry: MirrorEntry;
  readonly wish: SyncWish & { readonly run: string };
  readonly stop: AbortController;
  readonly result: PromiseWithResolvers<EntryReport>;
  readonly heard: Set<(progress: SyncProgress) => void>;
  urgency: Urgency;
  startedAt: number | undefined;
  progress: SyncProgress;
  waiting: number;
  isKept: boolean;
}

export class Runner {
  readonly #parts: RunnerParts;
  readonly #atOnce: typeof AT_ONCE;
  readonly #jobs = new Set<Job>();
  #isClosed = false;

  constructor(parts: RunnerParts, atOnce = AT_ONCE) {
    this.#parts = parts;
    this.#atOnce = atOnce;
  }

  /** It begins by itself; it is the caller's to wait for it, or to keep it. */
  ask(entry: MirrorEntry, wish: SyncWish, urgency: Urgency): Ticket {
    if (this.#isClosed) throw closing();
    const found = [...this.#jobs].find((job) => covers(job, entry, wish));
    const job = found ?? this.#add(entry, wish, urgency);
    if (rank(urgency) < rank(job.urgency)) job.urgency = urgency;
    // whoever asks has the rest of this turn to say what is to become of it
    queueMicrotask(() => this.#fill());
    return {
      joined: found !== undefined,
      run: job.wish.run,
      wait: (signal, progress) => this.#wait(job, signal, progress),
      keep: () => {
        job.isKept = true;
      },
    };
  }

  going(): Going[] {
    return [...this.#jobs].map(({ entry, startedAt, wish, progress }) => ({
      ...{ entry: entry.name, startedAt, missingOnly: wish.missingOnly, progress },
    }));
  }

  /** Ends what is under way of other entries than these, and resolves when it has ended. */
  async keepOnly(entries: readonly MirrorEntry[]): Promise<void> {
    const stays = (job: Job) => entries.some((entry) => isDeepStrictEqual(entry, job.entry));
    await this.#end(
      [...this.#jobs].filter((job) => !stays(job)),
      changed(),
    );
  }

  /** Nothing half done is visible, and what was copied is found by the next run. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#end([...this.#jobs], closing());
  }

  #add(entry: MirrorEntry, wish: SyncWish, urgency: Urgency): Job {
    const job: Job = {
      ...{ entry, urgency, wish: { ...wish, run: wish.run ?? runNumber(this.#parts.clock()) } },
      ...{ stop: new AbortController(), result: Promise.withResolvers<EntryReport>(), heard: new Set<never>() },
      ...{ startedAt: undefined, progress: NOT_BEGUN, waiting: 0, isKept: false },
    };
    job.result.promise.catch(() => undefined);
    this.#jobs.add(job);
    return job;
  }

  async #wait(job: Job, signal: AbortSignal, progress: (progress: SyncProgress) => void): Promise<EntryReport> {
    job.waiting += 1;
    job.heard.add(progress);
    progress(job.progress);
    try {
      return await abortable(job.result.promise, signal);
    } finally {
      job.heard.delete(progress);
      job.waiting -= 1;
      if (job.waiting === 0 && !job.isKept) this.#stop(job, unwanted());
    }
  }

  #fill(): void {
    const running = [...this.#jobs].filter(({ startedAt }) => startedAt !== undefined);
    const next = [...this.#jobs]
      .filter(({ startedAt }) => startedAt === undefined)
      .toSorted((a, b) => rank(a.urgency) - rank(b.urgency));
    for (const job of next) {
      if (running.length >= this.#atOnce.all) return;
      if (running.some(({ entry }) => entry.name === job.entry.name)) continue;
      if (running.filter((other) => sourceOf(other) === sourceOf(job)).length >= this.#atOnce.source) continue;
      running.push(job);
      void this.#run(job);
    }
  }

  async #run(job: Job): Promise<void> {
    const { entry, wish, stop } = job;
    const { run, missingOnly, only } = wish;
    job.startedAt = this.#parts.clock();
    const progress = (now: SyncProgress) => {
      job.progress = now;
      for (const hear of job.heard) hear(now);
    };
    try {
      const report = await this.#parts.engine.sync(narrowed(entry, only), { run, missingOnly, signal: stop.signal, progress });
      stop.signal.throwIfAborted();
      if (isWhole(wish)) await this.#parts.ended(entry, runFact(report));
      job.result.resolve(report);
    } catch (error) {
      if (!stop.signal.aborted) this.#parts.log.error({ entry: entry.name, err: String(error) }, "mirror: a sync broke off");
      job.result.reject(stop.signal.aborted ? stop.signal.reason : error);
    } finally {
      this.#jobs.delete(job);
      this.#fill();
    }
  }

  #stop(job: Job, why: Error): void {
    if (!this.#jobs.has(job)) return;
    job.stop.abort(why);
    if (job.startedAt !== undefined) return;
    this.#jobs.delete(job);
    job.result.reject(why);
  }

  async #end(jobs: readonly Job[], why: Error): Promise<void> {
    for (const job of jobs) this.#stop(job, why);
    await Promise.allSettled(jobs.map(({ result }) => result.promise));
  }
}

const sourceOf = ({ entry }: Job): string => entry.source.site;

const rank = (urgency: Urgency): number => URGENCY.indexOf(urgency);

const isWhole = ({ missingOnly, only }: SyncWish): boolean => !missingOnly && only === undefined;

/** Whether who wishes this has it when the job is done. What is being stopped gives nothing to anybody. */
const covers = (job: Job, entry: MirrorEntry, wish: SyncWish): boolean =>
  !job.stop.signal.aborted &&
  (wish.missingOnly || !job.wish.missingOnly) &&
  (job.wish.only === undefined || isDeepStrictEqual(job.wish.only, wish.only)) &&
  isDeepStrictEqual(job.entry, entry);

/** Of our own: `20260102T030405Z`. */
const runNumber = (now: number): string => new Date(now).toISOString().replace(/\.\d+|[-:]/g, "");

const closing = () =>
  new OciError("UNAVAILABLE", "Layover is shutting down: what was copied is kept, and the next sync goes on from there");
const changed = () => new OciError("UNAVAILABLE", "the list of what is mirrored has changed: the entry is not what it was");
const unwanted = () => new OciError("UNAVAILABLE", "nobody waits for this sync any more");
