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

/** What the transport waits for a byte. Milliseconds; in truth a thousand times that. */
export const IDLE = 60;

/** As they are, by a thousand. */
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

export const wired = async ({ blobs = memoryBlobs(), faults = {}, flights = {}, idle = IDLE }: WiredOptions = {}) => {
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
