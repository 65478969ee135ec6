// Looks after the front end: a child process that may crash, stall or run out of memory while DNS, in this one, goes on.

import { type ChildProcess, fork } from "node:child_process";
import type { Condition } from "../admin/health.ts";
import type { DnsConfig } from "../app-dns.ts";
import type { Config } from "../config/config.ts";
import type { Logger } from "../lib/log.ts";
import { stepOf } from "../lib/pauses.ts";
import type { Ending, EndMessage, EndOrder } from "./ending.ts";
import { ordinarily } from "./precedence.ts";
import { Standing } from "./standing.ts";

/** Of the configuration, what the parent needs: nothing secret, and nothing that JSON would change. */
export interface ParentConfig extends Omit<DnsConfig, "listen">, Pick<Config, "listen" | "log" | "warnings"> {
  readonly ca: Pick<Config["ca"], "certificate">;
}

/** What the front end tells its parent. */
export type FrontMessage =
  | { readonly kind: "config"; readonly config: ParentConfig }
  | {
      readonly kind: "ready";
      readonly fingerprints: readonly string[];
      readonly names: readonly string[];
      readonly addresses: readonly string[];
      readonly admin: string | undefined;
      readonly bypassed: boolean;
    }
  | { readonly kind: "fatal"; readonly message: string }
  | ({ readonly kind: "beat" } & Condition);

export type FrontReady = Extract<FrontMessage, { kind: "ready" }>;

/** Told once a second; older than WELL it counts as stalled, older than DEAD it is ended. Milliseconds. */
export const BEAT = 1_000;
const WELL = 3_000;
const DEAD = 30_000;
const START_WITHIN = 30_000;
/** The pauses before it is started again grow until it has lived for so long. */
const RESTART_MS = [100, 500, 1_000, 5_000, 10_000];
const STEADY = 10_000;
/** What is to end in time gets so much longer. */
const OVERDUE = 2_000;

/**
 * What a request allocates is dead when it is answered: a young generation that fits a processor's cache is collected in no time.
 * Against V8's 16 MiB: 40 MB less memory, as many hits a second, a cold download with a fifth less CPU.
 */
const HEAP = ["--max-semi-space-size=2"];
/** Nothing here uses AsyncLocalStorage, whose context Node would carry into every callback: a hit costs 4 % less. Not every Node can leave it. */
const NO_CONTEXT = process.allowedNodeEnvironmentFlags.has("--async-context-frame") ? ["--no-async-context-frame"] : [];
/** glibc gives each thread a heap of its own, which keeps what was once used: 20 MB less, and no thread waits for another's here. */
const ONE_ARENA = { MALLOC_ARENA_MAX: "1" };

/** The front end cannot start for a reason that a new attempt will not mend. */
export class FrontFatal extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FrontFatal";
  }
}

export interface Hearing {
  /** A front end that comes later reads its configuration anew: told where it differs from the one before. */
  onConfig(config: ParentConfig): void;
}

export class Supervisor {
  /** The configuration as its first start has read it. Rejects with FrontFatal. */
  readonly config: Promise<ParentConfig>;
  /** Its first start. Rejects with FrontFatal. */
  readonly first: Promise<FrontReady>;
  /** None until the configuration, for which the first start does not wait, has said how to log. */
  log: Logger | undefined;
  /** None until there is somebody to tell. */
  hearing: Hearing | undefined;
  readonly #entry: string;
  readonly #args: readonly string[];
  readonly #standing = new Standing();
  #child: ChildProcess | undefined;
  #bornAt = 0;
  #lastBeat = 0;
  #watchedAt = performance.now();
  #isBypassed = false;
  /** What has been said of it last. */
  #told: string | undefined;
  /** It has been told to end: no news from it counts. */
  #leaving = false;
  #stopping = false;
  #failures = 0;
  #again: NodeJS.Timeout | undefined;
  #timer: NodeJS.Timeout | undefined;
  #known: string | undefined;
  readonly #configured = Promise.withResolvers<ParentConfig>();
  /** Undefined once it has started for the first time. */
  #started: PromiseWithResolvers<FrontReady> | undefined = Promise.withResolvers<FrontReady>();

  /** `entry` is the front end's own script. */
  constructor(entry: string, args: readonly string[]) {
    this.#entry = entry;
    this.#args = args;
    this.config = this.#configured.promise;
    this.first = this.#started!.promise;
    for (const told of [this.config, this.first]) told.catch(() => undefined);
    this.#start();
    this.#timer = setInterval(() => this.#watch(), BEAT);
  }

  /** Whether hijacked names may lead to it. */
  get well(): boolean {
    return this.#standing.well && !this.#isBypassed && !this.#leaving && performance.now() - this.#lastBeat < WELL;
  }

  /** Asks it to end, and ends it when it has not within the order's time. */
  async stop(end: Ending): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#timer);
    clearTimeout(this.#again);
    await this.#end(end);
  }

