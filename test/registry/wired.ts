// One site put together over a fault upstream on a real socket, its time limits scaled a thousand to one: 30 s are 30 ms.
import { onTestFinished } from "vitest";
import type { Digest } from "../../src/oci/digest.ts";
import type { FlightOptions } from "../../src/registry/flights.ts";
import type { BlobStore } from "../../src/store/blobs.ts";
import { memoryBlobs } from "../../src/store/memory.ts";
import { asClient } from "../../src/upstream/asker.ts";
import { type FaultOptions, faultUpstream } from "../faults/upstream.ts";
import { painted } from "../lib/pattern.ts";
import { registryAt, transportFor } from "../upstream/asking.ts";
import { stack } from "./stack.ts";

/** What the transport waits for a byte, in tests that are about that. Milliseconds; undici's timers tick twice a second, however short they are. */
export const IDLE = 30;
/** In all others: a busy machine is no silent upstream. */
const PATIENT = 5_000;

/** As they are, by a thousand; but parked for longer, so that somebody can come. */
export const SCALED: FlightOptions = {
  retry: { attempts: 8, first: 0.1, most: 10, longest: 120 },
  parkFor: 5 * 30,
  recheckEvery: 1,
  abandoned: { perClient: 8, inAll: 64 },
};

export interface WiredOptions {
  readonly blobs?: BlobStore;
  readonly faults?: FaultOptions;
  readonly flights?: Partial<FlightOptions>;
  readonly idle?: number;
}

export const wired = async ({ blobs = memoryBlobs(), faults = {}, flights = {}, idle = PATIENT }: WiredOptions = {}) => {
  const upstream = await faultUpstream(faults);
  const transport = transportFor({ idle });
  const registry = registryAt(upstream.url, asClient, transport);
  const made = stack({}, blobs, { ...SCALED, ...flights }, registry);
  onTestFinished(() => transport.close());
  return { ...made, upstream };
};

/** A blob of so many bytes in `acme/app`. */
export const seeded = (upstream: Awaited<ReturnType<typeof wired>>["upstream"], size: number, repo = "acme/app") => {
  const bytes = painted(size % 97, size);
  const { digest } = upstream.content.putBlob(repo, bytes);
  return { bytes, digest: digest as Digest };
};

export const BLOBS = /\/blobs\//;
