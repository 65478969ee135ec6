// The flights under way, one a digest, whoever asks and through whichever site.
import type { Logger } from "../lib/log.ts";
import type { Digest } from "../oci/digest.ts";
import type { BlobStore } from "../store/blobs.ts";
import { Flight } from "./flight.ts";

export interface Flights {
  /** `undefined`: nobody downloads it. */
  get(digest: Digest): Flight | undefined;
  /** Only when there is none; the caller joins it at once. */
  begin(digest: Digest): Flight;
  /** Ends all of them; what is not complete is thrown away. */
  close(): Promise<void>;
}

export const flights = (store: BlobStore, log: Logger): Flights => {
  const running = new Map<Digest, Flight>();
  return {
    get(digest) {
      const flight = running.get(digest);
      return flight?.failed === true ? undefined : flight;
    },
    begin(digest) {
      const flight = new Flight(digest, store, log);
      running.set(digest, flight);
      void flight.done.then(() => {
        if (running.get(digest) === flight) running.delete(digest);
      });
      return flight;
    },
    async close() {
      const all = [...running.values()];
      for (const flight of all) flight.stop();
      await Promise.all(all.map((flight) => flight.done));
    },
  };
};