  /** Lets it end, and starts another in its place, from what is on the disk by then. Resolves when that one is on its way. */
  async replace(end: Ending): Promise<void> {
    await this.#end(end);
    if (this.#stopping) return;
    clearTimeout(this.#again);
    this.#failures = 0;
    this.#start();
  }

  async #end(end: Ending): Promise<void> {
    this.#leaving = true;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const timers: NodeJS.Timeout[] = [];
    const tell = ({ grace, drain }: EndOrder) => {
      if (child.connected) child.send({ kind: "end", grace, drain } satisfies EndMessage, () => undefined);
      timers.push(setTimeout(() => child.kill("SIGKILL"), grace + drain + OVERDUE));
    };
    tell(end.left);
    end.onOrder(tell);
    child.kill("SIGTERM"); // one that is only starting hears this first
    await gone;
    for (const timer of timers) clearTimeout(timer);
  }

  #start(): void {
    this.#leaving = false;
    this.#bornAt = performance.now();
    this.#lastBeat = this.#bornAt;
    try {
      this.#follow(this.#fork());
    } catch (error) {
      this.#unborn(error as Error);
    }
  }

  #fork(): ChildProcess {
    return ordinarily(() =>
      fork(this.#entry, this.#args, {
        execArgv: [...process.execArgv, ...HEAP, ...NO_CONTEXT],
        env: { ...ONE_ARENA, ...process.env },
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      }),
    );
  }

  /** What the one before has left to be heard counts no more. */
  #follow(child: ChildProcess): void {
    this.#child = child;
    child.on("message", (message: FrontMessage) => (child === this.#child || message.kind === "fatal") && this.#heard(message));
    child.on("error", (error) => {
      if (child.pid === undefined) this.#unborn(error);
      else this.log?.error({ err: error.message }, "front end");
    });
    child.once("exit", (code, signal) => this.#gone(code, signal));
  }

  /** No process, no memory, no descriptors left: of that there is an error, thrown or told, and no exit. */
  #unborn(error: Error): void {
    this.log?.error({ err: error.message }, "front end cannot be started");
    this.#failed(`the front end cannot be started: ${error.message}`);
    this.#gone(null, null);
  }

  #heard(message: FrontMessage): void {
    if (message.kind === "fatal") {
      this.log?.debug("front end refuses to start");
      this.#failed(message.message);
      if (this.#started === undefined) this.log?.error({ err: message.message }, "front end cannot start");
      return;
    }
    this.#lastBeat = performance.now();
    if (message.kind === "config") {
      this.#hold(message.config);
      this.#configured.resolve(message.config);
      return;
    }
    if (message.kind === "ready") {
      this.#take(message.bypassed ? { ready: false, reason: "bypass", notes: [] } : { ready: true, notes: [] });
      this.#started?.resolve(message);
      this.#started = undefined;
      return;
    }
    this.#take(message);
    if (message.ready && performance.now() - this.#bornAt > STEADY) this.#failures = 0;
  }

  /** A bypass is no illness: it neither counts as a fall, nor is its end waited upon. */
  #take({ ready, reason, notes }: Condition): void {
    this.#isBypassed = reason === "bypass";
    if (ready || reason === "bypass") this.#standing.good();
    else this.#standing.bad();
    const told = ready ? "ready" : reason;
    if (told !== this.#told && !(ready && this.#told === undefined)) this.log?.warn({ ready, reason, notes }, "front end");
    this.#told = told;
  }

  #hold(config: ParentConfig): void {
    const text = JSON.stringify(config);
    if (this.#known !== undefined && text !== this.#known) this.hearing?.onConfig(config);
    this.#known = text;
  }

  /** Means something only before the first start, whose end it is. */
  #failed(reason: string): void {
    const error = new FrontFatal(reason);
    this.#configured.reject(error);
    this.#started?.reject(error);
  }

  #gone(code: number | null, signal: NodeJS.Signals | null): void {
    this.#standing.bad();
    this.#child = undefined;
    if (this.#stopping || this.#leaving) return;
    this.#failed(`the front end ended at its start (${signal ?? `exit ${code}`})`);
    const delay = stepOf(RESTART_MS, this.#failures);
    this.#failures += 1;
    this.log?.error(
      { code, signal, again: delay },
      "front end has gone; its names answer with their real addresses until it is back",
    );
    this.#again = setTimeout(() => {
      if (!this.#stopping) this.#start();
    }, delay).unref();
  }

  /** A process that says nothing any more is in everybody's way. */
  #watch(): void {
    // what stood still with everything else, as a container that is paused does, has not been silent
    const now = performance.now();
    if (now - this.#watchedAt > WELL) this.#lastBeat = Math.max(this.#lastBeat, now - WELL);
    this.#watchedAt = now;
    const silence = performance.now() - this.#lastBeat;
    if (silence >= WELL) this.#standing.bad();
    const limit = this.#started === undefined ? DEAD : START_WITHIN;
    if (this.#child === undefined || this.#leaving || silence < limit) return;
    this.log?.error({ silence: Math.round(silence) }, "front end has stalled");
    this.#child.kill("SIGKILL");
  }
}
