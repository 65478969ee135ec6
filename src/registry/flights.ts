// The flights under way, one a digest, whoever asks and through whichever site.
import type { Logger } from "../lib/log.ts";
import { Places, type PlacesOptions } from "../lib/places.ts";
import type { Digest } from "../oci/digest.ts";
import type { BlobStore } from "../store/blobs.ts";
import type { DownloadOptions } from "./download.ts";
import { Flight } from "./flight.ts";
import { type FlightCount, flightCounts } from "./flight-counts.ts";

export interface Flights {
  /** `undefined`: nobody downloads it. */
  get(digest: Digest): Flight | undefined;
  /** Only when there is none; the caller joins it at once. */
  begin(digest: Digest): Flight;
  /** Those under way, and the bytes that each has. */
  underWay(): { readonly digest: Digest; readonly received: number }[];
  /** What has become of all of them so far. */
  counts(): Readonly<Record<FlightCount, number>>;
  /** Ends all of them; what has come is left for the next start. */
  close(): Promise<void>;
  readonly options: FlightOptions;
}

export interface FlightOptions extends DownloadOptions {
  readonly abandoned: PlacesOptions;
}

/**
 * In all half a minute of pauses: an upstream that restarts is waited for. Nothing here limits how long a download takes that gets on.
 * Parked is short: a client whose token has run out comes back with a new one only when it is cut, and goes on from the byte it has.
 */
const DEFAULTS: FlightOptions = {
  retry: { attempts: 8, first: 100, most: 10_000, longest: 2 * 60_000 },
  parkFor: 5_000,
  recheckEvery: 1_000,
  abandoned: { perClient: 8, inAll: 64 },
};

export const flights = (store: BlobStore, log: Logger, more: Partial<FlightOptions> = {}): Flights => {
  const options = { ...DEFAULTS, ...more };
  const running = new Map<Digest, Flight>();
  const counts = flightCounts();
  const parts = { store, log, counts, abandoned: new Places(options.abandoned), options };
  return {
    options,
    get(digest) {
      const flight = running.get(digest);
      return flight?.failed === true ? undefined : flight;
    },
    begin(digest) {
      const flight = new Flight(digest, parts, running.get(digest)?.done);
      running.set(digest, flight);
      void flight.done.then(() => {
        if (running.get(digest) === flight) running.delete(digest);
      });
      return flight;
    },
    underWay: () => [...running].map(([digest, { head }]) => ({ digest, received: head })),
    counts: () => counts.snapshot(),
    async close() {
      const all = [...running.values()];
      for (const flight of all) flight.stop();
      await Promise.all(all.map((flight) => flight.done));
    },
  };
};
