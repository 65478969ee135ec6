// A bypass: on somebody's word hijacked names lead past us, while those who still come are served. The mark in the data folder decides;
// a running server looks at it again and again, and counts its time by a clock that nobody turns.
import { stat } from "node:fs/promises";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import { type BypassMark, bypassMarkIn, isoOf, leftOf, putMark, readMark, takeMark } from "./bypass-mark.ts";

export interface BypassOptions {
  /** The data folder. */
  readonly data: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Monotonic milliseconds. */
  readonly now?: Clock;
}

/** ISO 8601. */
export interface BypassTimes {
  readonly since: string;
  /** None: until it is ended. */
  readonly until?: string;
}

interface Standing {
  readonly since: number;
  /** By the monotonic clock. */
  readonly deadline: number | undefined;
}

export class Bypass {
  readonly #data: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #now: Clock;
  /** Of the mark that was read last; `undefined`: there was none. */
  #seen: string | undefined;
  #standing: Standing | undefined;
  #complained = false;
  /** One at a time: what is on is never told from two states of the file. */
  #turn: Promise<void> = Promise.resolve();

  private constructor({ data, clock, log, now = () => performance.now() }: BypassOptions) {
    this.#data = data;
    this.#clock = clock;
    this.#log = log;
    this.#now = now;
  }

  static async open(options: BypassOptions): Promise<Bypass> {
    const bypass = new Bypass(options);
    await bypass.look();
    return bypass;
  }

  /** As it was at the last look. */
  get standing(): BypassTimes | undefined {
    if (this.#standing === undefined) return undefined;
    const { since, deadline } = this.#standing;
    const until = deadline === undefined ? undefined : this.#clock() + deadline - this.#now();
    return { since: isoOf(since), ...(until !== undefined && { until: isoOf(until) }) };
  }

  /** Looks at the mark, and ends what is over. Never rejects: what cannot be read stays as it was. */
  look(): Promise<BypassTimes | undefined> {
    return this.#inTurn(async () => {
      try {
        await this.#read();
        if (isOver(this.#standing, this.#now())) await this.#end();
        this.#complained = false;
      } catch (error) {
        if (!this.#complained) this.#log.error({ err: String(error) }, "the mark of a bypass cannot be read or removed");
        this.#complained = true;
      }
      return this.standing;
    });
  }

  /** Throws what writing throws. */
  on(forMs: number | undefined): Promise<void> {
    return this.#inTurn(async () => {
      await putMark(this.#data, forMs, this.#clock);
      await this.#read();
    });
  }

  off(): Promise<void> {
    return this.#inTurn(async () => {
      await takeMark(this.#data);
      await this.#read();
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.then(
      () => undefined,
      () => undefined,
    );
    return done;
  }

  async #read(): Promise<void> {
    const seen = await stateOf(bypassMarkIn(this.#data));
    if (seen === this.#seen) return;
    const mark = await readMark(this.#data);
    this.#take(mark && (await this.#mended(mark)));
    this.#seen = mark === undefined ? undefined : await stateOf(bypassMarkIn(this.#data));
  }

  /** A mark from the future, by a clock that has been turned back since: it begins anew, so that it ends some time however often we do. */
  async #mended(mark: BypassMark): Promise<BypassMark> {
    const { since, until } = mark;
    if (until === undefined || since <= this.#clock()) return mark;
    return putMark(this.#data, until - since, this.#clock);
  }

  #take(mark: BypassMark | undefined): void {
    const left = mark && leftOf(mark, this.#clock);
    const was = this.#standing;
    this.#standing = mark && { since: mark.since, deadline: left === undefined ? undefined : this.#now() + left };
    if (this.#standing !== undefined)
      this.#log.warn(this.standing, "bypass: hijacked names lead to the registries themselves; end it with `layover bypass off`");
    else if (was !== undefined) this.#log.warn("the bypass is over: names lead here again");
  }

  async #end(): Promise<void> {
    this.#seen = undefined;
    this.#take(undefined);
    await takeMark(this.#data);
  }
}

const isOver = (standing: Standing | undefined, now: number): boolean =>
  standing?.deadline !== undefined && now >= standing.deadline;

/** Other than before when the file is: each mark is a file of its own. `undefined`: there is none. */
const stateOf = async (path: string): Promise<string | undefined> => {
  try {
    const { ino, mtimeMs, size } = await stat(path);
    return `${ino} ${mtimeMs} ${size}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
};
