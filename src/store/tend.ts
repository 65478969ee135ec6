// Tidies up by itself: an hour after the start, when the rush is over, and then once a day.
import type { Logger } from "../lib/log.ts";
import { type CollectOptions, type CollectParts, type CollectReport, collect } from "./collect.ts";

export interface TendOptions extends CollectOptions {
  /** Milliseconds. */
  readonly first?: number;
  readonly every?: number;
}

const HOUR = 60 * 60_000;

/** `close` ends what is under way. */
export const tend = (
  parts: CollectParts,
  { first = HOUR, every = 24 * HOUR, ...options }: TendOptions,
  log: Logger,
): { close(): Promise<void> } => {
  const stop = new AbortController();
  let running: Promise<void> = Promise.resolve();
  const turn = async () => {
    try {
      const report = await collect(parts, options, () => undefined, stop.signal);
      if (isAnything(report)) log.info(report, "what was of no use has gone");
    } catch (error) {
      if (!stop.signal.aborted) log.error({ err: String(error) }, "what is of no use could not be taken away");
    }
  };
  const next = (delay: number): NodeJS.Timeout =>
    setTimeout(() => {
      running = turn();
      void running.then(() => {
        if (!stop.signal.aborted) timer = next(every);
      });
    }, delay).unref();
  let timer = next(first);
  return {
    async close() {
      clearTimeout(timer);
      stop.abort(new Error("the store is being closed"));
      await running;
    },
  };
};

const isAnything = ({ blobs, quarantine, links, listings, grants }: CollectReport): boolean =>
  blobs.count + quarantine.count + links + listings + grants > 0;
