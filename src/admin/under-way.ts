// Long work that is being done for somebody: one of each kind at a time, and all of it ended when we close.
import type { Progress, WorkEntry } from "./answers.ts";
import { AdminError } from "./error.ts";
import type { Call, OperationName } from "./operations.ts";
import { progressLine } from "./progress-line.ts";

interface Work {
  readonly since: string;
  progress: Progress | undefined;
}

export class UnderWay {
  readonly #works = new Map<OperationName, Work>();
  readonly #closing = new AbortController();

  /** Throws BUSY, with what is going on, and UNAVAILABLE once it is closed. */
  async run<T>(name: OperationName, call: Call, work: (call: Call) => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) throw closing();
    const other = this.#works.get(name);
    if (other !== undefined) throw new AdminError("BUSY", `${name} is under way since ${other.since}${farOf(other)}`);
    const mine: Work = { since: new Date().toISOString(), progress: undefined };
    this.#works.set(name, mine);
    try {
      return await work({
        signal: AbortSignal.any([call.signal, this.#closing.signal]),
        progress: (progress) => {
          mine.progress = progress;
          call.progress(progress);
        },
      });
    } catch (error) {
      throw this.#closing.signal.aborted ? closing() : error;
    } finally {
      this.#works.delete(name);
    }
  }

  /** For work that several may ask for at once, and that tells of itself elsewhere. */
  async beside<T>(call: Call, work: (call: Call) => Promise<T>): Promise<T> {
    if (this.#closing.signal.aborted) throw closing();
    try {
      return await work({ ...call, signal: AbortSignal.any([call.signal, this.#closing.signal]) });
    } catch (error) {
      throw this.#closing.signal.aborted ? closing() : error;
    }
  }

  /** For people. */
  get standing(): WorkEntry[] {
    return [...this.#works].map(([operation, { since, progress }]) => ({
      operation,
      since,
      ...(progress !== undefined && { progress }),
    }));
  }

  close(): void {
    this.#closing.abort(closing());
  }
}

const closing = () => new AdminError("UNAVAILABLE", "Layover is shutting down");

const farOf = ({ progress }: Work): string => (progress === undefined ? "" : `: ${progressLine(progress)}`);
