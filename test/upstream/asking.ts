// Questions to upstreams as the tests put them: over a real transport that resolves nothing, unless a test brings a resolver.
import { createSecureContext } from "node:tls";
import { expect, onTestFinished } from "vitest";
import { isOciError, type OciError } from "../../src/oci/error.ts";
import type { Context, Tally } from "../../src/oci/registry.ts";
import { type Asker, asClient } from "../../src/upstream/asker.ts";
import { upstreamRegistry } from "../../src/upstream/client.ts";
import { UpstreamResolver } from "../../src/upstream/resolver.ts";
import { Transport, type TransportOptions } from "../../src/upstream/transport.ts";

/** What the clock of a registry here says. Milliseconds since the epoch. */
export const NOW = Date.UTC(2026, 10, 24, 8, 0, 0);

export interface Asking extends Context {
  readonly tally: Tally;
}

export const asking = (more: Partial<Context> = {}): Asking => ({
  credential: undefined,
  accept: [],
  signal: new AbortController().signal,
  client: "",
  trace: "test",
  tally: { upstreamBytes: 0, upstreamRequests: 0 },
  ...more,
});

/** A resolver that nobody answers; addresses need none. */
export const noResolver = (isOurs: (address: string, port: number) => boolean = () => false) =>
  new UpstreamResolver({ servers: ["127.0.0.1:1"], isOurs });

export const transportFor = (more: Partial<TransportOptions> = {}): Transport => {
  const transport = new Transport({
    resolver: noResolver(),
    secureContext: createSecureContext(),
    via: "1.1 layover-test",
    userAgent: "layover/test",
    ...more,
  });
  onTestFinished(() => transport.close());
  return transport;
};

export const registryAt = (upstreams: URL | readonly URL[], asker: Asker = asClient, transport = transportFor()) =>
  upstreamRegistry({ upstreams: [upstreams].flat(), transport, asker, clock: () => NOW });

/** The OciError that the work fails with; anything else fails the test. */
export const failureOf = async (work: Promise<unknown>): Promise<OciError> => {
  const error = await work.then(
    () => expect.unreachable("it should have failed"),
    (reason: unknown) => reason,
  );
  if (!isOciError(error)) throw error;
  return error;
};
